"""One user on the terminal, the verdict first; or those among whom one has to be chosen."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from audit.cli.terminal import BOLD, DIM, Page
from audit.commands.sync.files import pasted
from audit.commands.user.case import Links, UserCase, UserLines, explained, links, next_steps
from audit.commands.user.checklist import Item, checklist
from audit.commands.user.last_training import last_training
from audit.findings.rows import ClassifiedRow, RowClass
from audit.hints.table import HINTS, Hint
from audit.hints.trainings import BASIS, labelled, shown_trainings
from audit.model.codes import LatestPer, Note, Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.ids import recorded_hash
from audit.model.lines import NOUNS, told_apart
from audit.model.repair import RowChange
from audit.model.text import escape_controls, shortened
from audit.model.times import to_minute, utc_now
from audit.model.users import Person, email_or_id
from audit.postgres.user import Candidates
from audit.repair.rules import PlanRules, PlanSettings, plan_user
from audit.report.words import STATUS_TITLES

HASH_SHOWN = 12
FEW = 3
"""Rows that are shown in short."""
IN_FULL = 5
"""Lines of a user that are shown in full, where not all are up to date."""
LISTED = 20
"""Of several who match, so many are listed."""
FIRST_ROWS, LAST_ROWS = 15, 5
"""Of more rows than these, the latest and the oldest are listed, and the one that counts."""
_COLOURS = {
    Status.UP_TO_DATE: "bold green",
    Status.NEEDS_SYNC: "bold yellow",
    Status.ERROR: "bold red",
    Status.NOT_CHECKED: "bold red",
}
_VERDICTS = {True: ("ok", "green"), False: ("bad", "bold red"), None: ("?", "bold yellow")}


def show(case: UserCase, page: Page, *, every: bool) -> None:
    """Print verdict and fix, and with `every` all that is known; the last line is the caller's."""
    _who(case, page)
    page.line()
    _case(case, page, every=every)


def show_lines(lines: UserLines, page: Page, *, every: bool) -> None:
    """Whose lines they are, all of them, and in full those that are not up to date."""
    per = lines.cases[0].tables.latest_per
    _who(lines.cases[0], page)
    counted = ", ".join(f"{number} {_words(status)}" for status, number in lines.counts.items() if number)
    left_out = f"; {lines.left_out:,} more were not looked at" if lines.left_out else ""
    page.heading(f"{len(lines.cases):,} {NOUNS[per]}s: {counted}{left_out}")
    named = [(case, user, _part(user, per)) for case in lines.cases if (user := case.user)]
    width = max(len(part) for _, _, part in named)
    for _, user, part in named:
        page.line((part.ljust(width), BOLD), *_in_brief(user), indent=2)
    open_lines = [each for each in named if each[1].finding.status is not Status.UP_TO_DATE]
    for case, _, part in open_lines[:IN_FULL]:
        page.heading(part)
        _case(case, page, every=every)
    if lines.others:
        page.heading(f"Training rows of no {NOUNS[per]} that is judged")
        _rows_listed(lines.others, None, page)
    shown = {part for _, _, part in open_lines[:IN_FULL]}
    if rest := [part for _, _, part in named if part not in shown]:
        page.heading("In full")
        for part in rest[:LISTED]:
            page.line(f"sync-audit user {shlex.quote(part)}", indent=2)


def _part(user: AuditedUser, per: LatestPer) -> str:
    return _shown(told_apart(user.record.replicate_model_id, user.record.model_row_id, per))


def _words(status: Status) -> str:
    return status.value.replace("_", " ")


def _in_brief(user: AuditedUser) -> tuple[tuple[str, str], ...]:
    finding = user.finding
    besides = f", and: {HINTS[finding.also.reason].title}" if finding.also else ""
    return (
        (f"  {_words(finding.status).upper()}", _COLOURS[finding.status]),
        (f"  {HINTS[finding.reason].title}{besides}", ""),
        (f"  ({finding.reason.value})", DIM),
    )


def _case(case: UserCase, page: Page, *, every: bool) -> None:
    user = case.user
    hints = explained(case)
    if user and not every and is_repaired(case):
        _in_short(case, user, hints, page)
        return
    if user:
        _verdict(user, hints[user.finding.reason], page, _fix(case) if is_repaired(case) else ())
    else:
        page.line(("IN NO REPORT", "bold red"), "  No training of this user counts.", indent=2)
    _to_do(case, hints, page)
    last = last_training(case)
    page.heading("The last training")
    page.paragraph(last.title, indent=2, style=BOLD)
    page.paragraph(last.why, indent=2)
    if case.rows is not None:
        _rows(case.rows, user.record.replicate_model_id if user else None, page)
    if every:
        _rest(case, user, page)
        return
    if user and user.finding.status is Status.UP_TO_DATE:  # whoever asks then asks about bad photos
        _checklist(checklist(case), page)
    page.line()
    page.paragraph("-v shows all: versions, trainings, checklist and links.", style=DIM)


def _in_short(case: UserCase, user: AuditedUser, hints: Mapping[Reason | Note, Hint], page: Page) -> None:
    """Verdict and command of a user whom `sync` repairs, and the rest by its names."""
    _verdict(user, hints[user.finding.reason], page, _fix(case))
    for note in user.finding.notes:
        page.line(f"Note: {hints[note].title}", indent=2)
    page.heading("The last training")
    page.paragraph(last_training(case).title, indent=2, style=BOLD)
    if case.rows is not None:
        _rows_in_brief(case.rows, page)
    page.line()
    page.paragraph("-v shows all: what to do by hand, rows, versions, trainings, checklist and links.", style=DIM)


def _rest(case: UserCase, user: AuditedUser | None, page: Page) -> None:
    if user:
        if case.versions:
            _versions(case, user.finding, page)
        _trainings(user, page)
    _checklist(checklist(case), page)
    _links(links(case), page)
    if case.not_known:
        page.heading("Not known")
        for each in case.not_known:
            page.paragraph(escape_controls(each), first="- ", indent=2)


def show_several(found: Candidates, page: Page) -> None:
    """Those among whom one has to be chosen, by what names each of them alone, with the status of each."""
    people = found.persons
    width = max(len(_shown(person.user_id)) for person in people[:LISTED])
    for person, status in zip_longest(people[:LISTED], found.statuses[:LISTED]):
        names = " ".join(filter(None, (_shown(person.email), _bracketed(person))))
        told = (STATUS_TITLES[status], _COLOURS[status]) if status else ("not checked", DIM)
        page.line((_shown(person.user_id).ljust(width), BOLD), f"  {names}  ", told, indent=2)
    rest = len(people) - LISTED
    if rest > 0:
        page.line(f"and {rest:,} {'or more ' if found.more else ''}others", indent=2)


def _bracketed(person: Person) -> str:
    if not person.in_users:
        return "(not in the table users)"
    return f"({_shown(person.display_name)})" if person.display_name else ""


def _who(case: UserCase, page: Page) -> None:
    person = case.person
    name = [f"  {_shown(person.display_name)}"] if person.display_name else []
    page.line((_shown(email_or_id(person)), BOLD), *name)
    absent = "" if person.in_users else ", which is not in the table users"
    page.paragraph(f"User id {_shown(person.user_id)}{absent}", style=DIM)
    token = f"; token of {_shown(case.account.username)}" if case.account else ""
    page.paragraph(f"From {_shown(case.source)}{token}", style=DIM)
    if case.others:
        others = f"{case.others:,} other {NOUNS[case.tables.latest_per]}{'s' * (case.others != 1)}"
        who = shlex.quote(_shown(person.user_id))
        page.paragraph(f"One of several: the user has {others}. All of them: sync-audit user {who}", style=DIM)


def _verdict(user: AuditedUser, reason: Hint, page: Page, command: Sequence[str] = ()) -> None:
    finding = user.finding
    status = finding.status.value.replace("_", " ").upper()
    page.line((status, _COLOURS[finding.status]), f"  {reason.title}  ", (f"({finding.reason.value})", DIM), indent=2)
    page.paragraph(reason.meaning, indent=2)
    if finding.detail:
        page.paragraph(f"Cause: {escape_controls(finding.detail)}", indent=2)
    if finding.also and user.counting:
        also = HINTS[finding.also.reason].title
        row = _shown(user.counting.model_row_id, 60)
        page.paragraph(f"Besides, of the completed row {row}: {also} ({finding.also.reason.value})", indent=2)
    page.line()
    if command:
        page.line(("Fix:", BOLD), indent=2)
        for each in command:
            page.line((each, BOLD), indent=4)
        page.line()
    model = _shown(user.record.replicate_model_id) or "(none)"
    page.facts((*_unfinished_row(user), ("Model", model), *_both_versions(user), *_since(finding)))


def is_repaired(case: UserCase) -> bool:
    """Whether `sync` plans a change for this user without options, if it is asked now."""
    if case.user is None:
        return False
    now = utc_now()
    rules = PlanRules(settings=PlanSettings(), now=now, missing_columns=case.missing_columns)
    return isinstance(plan_user(case.user, now, rules), RowChange)


def _fix(case: UserCase) -> tuple[str, ...]:
    """The commands that repair this user; a run file comes first, where none is named."""
    user_id = _shown(case.person.user_id)
    who = f"--user{'=' if user_id.startswith('-') else ' '}{shlex.quote(user_id)}"
    if case.rows is None:
        return (f"sync-audit sync {pasted(Path(case.source))} {who} --apply",)
    return (f"sync-audit run {who} --run-file RUN.sqlite", f"sync-audit sync RUN.sqlite {who} --apply")


def _rows_in_brief(rows: Sequence[ClassifiedRow], page: Page) -> None:
    """The first rows, a line each."""
    page.heading(f"Training rows ({len(rows):,}, the latest first, times in UTC)" if rows else "Training rows: none")
    shown = rows[:FEW]
    width = max((len(_shown(each.row.model_row_id)) for each in shown), default=0)
    for each in shown:
        counts = each.verdict is RowClass.COUNTS
        status = _shown(each.row.training_status, 20) or "(null)"
        page.line(
            ("> ", "bold green") if counts else "  ",
            (_shown(each.row.model_row_id).ljust(width), BOLD),
            f"  {status:<10}  {to_minute(each.row.updated_at) or 'no date'}",
            ("  counts", "green") if counts else "",
        )
    if len(rows) > FEW:
        page.line(f"and {len(rows) - FEW:,} more", indent=2)


def _unfinished_row(user: AuditedUser) -> list[tuple[str, str]]:
    record = user.record
    if not record.unfinished:
        return []
    since = f", since {to_minute(record.began_at)} UTC" if record.began_at else ""
    return [
        ("Row", _shown(record.model_row_id)),
        ("It says", f"{_shown(record.training_status, 60) or '(null)'}{since}"),
        ("Training", _shown(record.training_id) or "(none recorded)"),
    ]


def _since(finding: Finding) -> list[tuple[str, str]]:
    if finding.status is not Status.NEEDS_SYNC:
        return []
    return [("Affected since", f"{to_minute(finding.affected_since)} UTC" if finding.affected_since else "(not known)")]


def _both_versions(user: AuditedUser) -> list[tuple[str, str]]:
    finding, recorded = user.finding, user.record.replicate_version_id
    latest, behind = finding.latest_version, finding.versions_behind
    if latest and recorded == latest:
        return [("Stored", latest), ("", _dated(finding.latest_version_created_at, "the latest version"))]
    far = "the same" if behind == 0 else f"{behind} version{'s' * (behind != 1)} behind" if behind else ""
    return [
        ("Stored", _shown(recorded) if (recorded or "").strip() else "(none)"),
        ("", _dated(finding.current_version_created_at, far)),
        ("Latest", latest or "(not known)"),
        ("", _dated(finding.latest_version_created_at, "")),
    ]


def _dated(made: str | None, remark: str) -> str:
    return ", ".join(filter(None, (f"made {to_minute(made)} UTC" if made else "", remark)))


def _rows(rows: Sequence[ClassifiedRow], model: str | None, page: Page) -> None:
    page.heading(f"Training rows ({len(rows):,}, the latest first, times in UTC)" if rows else "Training rows: none")
    _rows_listed(rows, model, page)


def _rows_listed(rows: Sequence[ClassifiedRow], model: str | None, page: Page) -> None:
    few = len(rows) <= FIRST_ROWS + LAST_ROWS + 1
    first, between, last = (
        (rows, (), ()) if few else (rows[:FIRST_ROWS], rows[FIRST_ROWS:-LAST_ROWS], rows[-LAST_ROWS:])
    )
    first = (*first, *(each for each in between if each.verdict is RowClass.COUNTS))
    hidden = [each for each in between if each.verdict is not RowClass.COUNTS]
    width = max((len(_shown(each.row.model_row_id)) for each in (*first, *last)), default=0)
    for each in first:
        _row(each, page, width, other_model=each.row.replicate_model_id != model)
    if hidden:
        page.paragraph(f"{len(hidden):,} rows between are not shown: {_counted(hidden)}", indent=2, style=DIM)
    for each in last:
        _row(each, page, width, other_model=each.row.replicate_model_id != model)


def _counted(rows: Sequence[ClassifiedRow]) -> str:
    """How many of `rows` have each status, the most frequent ones first: "30 completed, 12 failed"."""
    counts = Counter(each.row.training_status or "(null)" for each in rows).most_common()
    told = [f"{number:,} {_shown(status, 20)}" for status, number in counts[:FIRST_ROWS]]
    others = sum(number for _, number in counts[FIRST_ROWS:])
    return ", ".join(told + ([f"{others:,} others"] if others else []))


def _row(classified: ClassifiedRow, page: Page, width: int, *, other_model: bool) -> None:
    row, counts = classified.row, classified.verdict is RowClass.COUNTS
    version = recorded_hash(row.replicate_version_id)
    shown = version[:HASH_SHOWN] if version else _shown(row.replicate_version_id, 30).strip() or "no version"
    dates = f"updated {to_minute(row.updated_at) or 'no date'}"
    began = f"begun {to_minute(row.created_at)}" if row.created_at else ""
    status = _shown(row.training_status, 20) or "(null)"
    page.line(
        ("> ", "bold green") if counts else "  ",
        (_shown(row.model_row_id).ljust(width), BOLD),
        f"  {status:<10}  {dates}  {shown}",
    )
    indent = width + 4
    if began or row.completed_at:
        ended = f"completed {to_minute(row.completed_at)}" if row.completed_at else ""
        page.paragraph(", ".join(filter(None, (began, ended))), indent=indent, style=DIM)
    if other_model:
        page.paragraph(f"model {_shown(row.replicate_model_id) or '(none)'}", indent=indent, style=DIM)
    style = "green" if counts else "bold yellow" if classified.verdict is RowClass.NEAR_MISS else ""
    page.paragraph(f"{'counts' if counts else 'does not count'}: {classified.why}", indent=indent, style=style)


def _versions(case: UserCase, finding: Finding, page: Page) -> None:
    total, versions = finding.total_versions, case.versions
    count = f"{total:,}" if total is not None else "not all are listed"
    shown = f"; the newest {len(versions)} of them" if total and total > len(versions) else ", newest first"
    page.heading(f"Versions on Replicate ({count}{shown})")
    for version in versions:
        latest = [("latest ", "bold green")] if version.id == finding.latest_version else []
        recorded = [("stored", BOLD)] if version.id == case.recorded else []
        page.line(
            f"{to_minute(version.created_at) or 'no date':<16}  {version.id[:HASH_SHOWN]}  ",
            *latest,
            *recorded,
            indent=2,
        )
    if case.user and case.user.record.replicate_version_id and case.recorded not in {each.id for each in versions}:
        where = "is an older one" if finding.versions_behind else "is not among them"
        page.line((f"The stored one {where}.", "bold yellow"), indent=2)


def _trainings(user: AuditedUser, page: Page) -> None:
    evidence, shown = user.finding.evidence, labelled(shown_trainings(user))
    if not shown and evidence != "training":
        return
    page.heading("Where it comes from")
    if evidence:
        page.paragraph(f"The verdict rests on: {BASIS[evidence]}", indent=2)
    for label, training in shown:
        page.line((label, BOLD), indent=2)
        facts = (
            ("Training", training.id),
            ("Ended as", training.status),
            ("Why", training.error),
            ("Trigger word used", training.trigger_word),
            ("Real weights URL", training.weights),
            ("Begun", f"{to_minute(training.created_at)} UTC" if training.created_at else ""),
            ("Ended", f"{to_minute(training.completed_at)} UTC" if training.completed_at else ""),
        )
        page.facts(((name, _shown(value, 600)) for name, value in facts), indent=4)


def _to_do(case: UserCase, hints: Mapping[Reason | Note, Hint], page: Page) -> None:
    if not case.user or case.user.finding.status is not Status.UP_TO_DATE:  # whose steps are the checklist
        page.heading("What to do")
        page.steps(next_steps(case))
    for note in case.user.finding.notes if case.user else ():
        page.heading(f"Note: {hints[note].title}")
        page.paragraph(hints[note].meaning, indent=2)
        page.steps(hints[note].steps)


def _checklist(items: Sequence[Item], page: Page) -> None:
    if items:
        page.heading("If the photos are bad")
    for item in items:
        word, colour = _VERDICTS[item.good]
        page.line((f"{word:<5}", colour), item.question, indent=2)
        if item.value:
            page.paragraph(_shown(item.value), indent=7, style=DIM)
        page.paragraph(item.verdict, indent=7)


def _links(links: Links | None, page: Page) -> None:
    if links is None:
        return
    page.heading("Links")
    page.facts(
        (
            ("Model", links.model or ""),
            ("Recorded version", links.recorded_version or ""),
            ("Latest version", (links.latest_version or "") if links.latest_version != links.recorded_version else ""),
            ("Trainings", links.trainings),
        )
    )


def _shown(text: str | None, limit: int = 200) -> str:
    return shortened(escape_controls(text or ""), limit)

"""The case of one user on the terminal, the verdict first."""

from collections.abc import Sequence

from audit.cli.terminal import BOLD, DIM, Page
from audit.commands.user.case import CaseRow, CaseVersion, UserCase
from audit.findings.rows import RowClass
from audit.hints.trainings import BASIS, ShownTrainings, labelled
from audit.model.codes import Status
from audit.model.ids import recorded_hash
from audit.model.text import escape_controls, shortened
from audit.model.times import to_minute
from audit.model.users import Person

HASH_SHOWN = 12
LISTED = 20
"""Of several who match, so many are listed."""
_COLOURS = {
    Status.UP_TO_DATE: "bold green",
    Status.NEEDS_SYNC: "bold yellow",
    Status.ERROR: "bold red",
    Status.NOT_CHECKED: "bold red",
}
_VERDICTS = {True: ("ok", "green"), False: ("bad", "bold red"), None: ("?", "bold yellow")}


def show(case: UserCase, page: Page) -> None:
    """Everything but the last line, which names the exit code's meaning."""
    _who(case, page)
    _verdict(case, page)
    page.heading("The last training")
    page.paragraph(case.last_training.title, indent=2, style=BOLD)
    page.paragraph(case.last_training.why, indent=2)
    if case.rows is not None:
        _rows(case.rows, case.replicate_model_id, page)
    if case.versions:
        _versions(case, page)
    _origins(case, page)
    _to_do(case, page)
    _checklist(case, page)
    _links(case, page)
    if case.not_known:
        page.heading("Not known")
        for each in case.not_known:
            page.paragraph(escape_controls(each), first="- ", indent=2)


def show_several(people: Sequence[Person], page: Page, *, more: bool) -> None:
    """Those among whom one has to be chosen, by what names each of them alone."""
    width = max(len(_shown(person.user_id)) for person in people[:LISTED])
    for person in people[:LISTED]:
        names = " ".join(filter(None, (_shown(person.email), _bracketed(person))))
        page.line((_shown(person.user_id).ljust(width), BOLD), f"  {names}", indent=2)
    rest = len(people) - LISTED
    if rest > 0:
        page.line(f"and {rest:,} {'or more ' if more else ''}others", indent=2)


def _bracketed(person: Person) -> str:
    if not person.in_users:
        return "(not in the table users)"
    return f"({_shown(person.display_name)})" if person.display_name else ""


def _who(case: UserCase, page: Page) -> None:
    page.line(
        (_shown(case.email or case.user_id), BOLD), *([f"  {_shown(case.display_name)}"] if case.display_name else [])
    )
    absent = "" if case.in_users else ", which is not in the table users"
    page.paragraph(f"User id {_shown(case.user_id)}{absent}", style=DIM)
    token = f"; token of {_shown(case.account)}" if case.account else ""
    page.paragraph(f"From {_shown(case.source)}{token}", style=DIM)


def _verdict(case: UserCase, page: Page) -> None:
    page.line()
    if case.status is None:
        page.line(("IN NO REPORT", "bold red"), "  No training of this user counts.", indent=2)
        return
    status = case.status.value.replace("_", " ").upper()
    reason = case.explained[0]
    page.line((status, _COLOURS[case.status]), f"  {reason.title}  ", (f"({reason.code.value})", DIM), indent=2)
    page.paragraph(reason.meaning, indent=2)
    if case.detail:
        page.paragraph(f"Cause: {escape_controls(case.detail)}", indent=2)
    page.line()
    page.facts((("Model", _shown(case.replicate_model_id) or "(none)"), *_both_versions(case)))


def _both_versions(case: UserCase) -> list[tuple[str, str]]:
    recorded, latest, behind = case.current_version, case.latest_version, case.versions_behind
    if latest and recorded == latest:
        return [("Recorded", latest), ("", _dated(case.latest_version_created_at, "the latest version"))]
    far = "the same" if behind == 0 else f"{behind} version{'s' * (behind != 1)} behind" if behind else ""
    return [
        ("Recorded", _shown(recorded) if (recorded or "").strip() else "(none)"),
        ("", _dated(case.current_version_created_at, far)),
        ("Latest", latest or "(not known)"),
        ("", _dated(case.latest_version_created_at, "")),
    ]


def _dated(made: str | None, remark: str) -> str:
    return ", ".join(filter(None, (f"made {to_minute(made)} UTC" if made else "", remark)))


def _rows(rows: Sequence[CaseRow], model: str | None, page: Page) -> None:
    page.heading(f"Training rows ({len(rows):,}, the latest first, times in UTC)" if rows else "Training rows: none")
    width = max((len(_shown(row.model_row_id)) for row in rows), default=0)
    for row in rows:
        _row(row, page, width, other_model=row.replicate_model_id != model)


def _row(row: CaseRow, page: Page, width: int, *, other_model: bool) -> None:
    mark = ("> ", "bold green") if row.counts else "  "
    version = recorded_hash(row.replicate_version_id)
    shown = version[:HASH_SHOWN] if version else _shown(row.replicate_version_id, 30).strip() or "no version"
    dates = f"updated {to_minute(row.updated_at) or 'no date'}"
    began = f"begun {to_minute(row.created_at)}" if row.created_at else ""
    status = _shown(row.training_status, 20) or "(null)"
    page.line(
        mark,
        (_shown(row.model_row_id).ljust(width), BOLD),
        f"  {status:<10}  {dates}  {shown}",
    )
    indent = width + 4
    if began or row.completed_at:
        ended = f"completed {to_minute(row.completed_at)}" if row.completed_at else ""
        page.paragraph(", ".join(filter(None, (began, ended))), indent=indent, style=DIM)
    if other_model:
        page.paragraph(f"model {_shown(row.replicate_model_id) or '(none)'}", indent=indent, style=DIM)
    counts = "counts" if row.counts else "does not count"
    style = "green" if row.counts else "bold yellow" if row.verdict is RowClass.NEAR_MISS else ""
    page.paragraph(f"{counts}: {row.why}", indent=indent, style=style)


def _versions(case: UserCase, page: Page) -> None:
    total = case.total_versions_on_replicate
    count = f"{total:,}" if total is not None else "not all are listed"
    shown = f"; the newest {len(case.versions)} of them" if total and total > len(case.versions) else ", newest first"
    page.heading(f"Versions on Replicate ({count}{shown})")
    for version in case.versions:
        page.line(
            f"{to_minute(version.created_at) or 'no date':<16}  {version.id[:HASH_SHOWN]}  ", *_marks(version), indent=2
        )
    if case.current_version and not any(version.recorded for version in case.versions):
        behind = case.versions_behind
        where = "is an older one" if behind else "is not among them"
        page.line((f"The recorded one {where}.", "bold yellow"), indent=2)


def _marks(version: CaseVersion) -> list[tuple[str, str]]:
    marks = [("latest ", "bold green")] if version.latest else []
    return marks + ([("recorded", BOLD)] if version.recorded else [])


def _origins(case: UserCase, page: Page) -> None:
    told = labelled(ShownTrainings(case.current_training, case.latest_training, case.later_training))
    if not told and case.evidence != "training":
        return
    page.heading("Where it comes from")
    if case.evidence:
        page.paragraph(f"The verdict rests on: {BASIS[case.evidence]}", indent=2)
    for label, training in told:
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


def _to_do(case: UserCase, page: Page) -> None:
    if case.next_steps and case.status is not Status.UP_TO_DATE:  # whose steps are the checklist
        page.heading("What to do")
        page.steps(case.next_steps)
    for note in case.explained[1:]:
        page.heading(f"Note: {note.title}")
        page.paragraph(note.meaning, indent=2)
        page.steps(note.steps)


def _checklist(case: UserCase, page: Page) -> None:
    if not case.checklist:
        return
    page.heading("If the pictures are poor")
    for point in case.checklist:
        word, colour = _VERDICTS[point.good]
        page.line((f"{word:<5}", colour), point.question, indent=2)
        if point.value:
            page.paragraph(_shown(point.value), indent=7, style=DIM)
        page.paragraph(point.verdict, indent=7)


def _links(case: UserCase, page: Page) -> None:
    links = case.links
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

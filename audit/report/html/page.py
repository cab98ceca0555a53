"""What the HTML page says above and around its rows: one declared, frozen view with strings ready to print."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from audit.findings.classify import wrong_account
from audit.hints import filled as hints
from audit.hints.filled import HINTS, Hint
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.shard import spelled
from audit.model.users import Population, email_or_id
from audit.report.html.charts import Chart, Segment, lag_charts, reasons_chart, split, split_text
from audit.report.html.data import Listed, packed
from audit.report.html.users import ACCEPTED_SHOWN, Placed, accepted, placed, shown, tables
from audit.report.html.words import anchor, generic, head, time_element
from audit.report.view import ATTENTION, RunBlock, RunView, TrainingsBlock
from audit.report.words import (
    MARK_TITLES,
    STATUS_TITLES,
    UNSEEN,
    counted,
    duration,
    exit_meaning,
    extent,
    headline,
    instant,
    narrowed,
    shards_fact,
    stale,
    trainings_facts,
)


class Choice(NamedTuple):
    """One entry of a list."""

    code: str
    title: str
    number: int


class Choices(NamedTuple):
    """The lists; the template goes through them in this order."""

    status: tuple[Choice, ...]
    reason: tuple[Choice, ...]
    note: tuple[Choice, ...]
    baseline: tuple[Choice, ...]
    """None without a baseline."""
    acceptance: tuple[Choice, ...]
    """None where nothing is accepted."""


def choices(view: RunView, listed: Listed, notes: Mapping[Note, int]) -> Choices:
    """All lists; `notes` are counted over those who are not up to date."""
    summary, missing = view.summary, bool(listed.left_out)
    statuses = {s: n for s, n in summary.statuses.items() if n and not (missing and s is Status.UP_TO_DATE)}
    reasons = {r: n for r, n in summary.reasons.items() if not (missing and r.status is Status.UP_TO_DATE)}
    marks = view.since_baseline.states if view.since_baseline else {}
    return Choices(
        tuple(Choice(status.value, STATUS_TITLES[status], n) for status, n in statuses.items()),
        tuple(Choice(reason.value, HINTS[reason].title, n) for reason, n in reasons.items()),
        tuple(Choice(n.value, HINTS[n].title, count) for n, count in (notes if missing else summary.notes).items()),
        tuple(Choice(m, MARK_TITLES[m], n) for m, n in marks.items() if n and not (missing and m == "resolved")),
        _acceptance(view),
    )


def _acceptance(view: RunView) -> tuple[Choice, ...]:
    if not view.accepted.total:
        return ()
    counts = (("yes", "Accepted", view.accepted.total), ("no", "Open", sum(view.open[each] for each in ATTENTION)))
    return tuple(Choice(*each) for each in counts)


_DEFAULT_BASE_URL = "https://api.replicate.com/v1"


def reproduce(run: RunBlock) -> str:
    """The command that makes this run again; secrets and the database come from the environment."""
    words = ["sync-audit", "run"]
    if run.base_url != _DEFAULT_BASE_URL:
        words += ["--base-url", run.base_url]
    if run.order_by != "updated_at":
        words += ["--order-by", run.order_by]
    words += [f"--user={who}" for who in run.filters.users]  # with "=", as it may begin with a dash
    if run.filters.limit is not None:
        words += ["--limit", str(run.filters.limit)]
    if run.shard:
        words += ["--shard", spelled(run.shard)]
    if run.filters.include_tests:
        words.append("--include-tests")
    if run.trainings:
        words += _trainings_options(run.trainings)
    if run.redacted:
        words.append("--redact")
    return shlex.join(words)


def _trainings_options(trainings: TrainingsBlock) -> list[str]:
    words = ["--trainings"]
    if trainings.mode == "trainings":
        words = ["--mode", "trainings", "--verify-sample", f"{trainings.sample:g}"]
    return words + (["--trainings-since", trainings.since] if trainings.since else [])


def run_facts(view: RunView) -> tuple[tuple[str, str], ...]:
    """Label and value of everything that is known of the run."""
    run = view.run
    sent = run.requests
    return (
        ("Run", run.id),
        ("State", run.state + (f": {run.stop_reason}" if run.stop_reason else "")),
        ("Started", time_element(run.started_at)),
        ("Finished", time_element(run.finished_at) or "not recorded"),
        ("Duration", duration(run.duration_seconds)),
        ("Database", run.database),
        ("Replicate", run.base_url),
        ("Account of the token", f"{run.account.username} ({run.account.type})" if run.account else "not known"),
        ("Latest model by", run.order_by),
        ("Test rows", "taken into account" if run.filters.include_tests else "left out"),
        ("Narrowed", narrowed(run) or "no: everybody"),
        *((("Merged from", shards_fact(run)),) if run.shards else ()),
        ("Acceptances", run.acceptances.file if run.acceptances else "none"),
        ("Requests", f"{sent.sent:,} sent, {sent.retried:,} of them repeated; {sent.throttled:,} answered with 429"),
        *(trainings_facts(run.trainings) if run.trainings else ()),
        ("Columns the database lacks", ", ".join(run.missing_columns) or "none"),
        ("Made by", f"sync-audit {view.tool_version}"),
    )


class Banner(NamedTuple):
    """Something about the whole report that must not be overlooked."""

    tone: str
    title: str
    text: str


class Count(NamedTuple):
    """One of the four counts, which lead to their sections."""

    tone: str
    label: str
    number: int
    share: str
    section: str
    """Where they are on the page."""


def banners(view: RunView) -> Iterator[Banner]:
    """What must not be overlooked, gravest first."""
    run, summary = view.run, view.summary
    missed = summary.statuses[Status.NOT_CHECKED]
    if run.state != "complete":
        why = f" Why: {run.stop_reason}." if run.stop_reason else ""
        how = "was stopped" if run.state == "stopped" else "was interrupted"
        left = f" {counted(missed, 'user')} {'was' if missed == 1 else 'were'} not reached." if missed else ""
        yield Banner("error", "Incomplete run", f"This run {how} before its end.{why}{left}")
    yield from _about_trainings(view)
    foreign = summary.notes.get(Note.OWNER_DIFFERS_FROM_ACCOUNT, 0)
    if run.account and wrong_account(run.account, summary):
        yield Banner(
            "error",
            "Probably the wrong token",
            f"It belongs to {run.account.username}, none of the models was found, and all of them are another "
            "account's. To strangers Replicate says that a private model does not exist. Use the token of the account "
            "that owns the models, and run again.",
        )
    elif run.account and 2 * foreign >= summary.total > 0:  # a few are a note, most of them are a wrong token
        yield Banner(
            "needs_sync",
            "Another account's models",
            f"The token belongs to {run.account.username}, but the models of {foreign:,} of "
            f"{counted(summary.total, 'user')} belong to another account. Private ones then look as if they did not "
            "exist.",
        )
    if view.since_baseline and run.baseline:
        marks, since = view.since_baseline.states, instant(run.baseline.started_at)
        yield Banner(
            "needs_sync" if marks["new"] else "not_checked",
            f"{marks['new']:,} new since the baseline",
            f"{marks['known']:,} known, {marks['resolved']:,} resolved since the run of {since} ({run.baseline.path}).",
        )
    for each in stale(run.acceptances):
        yield Banner("needs_sync", each.sentence, f"{each.text}.")
    if part := narrowed(run):
        yield Banner("not_checked", "Part of the users", f"The run was narrowed: {part}.")
    if run.redacted:
        yield Banner("not_checked", "Redacted", "E-mail addresses and names are masked in this report.")


def _about_trainings(view: RunView) -> Iterator[Banner]:
    """What they do not say, where they were read."""
    trainings = view.run.trainings
    if trainings is None or trainings.began_at is None:
        return
    if wrong := view.summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        yield Banner(
            "error",
            "Do not trust this run's trainings",
            f"Of those who were settled by their trainings and asked for as a check, {counted(wrong, 'user')} "
            f"{'is' if wrong == 1 else 'are'} not up to date by their versions, so others may be wrong as well. Audit "
            "everybody by versions: sync-audit run --mode versions",
        )
    if not trainings.complete:
        yield Banner(
            "needs_sync",
            "Trainings incomplete",
            f"{extent(trainings)}. What a training would say of older versions is missing here.",
        )
    if trainings.mode == "trainings":
        yield Banner(
            "not_checked",
            "By trainings",
            f"Settled by trainings alone, without asking for the model: {counted(trainings.users_settled, 'user')}. "
            f"What that does not see: {UNSEEN}.",
        )


def head_facts(run: RunBlock) -> tuple[tuple[str, str], ...]:
    """Label and value of what tells one report from another."""
    account = f"{run.account.username} ({run.account.type})" if run.account else "not known"
    return (
        ("Started", time_element(run.started_at)),
        ("Took", duration(run.duration_seconds)),
        ("Database", run.database),
        ("Replicate account", account),
    )


def status_count(view: RunView, status: Status) -> Count:
    """The count of `status` with its share of all users."""
    count, total, accepted = view.summary.statuses[status], view.summary.total, view.accepted.statuses.get(status, 0)
    share = 100 * count / total if total else 0.0
    text = "under 0.1 %" if 0 < share < 0.1 else "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"
    text = text.replace(".0 %", " %") + (f", {accepted:,} accepted" if accepted else "")
    section = status.value if view.open[status] else "accepted" if accepted else "why"
    return Count(status.value, STATUS_TITLES[status], count, text, section)


DrawTable = Callable[[str, Mapping[str, object]], Markup]
"""Template name and values -> the table."""
NAMED = 5
"""How many users a reason names."""


class Group(NamedTuple):
    """A reason or note that occurs, with its entry in the hint table and the first users it concerns."""

    code: str
    tone: str
    number: int
    hint: Hint
    users: tuple[tuple[str, str], ...]
    """Anchor and name; none where all of them are up to date."""
    section: str = ""
    """Where the others are on the page."""


class Section(NamedTuple):
    """The users of one status, streamed: `tables` can be gone through once."""

    status: str
    title: str
    number: int
    shown: int
    """How many of them have a static row."""
    in_table: bool
    """Whether the script has the others."""
    lead: str
    tables: Iterator[Markup]
    """Each a finished table of some rows."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole page, top to bottom."""

    title: str
    verdict: str
    """`ok`, `needs_sync`, `error` or `empty`: colours the headline and the icon in the browser's tab."""
    headline: str
    exit_meaning: str
    banners: tuple[Banner, ...]
    head_facts: tuple[tuple[str, str], ...]
    counts: tuple[Count, ...]
    total: int
    listed: Listed
    split: tuple[Segment, ...]
    split_text: str
    reasons: tuple[Group, ...]
    charts: tuple[Chart, ...]
    notes: tuple[Group, ...]
    answers: tuple[Hint, ...]
    population: tuple[tuple[str, int], ...]
    training_status: tuple[tuple[str, int], ...]
    sections: tuple[Section, ...]
    accepted: Iterator[Placed]
    accepted_number: int
    accepted_file: str
    accepted_left_out: int
    checklist: Hint
    run_facts: tuple[tuple[str, str], ...]
    command: str
    choices: Choices
    data: Iterator[Markup]
    """The table's users for the script, as base64 in pieces: no character of it means anything to HTML."""


def build(view: RunView, draw: DrawTable, listed: Listed) -> Page:
    """The page; the users in its sections are read when the template comes to them."""
    run, summary = view.run, view.summary
    verdict, sentence = headline(view)
    firsts, notes, lags = _survey(view)
    charts = (reasons_chart(summary), *lags)
    answers = hints.population_answers(view.population, summary, view.tables) if view.population else ()
    return Page(
        title=f"{sentence} · {run.database}",
        verdict=verdict,
        headline=sentence,
        exit_meaning=exit_meaning(view),
        banners=(*banners(view), *_left_out(listed)),
        head_facts=head_facts(run),
        counts=tuple(status_count(view, status) for status in Status),
        total=summary.total,
        listed=listed,
        split=split(summary),
        split_text=split_text(summary),
        reasons=tuple(
            _reason_group(view, reason, firsts[reason]) for reason in summary.reasons if reason != Reason.LATEST_VERSION
        ),
        charts=tuple(chart for chart in charts if chart.bars),
        notes=tuple(Group(note.value, "note", n, generic(note), ()) for note, n in summary.notes.items()),
        answers=answers,
        population=_population(view.population),
        training_status=tuple(view.population.training_status.items()) if view.population else (),
        sections=tuple(_section(view, status, draw, listed) for status in Status if view.open[status]),
        accepted=accepted(view),
        accepted_number=view.accepted.total,
        accepted_file=run.acceptances.file if run.acceptances else "",
        accepted_left_out=max(0, view.accepted.total - ACCEPTED_SHOWN),
        checklist=generic(Reason.LATEST_VERSION),
        run_facts=run_facts(view),
        command=reproduce(run),
        choices=choices(view, listed, notes),
        data=map(Markup, packed(view, listed)),
    )


def _survey(
    view: RunView,
) -> tuple[Mapping[Reason, tuple[tuple[str, str], ...]], Mapping[Note, int], tuple[Chart, ...]]:
    """Of those who are not up to date, in one pass: the first users of each reason, notes, and how far behind."""
    firsts: dict[Reason, tuple[tuple[str, str], ...]] = {}
    notes: Counter[Note] = Counter()

    def outdated() -> Iterator[tuple[int, AuditedUser]]:
        for status in ATTENTION:
            for place, user in placed(view, status) if view.summary.statuses[status] else ():
                reason = user.finding.reason
                notes.update(user.finding.notes)
                named = firsts.setdefault(reason, ())
                if len(named) < NAMED:
                    firsts[reason] = (*named, (anchor(place), head(email_or_id(user.record))))
                if reason is Reason.OUTDATED_VERSION:
                    yield place, user

    charts = lag_charts(outdated())
    return firsts, dict(sorted(notes.items(), key=lambda item: (-item[1], item[0]))), charts


def _left_out(listed: Listed) -> Iterator[Banner]:
    if listed.left_out:
        text = "The {:,} who are up to date are in every count, and in the CSV report of this run: <code>{}</code>"
        command = "sync-audit render RUN -o all.csv"
        title = "Only those who are not up to date are listed"
        yield Banner("not_checked", title, Markup(text).format(listed.left_out, command))  # noqa: S704 - ours


def _reason_group(view: RunView, reason: Reason, users: tuple[tuple[str, str], ...]) -> Group:
    section = reason.status.value if view.open[reason.status] else "accepted"
    return Group(reason.value, reason.status.value, view.summary.reasons[reason], generic(reason), users, section)


def _population(population: Population | None) -> tuple[tuple[str, int], ...]:
    if population is None:
        return ()
    return (
        ("Users", population.users),
        ("Users with a completed model", population.users_with_completed_model),
        ("Completed models that count", population.completed_models),
        ("Users with several completed models", population.users_with_several_completed_models),
        ("Completed models hidden by a newer one", population.completed_models_hidden),
        ("Completed models without a model id", population.completed_without_model_id),
        ("Completed test models left out", population.test_models_left_out),
        ("Completed models whose user does not exist", population.models_without_user),
    )


_LEADS = {
    Status.NEEDS_SYNC: "The product runs another version for these users than the newest one, or none.",
    Status.ERROR: "Nothing is known about these users: neither that they are up to date nor that they are not.",
    Status.NOT_CHECKED: "The run ended before their turn.",
    Status.UP_TO_DATE: "The recorded version is the latest one on Replicate.",
}


def _section(view: RunView, status: Status, draw: DrawTable, listed: Listed) -> Section:
    said = {"status": status.value, "title": STATUS_TITLES[status], "number": view.open[status], "tables": view.tables}
    return Section(
        status=status.value,
        title=STATUS_TITLES[status],
        number=view.open[status],
        shown=shown(view, status),
        in_table=status is not Status.UP_TO_DATE or not listed.left_out,
        lead=_LEADS[status],
        tables=(draw(table.template, {**said, "chunk": table}) for table in tables(view, status)),
    )

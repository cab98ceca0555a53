"""What the HTML page says above and around its rows, for its templates to ask."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from audit.findings.classify import wrong_account
from audit.hints.filled import NO_LINE_TITLES, population_answers
from audit.hints.own_names import names, steps_of
from audit.hints.table import HIDDEN, HINTS, Hint
from audit.hints.trainings import BASIS, NONE_MADE
from audit.model.codes import Note, Reason, Status
from audit.model.tables import Tables
from audit.model.times import to_second
from audit.model.users import email_or_id
from audit.report import words
from audit.report.answer import answer, facts
from audit.report.html import charts
from audit.report.html import users as html_users
from audit.report.html.data import Listed, packed
from audit.report.steps import reproduce, steps
from audit.report.view import ATTENTION, Placed, RunView
from audit.report.words import BASELINE_TITLES, STATUS_TITLES

_NAMED = 5
"""How many users a reason names."""
_PLACEHOLDERS = {
    "who": "‹user›",
    "model": "‹model id›",
    "recorded": "‹recorded version›",
    "latest": "‹latest version›",
    "behind": "‹number of versions›",
    "page": "‹the model's page›",
    "sql": "‹the query in the user's row›",
    "trigger": "‹trigger word›",
    "scale": "‹LoRA scale›",
    "weights": "‹weights URL›",
    "row": "‹id of the row›",
    "began": "‹when it began›",
    "training": "‹training id›",
    "hidden": HIDDEN,
    **dict.fromkeys(("detail", "others", "failure"), "‹see the user's row›"),
    **dict.fromkeys(("made_latest", "real_weights", "current_weights", "trained_trigger"), "‹see the user's row›"),
}
"""For a reader who looks at many users at once: what stands in the steps of the hint table instead of values."""


class Survey(NamedTuple):
    """Those who are not up to date, gone through once."""

    first: Mapping[Reason, tuple[Placed, ...]]
    """By reason, the most frequent one first: some users to be named."""
    notes: Mapping[Note, int]
    """How often each note occurs, largest first, then by name."""
    charts: tuple[charts.Chart, ...]
    """Those that have something to show."""


def survey(view: RunView) -> Survey:
    """Read the users who are not up to date."""
    first: dict[Reason, tuple[Placed, ...]] = {}
    notes: Counter[Note] = Counter()

    def in_need() -> Iterator[Placed]:
        for status in ATTENTION:
            for place, user in view.placed(status) if view.summary.statuses[status] else ():
                reason = user.finding.reason
                notes.update(user.finding.notes)
                if len(named := first.setdefault(reason, ())) < _NAMED:
                    first[reason] = (*named, (place, user))
                if status is Status.NEEDS_SYNC:
                    yield place, user

    lags = charts.lag_charts(in_need(), view.run.started_at, view.latest_per)
    return Survey(
        {reason: first[reason] for reason in view.summary.reasons if reason in first},
        dict(sorted(notes.items(), key=lambda item: (-item[1], item[0]))),
        tuple(chart for chart in (charts.reasons_chart(view.summary), *lags) if chart.bars),
    )


class Banner(NamedTuple):
    """Something about the whole report that must not be overlooked."""

    tone: str
    title: str
    text: str


def banners(view: RunView, listed: Listed) -> Iterator[Banner]:
    """What must not be overlooked, gravest first."""
    run, summary = view.run, view.summary
    missed = summary.statuses[Status.NOT_CHECKED]
    if run.state != "complete":
        why = f" Why: {run.stop_reason}." if run.stop_reason else ""
        how = "was stopped" if run.state == "stopped" else "was interrupted"
        left = f" {words.lines(view, missed)} {'was' if missed == 1 else 'were'} not reached." if missed else ""
        yield Banner("error", "Incomplete run", f"This run {how} before its end.{why}{left}")
    yield from _about_trainings(view)
    yield from _about_replicate(view)
    if view.since_baseline and run.baseline:
        marks, since = view.since_baseline.states, to_second(run.baseline.started_at)
        yield Banner(
            "needs_sync" if marks["new"] else "not_checked",
            f"{marks['new']:,} new since the baseline",
            f"{marks['known']:,} known, {marks['resolved']:,} resolved since the run of {since} ({run.baseline.path}).",
        )
    if run.baseline and run.baseline.other_place:
        yield Banner("needs_sync", "The baseline is of another database", f"{run.baseline.other_place}.")
    if unlooked := words.not_in_baseline(run):
        yield Banner("not_checked", "Not everything can be compared with the baseline", unlooked)
    for each in words.stale(view.accepted):
        yield Banner("needs_sync", each.sentence, f"{each.text}.")
    if part := words.narrowed(run):
        yield Banner("not_checked", f"Part of the {view.latest_per}s", f"The run was narrowed: {part}.")
    if run.redacted:
        yield Banner("not_checked", "Redacted", "E-mail addresses and names are masked in this report.")
    if listed.left_out:
        text = "The {:,} who are up to date are in every count, and in the CSV report of this run: <code>{}</code>"
        command = "sync-audit render RUN -o all.csv"
        title = "Only those who are not up to date are listed"
        yield Banner("not_checked", title, Markup(text).format(listed.left_out, command))  # noqa: S704 - ours


def _about_replicate(view: RunView) -> Iterator[Banner]:
    """Whether the way there, or the token, makes all answers doubtful."""
    run, summary = view.run, view.summary
    for doubt in words.suspicions(view):
        yield Banner("error", doubt.title, f"{doubt.text} {doubt.step}".rstrip())
    foreign = summary.notes.get(Note.OWNER_DIFFERS_FROM_ACCOUNT, 0)
    if run.none_found or wrong_account(run.account, summary):
        return  # it is said already
    if run.account and 2 * foreign >= summary.total > 0:  # a few are a note, most of them are a wrong token
        yield Banner(
            "needs_sync",
            "Another account's models",
            f"The token belongs to {run.account.username}, but the models of {foreign:,} of "
            f"{words.lines(view, summary.total)} belong to another account. Private ones then look as if they did not "
            "exist.",
        )


def _about_trainings(view: RunView) -> Iterator[Banner]:
    """What they do not say, where they were read."""
    trainings = view.run.trainings
    if trainings is None or trainings.began_at is None:
        return
    if wrong := view.summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        yield Banner(
            "error",
            "Do not trust this run's trainings",
            f"Of those who were settled by their trainings and asked for as a check, {words.lines(view, wrong)} "
            f"{'is' if wrong == 1 else 'are'} not up to date by their versions, so others may be wrong as well. Audit "
            "everybody by versions: sync-audit run --mode versions",
        )
    if not trainings.complete:
        yield Banner(
            "needs_sync",
            "Trainings incomplete",
            f"{words.extent(trainings)}. What a training would say of older versions is missing here.",
        )
    if trainings.mode == "trainings":
        yield Banner(
            "not_checked",
            "By trainings",
            f"Settled by trainings alone, without asking for the model: {words.lines(view, view.by_training)}. "
            f"What that does not see: {words.UNSEEN}.",
        )


def percent(count: int, total: int) -> str:
    """The share of a count: `12.3 %`, `under 0.1 %`."""
    share = 100 * count / total if total else 0.0
    text = "under 0.1 %" if 0 < share < 0.1 else "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"
    return text.replace(".0 %", " %")


class TableFilter(NamedTuple):
    """A list by which the script narrows its table; one without options is hidden."""

    id: str
    label: str
    options: Sequence[tuple[str, str, int]]
    """Code, title, and the number of users."""


def table_filters(view: RunView, listed: Listed, notes: Mapping[Note, int]) -> Iterator[TableFilter]:
    """All lists; `notes` are counted over those who are not up to date."""
    summary, missing = view.summary, bool(listed.left_out)
    statuses = {s: n for s, n in summary.statuses.items() if n and not (missing and s is Status.UP_TO_DATE)}
    reasons = {r: n for r, n in summary.reasons.items() if not (missing and r.status is Status.UP_TO_DATE)}
    marks = view.since_baseline.states if view.since_baseline else {}
    accepted, left = view.accepted.total, sum(view.open[each] for each in ATTENTION)
    yield TableFilter("status", "Status", [(s.value, STATUS_TITLES[s], n) for s, n in statuses.items()])
    yield TableFilter("reason", "Reason", [(r.value, HINTS[r].title, n) for r, n in reasons.items()])
    there = notes if missing else summary.notes
    yield TableFilter("note", "Note", [(note.value, HINTS[note].title, n) for note, n in there.items()])
    compared = [(m, BASELINE_TITLES[m], n) for m, n in marks.items() if n and not (missing and m == "resolved")]
    yield TableFilter("baseline", "Since the baseline", compared)
    both = [("yes", "Accepted", accepted), ("no", "Open", left)]
    yield TableFilter("acceptance", "Accepted", both if accepted else [])


def generic(code: Reason | Note, tables: Tables) -> Hint:
    """The hint of `code` with a word in the place of each value, and the tables' own names."""
    hint, own = HINTS[code], names(tables)
    known = {**_PLACEHOLDERS, "row_status": f"‹its {own['status_column']}›", **own}
    return Hint(hint.title, hint.meaning, tuple(step.format_map(known) for step in steps_of(code, tables)))


LEADS = {
    Status.NEEDS_SYNC: (
        "The product runs another version for these users than the newest one, wrong weights, or nothing, or does not "
        "know what became of a training."
    ),
    Status.ERROR: "Nothing is known about these users: neither that they are up to date nor that they are not.",
    Status.NOT_CHECKED: "The run ended before their turn.",
    Status.UP_TO_DATE: "The recorded version is the latest one on Replicate.",
}

FUNCTIONS: Mapping[str, object] = {
    "ACCEPTED_SHOWN": html_users.ACCEPTED_SHOWN,
    "BASELINE_TITLES": BASELINE_TITLES,
    "BASIS": BASIS,
    "HINTS": HINTS,
    "LEADS": LEADS,
    "NONE_MADE": NONE_MADE,
    "NO_LINE_TITLES": NO_LINE_TITLES,
    "NOT_RECORDED": html_users.NOT_RECORDED,
    "STATUSES": tuple(Status),
    "STATUS_TITLES": STATUS_TITLES,
    "accepted": html_users.accepted,
    "answer": answer,
    "answer_facts": facts,
    "anchor": html_users.anchor,
    "banners": banners,
    "chunks": html_users.chunks,
    "comparison": html_users.comparison,
    "facts": html_users.facts,
    "facts_left_out": html_users.facts_left_out,
    "table_filters": table_filters,
    "generic": generic,
    "lag": html_users.lag,
    "older": html_users.older,
    "packed": packed,
    "percent": percent,
    "population_answers": population_answers,
    "reproduce": reproduce,
    "sheet": html_users.Sheet,
    "next_steps": steps,
    "shown": html_users.shown,
    "split": charts.split,
    "split_text": charts.split_text,
    "words": words,
}
"""What templates may call."""
FILTERS: Mapping[str, object] = {
    "head": html_users.head,
    "short": words.short_hash,
    "to_second": to_second,
    "who": email_or_id,
}

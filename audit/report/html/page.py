"""What the HTML page says above and around its rows, for its templates to ask."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from audit.findings.classify import wrong_account
from audit.hints.filled import NO_LINE_TITLES, population_answers
from audit.hints.own_names import names, steps_of
from audit.hints.table import HIDDEN, HINTS, Hint
from audit.hints.trainings import BASIS, NONE_MADE
from audit.model.codes import Note, Reason, Status
from audit.model.times import to_second
from audit.model.users import email_or_id
from audit.report import words
from audit.report.answer import answer, facts
from audit.report.html import charts
from audit.report.html import users as html_users
from audit.report.html.data import packed
from audit.report.html.tabs import table_filters, tabs
from audit.report.steps import reproduce, steps
from audit.report.view import ATTENTION, Placed, RunView
from audit.report.words import BASELINE_TITLES, STATUS_TITLES

_WRONG_TOKEN = "Probably the wrong token"  # noqa: S105 - a title
_NAMED = 5
"""How many users a reason names."""
_PLACEHOLDERS = {
    "who": "‹user›",
    "model": "‹model id›",
    "recorded": "‹stored version›",
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
    owner: str
    """The account of all their models, which then needs not be said in every line; "" where there are several."""


def survey(view: RunView) -> Survey:
    """Read the users who are not up to date."""
    first: dict[Reason, tuple[Placed, ...]] = {}
    notes: Counter[Note] = Counter()
    owners: set[str] = set()
    for status in ATTENTION:
        for place, user in view.placed(status) if view.summary.statuses[status] else ():
            reason = user.finding.reason
            notes.update(user.finding.notes)
            owner, slash, _ = (user.record.replicate_model_id or "").partition("/")
            if slash and len(owners) < 2:
                owners.add(owner)
            if len(named := first.setdefault(reason, ())) < _NAMED:
                first[reason] = (*named, (place, user))
    return Survey(
        {reason: first[reason] for reason in view.summary.reasons if reason in first},
        dict(sorted(notes.items(), key=lambda item: (-item[1], item[0]))),
        owners.pop() if len(owners) == 1 else "",
    )


class Banner(NamedTuple):
    """Something about the whole report that must not be overlooked, and that its first sentences do not say."""

    title: str
    text: str


def banners(view: RunView) -> Iterator[Banner]:
    """What must not be overlooked, gravest first."""
    run = view.run
    yield from _about_replicate(view)
    yield from _about_trainings(view)
    if run.baseline and run.baseline.other_place:
        yield Banner("The baseline is of another database", f"{run.baseline.other_place}.")
    if view.since_baseline and run.baseline:
        marks, since = view.since_baseline.states, to_second(run.baseline.started_at)
        yield Banner(
            f"{marks['new']:,} new since the baseline",
            f"{marks['known']:,} known, {marks['resolved']:,} resolved since the run of {since} ({run.baseline.path}).",
        )
    if unlooked := words.not_in_baseline(run):
        yield Banner("Not everything can be compared with the baseline", unlooked)
    for each in words.stale(view.accepted):
        yield Banner(each.sentence, f"{each.text}.")
    if run.redacted:
        yield Banner("Redacted", "E-mail addresses and names are masked.")


def _about_replicate(view: RunView) -> Iterator[Banner]:
    """Whether the way there, or the token, makes all answers doubtful."""
    run, summary = view.run, view.summary
    strangers = "Replicate tells strangers that a private model does not exist"
    if run.none_found and run.account:  # whose token and whose models is the headline, what to do the first step
        yield Banner(_WRONG_TOKEN, f"{strangers}, so the others were not asked for.")
    elif run.account and wrong_account(run.account, summary):
        owner = run.account.username
        yield Banner(_WRONG_TOKEN, f"It belongs to {owner}, and all models to somebody else. {strangers}.")
    else:
        for doubt in words.suspicions(view):
            yield Banner(doubt.title, doubt.text)
    foreign = summary.notes.get(Note.OWNER_DIFFERS_FROM_ACCOUNT, 0)
    if run.none_found or wrong_account(run.account, summary):
        return  # it is said already
    if run.account and 2 * foreign >= summary.total > 0:  # a few are a note, most of them are a wrong token
        yield Banner(
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
            "Do not trust this run's trainings",
            f"Of those who were settled by their trainings and asked for as a check, {words.lines(view, wrong)} "
            f"{'is' if wrong == 1 else 'are'} not up to date by their versions, so others may be wrong as well. Audit "
            "everybody by versions: sync-audit run --mode versions",
        )
    if not trainings.complete:
        yield Banner(
            "Trainings incomplete",
            f"{words.extent(trainings)}. What a training would say of older versions is missing here.",
        )
    if trainings.mode == "trainings":
        yield Banner(
            "By trainings",
            f"Settled by trainings alone, without asking for the model: {words.lines(view, view.by_training)}. "
            f"What that does not see: {words.UNSEEN}.",
        )


def generic(code: Reason | Note, view: RunView) -> Hint:
    """The hint of `code` with a word in the place of each value, and the tables' own names."""
    hint, tables = HINTS[code], view.run.tables
    own = names(tables)
    known = {**_PLACEHOLDERS, "row_status": f"‹its {own['status_column']}›", **own}
    return Hint(
        hint.title, hint.meaning, tuple(words.of_run(step.format_map(known), view) for step in steps_of(code, tables))
    )


FUNCTIONS: Mapping[str, object] = {
    "ACCEPTED_SHOWN": html_users.ACCEPTED_SHOWN,
    "BASELINE_TITLES": BASELINE_TITLES,
    "BASIS": BASIS,
    "HINTS": HINTS,
    "NONE_MADE": NONE_MADE,
    "NO_LINE_TITLES": NO_LINE_TITLES,
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
    "days_affected": html_users.days_affected,
    "table_filters": table_filters,
    "tabs": tabs,
    "generic": generic,
    "histogram": charts.histogram,
    "trend": charts.trend,
    "older": html_users.older,
    "packed": packed,
    "population_answers": population_answers,
    "reproduce": reproduce,
    "sheet": html_users.Sheet,
    "next_steps": steps,
    "shown": html_users.shown,
    "words": words,
}
"""What templates may call."""
FILTERS: Mapping[str, object] = {
    "digits": html_users.digits,
    "day": html_users.day,
    "head": html_users.head,
    "short": words.short_hash,
    "to_second": to_second,
    "who": email_or_id,
}

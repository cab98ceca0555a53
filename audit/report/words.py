"""What reports say in words: of the run itself, its answer, its facts, and what somebody should look at."""

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from audit.findings.acceptance import Accepted
from audit.findings.classify import wrong_account, wrong_base_url
from audit.findings.comparison import ComparedRun, not_looked_for
from audit.hints import filled as hints
from audit.hints.table import HINTS, PER_MODEL
from audit.model.codes import LatestPer, Status
from audit.model.findings import Acceptance, BaselineState
from audit.model.lines import counted_lines, told_apart
from audit.model.replies import TrainingsRead
from audit.model.run import RunInfo
from audit.model.tables import Column, shown_counts
from audit.model.text import escape_controls
from audit.model.times import duration, to_second
from audit.model.users import ModelRecord, email_or_id
from audit.report.view import RunView

STATUS_TITLES = {
    Status.NEEDS_SYNC: "Needs sync",
    Status.ERROR: "Check failed",
    Status.NOT_CHECKED: "Not reached",
    Status.UP_TO_DATE: "Up to date",
}
BASELINE_TITLES: Mapping[BaselineState, str] = {"new": "New", "known": "Known", "resolved": "Resolved"}
"""How a user compares with the baseline."""
_REPLICATE = "https://replicate.com/"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 user`, `2,310 users`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def lines(view: RunView, count: int) -> str:
    """So many lines, by what has one: `1 user`, `2,310 models`."""
    return counted_lines(count, view.latest_per)


def everybody(view: RunView) -> str:
    """All lines of the run: `640 users`, `800 models of 640 users`."""
    total = lines(view, view.summary.total)
    return total if view.latest_per == "user" else f"{total} of {counted(view.summary.users, 'user')}"


def which(view: RunView, record: ModelRecord) -> str:
    """What tells the line from others of the user, for a person: "acme/ann-cat", "row 17"; "" where there is one."""
    return told_apart(record.replicate_model_id, record.model_row_id, view.latest_per)


def named(view: RunView, record: ModelRecord) -> str:
    """The user, and which line it is where there may be several: `ann@example.com (acme/ann-cat)`."""
    name, part = email_or_id(record, redacted=view.run.redacted), which(view, record)
    return f"{name} ({part})" if part else name


def days(count: float) -> str:
    """`less than a day`, `1 day`, `212 days`."""
    return "less than a day" if count < 1 else counted(math.floor(count), "day")


MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
"""Whatever language the machine is set to."""


def long_date(iso: str) -> str:
    """`18 January 2026`: the day of a time in UTC, for a sentence."""
    year, month, day = (int(part) for part in iso[:10].split("-"))
    return f"{day} {MONTHS[month - 1]} {year}"


_OF_A_RUN = re.compile(r"(sync-audit (?:run --resume|sync|render) )RUN\b")


def of_run(step: str, view: RunView) -> str:
    """`step` of the hint table with this run's file in its command; a name that would be a field of it stays out."""
    name = view.file_name
    if "{" in name:
        return step
    return _OF_A_RUN.sub(lambda match: match[1] + shlex.quote(escape_controls(name)), step)


def short_hash(text: str) -> str:
    """Long texts without their middle; hashes differ at both ends."""
    return text if len(text) <= 20 else f"{text[:8]}…{text[-8:]}"


def model_page(record: ModelRecord, named: str | None = None) -> str | None:
    """The only address away from the page that a report links to: the model on Replicate."""
    url = hints.model_url(record, named)
    return url if url and url.startswith(_REPLICATE) else None


Dressing = Callable[[str, int], str]
"""How a format shows a text from data, of which it takes so many characters at the most."""
LONG, SHORT = 500, 100
"""Characters of a text from data, for formats that have a limit."""


def bare(text: str, _room: int) -> str:
    """The text as it is, for a format that makes it safe, and cuts it, where it puts it."""
    return text


def nobody(view: RunView) -> str:
    """Why there is no line at all."""
    population = view.population
    if population is None:
        return "The run ended before any user was read"
    if view.empty_shard and view.run.shard:
        return f"No user is in {view.run.shard.label}"
    if population.users_with_completed_model:
        return "Nobody was audited: no user matches what the run was narrowed to"
    return "Nobody was audited: no user has a completed model"


def part_checked(view: RunView) -> str:
    """How many users were checked where that is not all: "Trial run: 20 of 800 users checked"; else ""."""
    run, coverage = view.run, view.coverage
    if coverage is None or view.whole:
        return ""
    if run.shard:
        what = run.shard.label.capitalize() + (", chosen users" if run.filters.users else "")
    elif run.filters.limit is not None:
        what = "Trial run"
    else:
        what = "Chosen users" if view.part else "Incomplete run"
    if view.part and run.state != "complete":
        what += ", incomplete"
    return f"{what}: {coverage.checked:,} of {lines(view, coverage.eligible)} checked"


def state(run: RunInfo | ComparedRun, data: Dressing = bare) -> str:
    """`complete`, `stopped: why`."""
    return run.state + (f": {data(run.stop_reason, LONG)}" if run.stop_reason else "")


def account(run: RunInfo | ComparedRun, data: Dressing = bare) -> str:
    """Whose token it was: `acme (organization)`."""
    return f"{data(run.account.username, SHORT)} ({data(run.account.type, SHORT)})" if run.account else "not known"


def took(view: RunView) -> str:
    """How long the run took."""
    return "not known" if view.duration_seconds is None else duration(view.duration_seconds, exact=True)


def requests(run: RunInfo) -> str:
    """How many requests there were."""
    sent = run.requests
    return f"{sent.sent:,} sent, {sent.retried:,} of them repeated; {sent.throttled:,} answered with 429"


def about_test_rows(run: RunInfo) -> str:
    """What became of rows with `is_test`."""
    return "taken into account" if run.filters.include_tests else "left out"


def narrowed(run: RunInfo) -> str:
    """How the users of the run were narrowed, to follow "the run was narrowed", or ""."""
    parts = []
    if run.filters.users:
        parts.append("to users " + ", ".join(run.filters.users))
    if run.filters.limit is not None:
        parts.append(f"to the first {counted_lines(run.filters.limit, run.latest_per)}")
    if run.shard:
        parts.append(f"to {run.shard.label}: {run.shard.share}")
    return " and ".join(parts)


def merged_from(run: RunInfo) -> str:
    """Which shards a run was merged from, or ""."""
    if not run.shards:
        return ""
    odd = [f"{each.number} {each.state}" for each in run.shards if each.state != "complete"]
    return counted(len(run.shards), "shard") + (f": {', '.join(odd)}" if odd else "")


def coverage_facts(view: RunView) -> Iterator[tuple[str, str]]:
    """Label and value of how many users the run is about; nothing where they were not counted."""
    coverage, population = view.coverage, view.population
    if coverage is None or population is None:
        return
    in_all = f"{coverage.users:,}" if view.latest_per == "user" else counted(coverage.users, "user")
    yield "Checked", f"{coverage.checked:,} of {lines(view, coverage.eligible)}; {in_all} in the database"
    if view.latest_per != "user":
        yield "A line for each", _LINES_OF[view.latest_per]
    if unfinished := population.users_with_unfinished_training:
        only = population.users_with_unfinished_only
        yield "Users with an unfinished training", f"{unfinished:,}, {only:,} of them without a completed model"
    for why, number in view.without_line.items():
        yield hints.NO_LINE_TITLES[why], f"{number:,}: they are in no line"


_LINES_OF: Mapping[LatestPer, str] = {
    "user": "user",
    "model": "user and model (latest_per = model)",
    "row": "completed row (latest_per = row)",
}


def status_column(view: RunView) -> str:
    """What the database calls it, for a heading."""
    return escape_controls(view.run.tables.user_models.called("training_status"))


def unknown_statuses(view: RunView) -> str:
    """Rows by the words of `training_status` that mean nothing to the audit, or ""."""
    counts = view.population.training_status if view.population else {}
    return shown_counts(view.run.tables.unknown(counts))


def completed_line(view: RunView) -> str | None:
    """The line of the config file that would make rows count; see `hints.completed_line`."""
    return hints.completed_line(view.population, view.run.tables) if view.population else None


def weights_unchecked(view: RunView) -> str:
    """That nobody knows whether recorded weights are the right ones, and how to find out; else ""."""
    run = view.run
    if not view.summary.total or Column.LORA_WEIGHTS_URL in run.missing_columns or run.tables.weights == "ignore":
        return ""
    if run.trainings and run.trainings.began_at:
        return ""
    there = "" if run.check_weights else " Whether they are still there: run --check-weights."
    return f"Weights were not checked. Whether they are those of the stored version: run --trainings.{there}"


def beside(view: RunView) -> str:
    """What is wrong with completed rows beside findings on newer ones, or ""."""
    also = view.summary.also
    if not also:
        return ""
    listed = ", ".join(f"{count:,} {HINTS[reason].title.lower()}" for reason, count in also.items())
    users = sum(also.values())
    whose = lines(view, users)
    rows = f"the completed row of {whose} needs" if users == 1 else f"the completed rows of {whose} need"
    return f"Beside their newer ones, {rows} attention too: {listed}."


def further_models(view: RunView) -> str:
    """That many users have models that are not judged, and what would judge them; else ""."""
    population = view.population
    if population is None or view.latest_per != "user":
        return ""
    several = population.users_with_several_models
    if several * 10 < max(population.users_with_completed_model, 1):  # somebody who began anew now and then
        return ""
    have = f"{counted(several, 'user')} {'has' if several == 1 else 'have'}"
    return f"{have} further models that were not judged. If they are all in use: {PER_MODEL}."


def not_in_baseline(run: RunInfo) -> str:
    """Of which findings nobody knows whether they are new, as the baseline did not look for them; else ""."""
    if run.baseline is None:
        return ""
    missed = not_looked_for("The baseline", run.baseline.looked_for, run.looked_for)
    return f"{missed}: such findings are marked neither as new nor as known, and do not count as new." if missed else ""


UNSEEN = "versions that were pushed or deleted by hand, where trainings settle the user"
"""What `--mode trainings` is blind to."""


def extent(trainings: TrainingsRead) -> str:
    """How far the list was read, as a sentence without its end."""
    if trainings.began_at is None:
        return "not begun"
    read = f"{counted(trainings.read, 'training')} read"
    back = f", back to {to_second(trainings.back_to)}" if trainings.back_to else ""
    if trainings.complete:
        return f"{read}{back}: as far as needed" if trainings.since else f"{read}{back}: all there are"
    return f"{read}{back}, not as far as needed: {trainings.problem or 'the run ended before'}"


def trainings_facts(view: RunView) -> Iterator[tuple[str, str]]:
    """Label and value of what reading trainings came to; nothing where they were not read."""
    trainings = view.run.trainings
    if trainings is None:
        return
    by_trainings = trainings.mode == "trainings"
    settled = lines(view, view.by_training)
    yield "List of trainings", extent(trainings)
    yield "Settled by trainings alone", settled if by_trainings else "nobody: everybody was asked for"
    yield "Asked for by versions", f"{lines(view, view.answered)} with an answer"
    if by_trainings:
        yield "Asked for as a check", f"{trainings.sample:g} % of those whom trainings settle"
        yield "Not to be seen", UNSEEN
    if trainings.unreadable:
        yield "Unreadable trainings", f"{trainings.unreadable:,}"


def weights_fact(view: RunView) -> str:
    """What asking for weights came to, or "" where that was not wanted."""
    if (asked := view.weights) is None:
        return ""
    if not asked.asked:
        return "none: no recorded URL of theirs lies on Replicate's delivery hosts"
    not_told = f", {asked.not_told:,} unclear" if asked.not_told else ""
    return f"{counted(asked.asked, 'URL')}: {asked.gone:,} gone{not_told}"


_NAMED = 5


class Suspicion(NamedTuple):
    """Something about the whole run that makes its findings doubtful."""

    title: str
    text: str
    """Sentences."""


_WRONG_TOKEN = "Probably the wrong token"  # noqa: S105 - a title


def _wrong_token(view: RunView, data: Dressing) -> Suspicion | None:
    """Whose token it is, whose models, and how to go on, where not one of them was found."""
    run = view.run
    if run.account is None:
        return None
    strangers = "To strangers Replicate says that a private model does not exist"
    if run.none_found:
        whose = run.none_found.whose(run.account, lambda text: data(text, SHORT))
        text = f"T{whose[1:]}. {strangers}, so the others were not asked for."
        return Suspicion(_WRONG_TOKEN, text)
    if not wrong_account(run.account, view.summary):
        return None
    return Suspicion(
        _WRONG_TOKEN,
        f"No model was found, and the token belongs to {data(run.account.username, SHORT)}. All models are another "
        f"account's. {strangers}. Use the token of the account that owns the models, and run again.",
    )


def suspicions(view: RunView, data: Dressing = bare) -> Iterator[Suspicion]:
    """What was wrong with the token or the way to Replicate, as far as the findings show it."""
    if wrong_token := _wrong_token(view, data):
        yield wrong_token
    if wrong_base_url(view.run.account, view.summary):
        yield Suspicion(
            "Probably the wrong base URL",
            f"Not one answer was Replicate's own. Either {data(view.run.base_url, SHORT)} is not its API, or a proxy "
            "or gateway in between answers in its place. Check --base-url and REPLICATE_BASE_URL, then run again.",
        )
    if view.weights and view.weights.all_gone:
        told = view.weights.gone
        yield Suspicion(
            "Do not trust that all weights are gone",
            f"Every one of the {told:,} URLs that told anything was answered as gone. Probably the way to Replicate's "
            "delivery hosts is wrong: a proxy or gateway in between answers in their place. Open one of the URLs from "
            "another machine before anything is repaired.",
        )


class Stale(NamedTuple):
    """Acceptances of one kind that somebody should look at."""

    sentence: str
    """Our own words, with no text from data."""
    entries: tuple[str, ...]
    """The first of them, as data has them."""
    more: str
    """"and 3 more", or ""."""

    @property
    def text(self) -> str:
        """The entries in one line."""
        return ", ".join(self.entries) + (f" {self.more}" if self.more else "")


def stale(accepted: Accepted) -> Iterator[Stale]:
    """Which acceptances have expired, and which match nobody."""
    if expired := accepted.expired:
        it = "it" if len(expired) == 1 else "they"
        sentence = f"{counted(len(expired), 'acceptance')} expired, and what {it} accepted counts again"
        yield _stale(sentence, expired, until=True)
    if unmatched := accepted.unmatched:
        verb = "matches" if len(unmatched) == 1 else "match"
        yield _stale(f"{counted(len(unmatched), 'acceptance')} {verb} nobody", unmatched, until=False)


def _stale(sentence: str, entries: Sequence[Acceptance], *, until: bool) -> Stale:
    named = tuple(_named(entry) + (f", until {entry.until}" if until else "") for entry in entries[:_NAMED])
    return Stale(sentence, named, f"and {len(entries) - _NAMED:,} more" if len(entries) > _NAMED else "")


def _named(entry: Acceptance) -> str:
    who = ", ".join(filter(None, (entry.user, entry.model and f"model {entry.model}")))
    return f"{who} ({' and '.join(HINTS[reason].title.lower() for reason in entry.reasons)})"

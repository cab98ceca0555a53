"""What the HTML page says above and around its rows: one declared, frozen view with strings ready to print."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from markupsafe import Markup

from audit import hints
from audit.hints import Hint
from audit.models import Note, Population, Reason, Status, Summary
from audit.report.html_charts import Chart, Segment, lag_charts, reasons_chart, split, split_text
from audit.report.html_rows import attention_row, chunks, up_to_date_row
from audit.report.html_words import STATUS_TITLES, anchor, counted, duration, generic, head, instant
from audit.report.view import RunBlock, RunView

_NAMED = 5
"""How many users a group names."""

_DEFAULT_BASE_URL = "https://api.replicate.com/v1"


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


class Group(NamedTuple):
    """A reason or note that occurs, with its entry in the hint table and the first users it concerns."""

    code: str
    tone: str
    number: int
    hint: Hint
    users: tuple[tuple[str, str], ...]
    """Anchor and name; none where all of them are up to date."""


class Section(NamedTuple):
    """The users of one status, streamed: `tables` can be gone through once."""

    status: str
    title: str
    number: int
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
    split: tuple[Segment, ...]
    split_text: str
    reasons: tuple[Group, ...]
    charts: tuple[Chart, ...]
    notes: tuple[Group, ...]
    answers: tuple[Hint, ...]
    population: tuple[tuple[str, int], ...]
    training_status: tuple[tuple[str, int], ...]
    sections: tuple[Section, ...]
    checklist: Hint
    run_facts: tuple[tuple[str, str], ...]
    command: str


DrawTable = Callable[[str, Mapping[str, object]], Markup]
"""Template name and values -> the table."""


def build(view: RunView, draw: DrawTable) -> Page:
    """The page; the users in its sections are read when the template comes to them."""
    run, summary = view.run, view.summary
    verdict, headline = _headline(view)
    charts = (reasons_chart(summary), *lag_charts(view.users(reason=Reason.OUTDATED_VERSION)))
    answers = hints.population_answers(view.population, summary) if view.population else ()
    return Page(
        title=f"{headline} · {run.database}",
        verdict=verdict,
        headline=headline,
        exit_meaning=_exit_meaning(verdict),
        banners=tuple(_banners(view)),
        head_facts=_head_facts(run),
        counts=tuple(_count(status, summary) for status in Status),
        total=summary.total,
        split=split(summary),
        split_text=split_text(summary),
        reasons=tuple(_reason_group(view, reason) for reason in summary.reasons if reason != Reason.LATEST_VERSION),
        charts=tuple(chart for chart in charts if chart.bars),
        notes=tuple(Group(note.value, "note", n, generic(note), ()) for note, n in summary.notes.items()),
        answers=answers,
        population=_population(view.population),
        training_status=tuple(view.population.training_status.items()) if view.population else (),
        sections=tuple(_section(view, status, draw) for status in Status if summary.statuses[status]),
        checklist=generic(Reason.LATEST_VERSION),
        run_facts=_run_facts(view),
        command=reproduce(run),
    )


def reproduce(run: RunBlock) -> str:
    """The command that makes this run again; secrets and the database come from the environment."""
    words = ["sync-audit", "run"]
    if run.base_url != _DEFAULT_BASE_URL:
        words += ["--base-url", run.base_url]
    if run.order_by != "updated_at":
        words += ["--order-by", run.order_by]
    for who in run.filters.users:
        words += ["--user", who]
    if run.filters.limit is not None:
        words += ["--limit", str(run.filters.limit)]
    if run.filters.include_tests:
        words.append("--include-tests")
    if run.redacted:
        words.append("--redact")
    return shlex.join(words)


def _headline(view: RunView) -> tuple[str, str]:
    summary = view.summary
    total, need = summary.total, summary.statuses[Status.NEEDS_SYNC]
    failed, missed = summary.statuses[Status.ERROR], summary.statuses[Status.NOT_CHECKED]
    if total == 0:
        if view.population is None:
            return "error", "The run ended before any user was read"
        nobody = view.population.users_with_completed_model == 0
        return "empty", "Nobody has a completed model" if nobody else "No user matches what the run was narrowed to"
    if not need and not failed and not missed:
        return "ok", "The only user is up to date" if total == 1 else f"All {total:,} users are up to date"
    verb = "needs" if 1 in {need, total} else "need"
    parts = [f"{need:,} of {counted(total, 'user')} {verb} a sync"]
    if failed:
        parts.append(f"{failed:,} could not be checked")
    if missed:
        parts.append(f"{missed:,} {'was' if missed == 1 else 'were'} not reached")
    return "error" if failed or missed else "needs_sync", "; ".join(parts)


def _exit_meaning(verdict: str) -> str:
    return {
        "ok": "Every user was checked. Nothing has to be done.",
        "needs_sync": "Every user was checked. Those in need run an old version until their record is corrected.",
        "error": "The picture is incomplete: what could not be checked is neither good nor bad.",
        "empty": "There was nothing to check.",
    }[verdict]


def _banners(view: RunView) -> Iterator[Banner]:
    run, summary = view.run, view.summary
    missed = summary.statuses[Status.NOT_CHECKED]
    if run.state != "complete":
        why = f" Why: {run.stop_reason}." if run.stop_reason else ""
        how = "was stopped" if run.state == "stopped" else "was interrupted"
        left = f" {counted(missed, 'user')} {'was' if missed == 1 else 'were'} not reached." if missed else ""
        yield Banner("error", "Incomplete run", f"This run {how} before its end.{why}{left}")
    foreign = summary.notes.get(Note.OWNER_DIFFERS_FROM_ACCOUNT, 0)
    if run.account and 2 * foreign >= summary.total > 0:  # a few are a note, most of them are a wrong token
        yield Banner(
            "needs_sync",
            "Another account's models",
            f"The token belongs to {run.account.username}, but the models of {foreign:,} of "
            f"{counted(summary.total, 'user')} belong to another account. Private ones then look as if they did not "
            "exist.",
        )
    if run.filters.users or run.filters.limit is not None:
        yield Banner("not_checked", "Part of the users", f"The run was narrowed: {_narrowed(run)}.")
    if run.redacted:
        yield Banner("not_checked", "Redacted", "E-mail addresses and names are masked in this report.")


def _narrowed(run: RunBlock) -> str:
    parts = []
    if run.filters.users:
        parts.append("to users " + ", ".join(run.filters.users))
    if run.filters.limit is not None:
        parts.append(f"to the first {counted(run.filters.limit, 'user')}")
    return " and ".join(parts)


def _head_facts(run: RunBlock) -> tuple[tuple[str, str], ...]:
    account = f"{run.account.username} ({run.account.type})" if run.account else "not known"
    return (
        ("Started", instant(run.started_at)),
        ("Took", duration(run.duration_seconds)),
        ("Database", run.database),
        ("Replicate account", account),
    )


def _count(status: Status, summary: Summary) -> Count:
    count, total = summary.statuses[status], summary.total
    share = 100 * count / total if total else 0.0
    text = "under 0.1 %" if 0 < share < 0.1 else "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"
    return Count(status.value, STATUS_TITLES[status], count, text.replace(".0 %", " %"))


def _reason_group(view: RunView, reason: Reason) -> Group:
    first = islice(view.users(reason=reason), _NAMED)
    users = tuple((anchor(u.record.user_id), head(u.record.email or u.record.user_id)) for u in first)
    return Group(reason.value, reason.status.value, view.summary.reasons[reason], generic(reason), users)


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


def _section(view: RunView, status: Status, draw: DrawTable) -> Section:
    title, number = STATUS_TITLES[status], view.summary.statuses[status]
    return Section(status.value, title, number, _LEADS[status], _tables(view, status, draw))


def _tables(view: RunView, status: Status, draw: DrawTable) -> Iterator[Markup]:
    """Whole tables, not rows: a template that is included passes each of its many pieces up through all others."""
    said = {"status": status.value, "title": STATUS_TITLES[status], "number": view.summary.statuses[status]}
    users = view.users(status=status)
    if status is Status.UP_TO_DATE:
        for calm in chunks(users, up_to_date_row):
            yield draw("up_to_date.html", {**said, "chunk": calm})
    else:
        for urgent in chunks(users, attention_row):
            yield draw("attention.html", {**said, "chunk": urgent})


def _run_facts(view: RunView) -> tuple[tuple[str, str], ...]:
    run = view.run
    sent = run.requests
    return (
        ("Run", run.id),
        ("State", run.state + (f": {run.stop_reason}" if run.stop_reason else "")),
        ("Started", instant(run.started_at)),
        ("Finished", instant(run.finished_at) or "not recorded"),
        ("Duration", duration(run.duration_seconds)),
        ("Database", run.database),
        ("Replicate", run.base_url),
        ("Account of the token", f"{run.account.username} ({run.account.type})" if run.account else "not known"),
        ("Latest model by", run.order_by),
        ("Test rows", "taken into account" if run.filters.include_tests else "left out"),
        ("Narrowed", _narrowed(run) or "no: everybody"),
        ("Requests", f"{sent.sent:,} sent, {sent.retried:,} of them repeated; {sent.throttled:,} answered with 429"),
        ("Columns the database lacks", ", ".join(run.missing_columns) or "none"),
        ("Made by", f"sync-audit {view.tool_version}"),
    )

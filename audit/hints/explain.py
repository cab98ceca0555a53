"""Reasons, notes and exit codes explained for nobody in particular: what each means, and what to do."""

import difflib
from collections.abc import Iterable, Iterator, Mapping

from audit.hints.own_names import names, steps_of
from audit.hints.table import HIDDEN, HINTS, Hint
from audit.model import exit_status
from audit.model.codes import Note, Reason, Status
from audit.model.tables import PLAIN, Tables


class Explanation(Hint, frozen=True):
    """A hint with its code, and the heading that it is listed under."""

    code: str
    group: str


_GROUPS: Mapping[str, str] = {
    Status.NEEDS_SYNC: "Needs sync (needs_sync)",
    Status.ERROR: "Check failed (error)",
    Status.NOT_CHECKED: "Not reached (not_checked)",
    Status.UP_TO_DATE: "Up to date (up_to_date)",
}
_OF_NOTES = "Notes (they change no status)"
_ANYBODY = {
    "who": "<user>",
    "model": "<model id>",
    "recorded": "<stored version>",
    "latest": "<latest version>",
    "behind": "<number of versions>",
    "page": "https://replicate.com/<owner>/<name>",
    "sql": "sync-audit user <user>",
    "detail": "<details in the report>",
    "trigger": "<trigger word>",
    "scale": "<LoRA scale>",
    "weights": "<weights URL>",
    "others": "<users in the report>",
    "failure": "<failure_reason of that row>",
    "made_latest": "<training that made the latest version>",
    "real_weights": "<weights URL of that training>",
    "current_weights": "<weights URL of the training that made the stored version>",
    "row": "<row id>",
    "began": "<when it began>",
    "training": "<training id>",
    "trained_trigger": "<trigger word of that training>",
    "hidden": HIDDEN,
}
"""What stands in the place of a user's values in the steps."""
_EXITS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    exit_status.OK: ("All users are up to date", ("Nothing to do. After `doctor`: all checks are ok.",)),
    exit_status.BUG: (
        "A bug in this program",
        (
            "Report it with the traceback; it contains no token and no password.",
            "If there is a run file, finish the run: sync-audit run --resume RUN",
        ),
    ),
    exit_status.USAGE: (
        "Wrong usage",
        (
            "The line above the last one names the option or variable, and the values it takes.",
            "All options of a command: sync-audit COMMAND --help",
        ),
    ),
    exit_status.NEEDS_SYNC: (
        "At least one user needs a sync",
        (
            "Open the report: it lists the users, and what to do for each.",
            "Preview the fix: sync-audit sync RUN; one user in detail: sync-audit user USER_ID",
            "For a CI job that only reports: --exit-zero makes it 0.",
            "After `doctor` it means warnings: each has its next step.",
        ),
    ),
    exit_status.INCOMPLETE: (
        "Some users could not be checked",
        (
            "Look up the reason of each user whose check failed: sync-audit explain REASON",
            "Retry temporary failures, and check who was not reached: sync-audit run --resume RUN",
            "If nobody was audited, the summary says which word may mean completed; --allow-empty makes it 0.",
        ),
    ),
    exit_status.COULD_NOT_RUN: (
        "Could not start, or could not write",
        (
            "The lines above the last one say why, and what to do next.",
            "Find the cause: sync-audit doctor (after `doctor`, 5 means that a check failed)",
        ),
    ),
    exit_status.HUNG_UP: (
        "Stopped because its terminal was closed",
        (
            "Start long runs in tmux or screen, or with nohup: they then keep running without a terminal.",
            "Finish the run; no user is checked twice: sync-audit run --resume RUN",
        ),
    ),
    exit_status.INTERRUPTED: (
        "Stopped by Ctrl-C",
        ("Finish the run; no user is checked twice: sync-audit run --resume RUN",),
    ),
    exit_status.TERMINATED: (
        "Stopped from outside",
        (
            "Something sent SIGTERM: the CI job's time limit, a stopped container, a machine that shut down.",
            "Finish the run; no user is checked twice: sync-audit run --resume RUN",
        ),
    ),
}


def of_tables(code: Reason | Note, tables: Tables) -> Explanation:
    """What `code` means, for nobody in particular, by the names of these tables."""
    hint = HINTS[code]
    status = names(tables)["status_column"]
    values = {**_ANYBODY, "row_status": f"<{status}>", **names(tables)}
    group = _GROUPS[code.status] if isinstance(code, Reason) else _OF_NOTES
    steps = tuple(step.format_map(values) for step in steps_of(code, tables))
    return Explanation(hint.title, hint.meaning, steps, code.value, group)


def _listed(codes: Iterable[Reason | Note]) -> Iterator[Explanation]:
    for code in codes:
        yield of_tables(code, PLAIN)


def _all() -> Iterator[Explanation]:
    for status in _GROUPS:
        yield from _listed(reason for reason in Reason if reason.status is status)
    yield from _listed(Note)
    for code, (title, steps) in _EXITS.items():
        yield Explanation(title, exit_status.RUN[code].sentence, steps, str(code), "Exit codes")


EXPLANATIONS = tuple(_all())
"""Every reason, note and exit code, by group, in the order of the reports."""


def explanation(typed: str) -> Explanation | None:
    """The one of this code or title, in any case, with blanks or hyphens for underscores; None where there is none."""
    wanted = _plain(typed)
    return next((each for each in EXPLANATIONS if wanted in (each.code, _plain(each.title))), None)


def of_status(typed: str) -> list[Explanation]:
    """The reasons of the status that somebody typed; empty where it is none."""
    group = _GROUPS.get(_plain(typed))
    return [each for each in EXPLANATIONS if each.group == group]


def nearest(typed: str) -> list[str]:
    """Up to three codes to suggest: those that begin with what was typed, then those that look like it."""
    wanted = _plain(typed)
    if not wanted:
        return []
    by_name = {each.code: each.code for each in EXPLANATIONS} | {_plain(each.title): each.code for each in EXPLANATIONS}
    begin = [name for name in by_name if name.startswith(wanted)]
    alike = difflib.get_close_matches(wanted, by_name, n=6, cutoff=0.5)
    return list(dict.fromkeys(by_name[name] for name in (*begin, *alike)))[:3]


def _plain(text: str) -> str:
    return "_".join(text.strip().casefold().removeprefix("exit").replace("-", " ").replace("_", " ").split())

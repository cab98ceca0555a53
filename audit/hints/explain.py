"""Every code that this program ends in or writes into a report, explained without a user at hand. Pure."""

import difflib

import msgspec

from audit.hints.table import HINTS
from audit.model import exit_status
from audit.model.codes import Note, Reason, Status


class Explanation(msgspec.Struct, frozen=True):
    """One code."""

    code: str
    group: str
    title: str
    meaning: str
    steps: tuple[str, ...]


_GROUPS = {
    Status.NEEDS_SYNC: "Reasons to sync (needs_sync)",
    Status.ERROR: "Reasons why a user could not be checked (error)",
    Status.NOT_CHECKED: "Reason why a user was not looked at (not_checked)",
    Status.UP_TO_DATE: "Reason why all is well (up_to_date)",
}
# What steps name in braces, said of users in general.
_ANYBODY = {
    "who": "<user>",
    "model": "<model id>",
    "recorded": "<recorded version>",
    "latest": "<latest version>",
    "behind": "<some versions>",
    "page": "https://replicate.com/<owner>/<name>",
    "sql": "sync-audit user <user>",
    "detail": "<detail in the report>",
    "trigger": "<trigger word>",
    "scale": "<LoRA scale>",
    "weights": "<weights URL>",
    "others": "<users in the report>",
    "failure": "<failure_reason of that row>",
    "made_latest": "<training that made the latest version>",
    "real_weights": "<weights URL of that training>",
    "current_weights": "<weights URL of the training that made the recorded version>",
    "trained_trigger": "<trigger word of that training>",
}
_EXITS: dict[int, tuple[str, tuple[str, ...]]] = {
    exit_status.OK: ("All is well", ("Nothing to do. After `doctor`: all checks are ok.",)),
    exit_status.BUG: (
        "A bug in this program",
        (
            "Report it with the traceback, in which there is no token and no password.",
            "A run file that was begun can be finished: sync-audit run --resume RUN",
        ),
    ),
    exit_status.USAGE: (
        "Wrong usage",
        (
            "The line above the last one names the option or variable and says what it takes.",
            "All options of a command: sync-audit COMMAND --help",
        ),
    ),
    exit_status.NEEDS_SYNC: (
        "Somebody needs a sync",
        (
            "Open the report: it names the users, and for each the steps.",
            "One user in full: sync-audit user USER_ID",
            "A CI job that only reports ends in 0 with --exit-zero.",
            "After `doctor` it means warnings: each stands there with its next step.",
        ),
    ),
    exit_status.INCOMPLETE: (
        "Not everybody could be checked",
        (
            "Look at the reasons of the users in error: sync-audit explain REASON",
            "What had failed in passing, or was not reached, is asked again by: sync-audit run --resume RUN",
        ),
    ),
    exit_status.COULD_NOT_RUN: (
        "Could not start or write",
        (
            "The lines above the last one name the cause and the next step.",
            "Find out what stands in the way: sync-audit doctor (where it means that a check failed)",
        ),
    ),
    exit_status.INTERRUPTED: (
        "Stopped by Ctrl-C",
        ("Finish the run, without asking again what is answered: sync-audit run --resume RUN",),
    ),
    exit_status.TERMINATED: (
        "Stopped from outside",
        (
            "Something sent SIGTERM: a time limit of the CI job, a container that was stopped, a machine shut down.",
            "Finish the run, without asking again what is answered: sync-audit run --resume RUN",
        ),
    ),
}


def _hints(codes: list[Reason] | list[Note], group: str) -> list[Explanation]:
    return [
        Explanation(
            code.value,
            group,
            HINTS[code].title,
            HINTS[code].meaning,
            tuple(step.format_map(_ANYBODY) for step in HINTS[code].steps),
        )
        for code in codes
    ]


EXPLANATIONS: tuple[Explanation, ...] = (
    *(
        each
        for status, group in _GROUPS.items()
        for each in _hints([reason for reason in Reason if reason.status is status], group)
    ),
    *_hints(list(Note), "Notes, which change no status"),
    *(
        Explanation(str(code), "Exit codes", title, exit_status.RUN[code].sentence, steps)
        for code, (title, steps) in _EXITS.items()
    ),
)
"""All of them, by group, in the order of the reports."""


def explanation(typed: str) -> Explanation | None:
    """The entry for what somebody typed: case, hyphens and blanks do not matter, and a title serves as well."""
    wanted = _plain(typed)
    for each in EXPLANATIONS:
        if wanted in (each.code, _plain(each.title)):
            return each
    return None


def of_status(typed: str) -> list[Explanation]:
    """The reasons of a status, where it is one that somebody typed."""
    wanted = _plain(typed)
    return [each for each in EXPLANATIONS if wanted in set(Status) and each.group == _GROUPS[Status(wanted)]]


def nearest(typed: str) -> list[str]:
    """Up to three codes that begin like it or else look like it, the most alike first."""
    wanted = _plain(typed)
    if not wanted:
        return []
    by_name = {each.code: each.code for each in EXPLANATIONS} | {_plain(each.title): each.code for each in EXPLANATIONS}
    begin = [name for name in by_name if name.startswith(wanted)]
    alike = difflib.get_close_matches(wanted, by_name, n=6, cutoff=0.5)
    return list(dict.fromkeys(by_name[name] for name in (*begin, *alike)))[:3]


def _plain(text: str) -> str:
    return "_".join(text.strip().casefold().removeprefix("exit").replace("-", " ").replace("_", " ").split())

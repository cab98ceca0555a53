"""A run in a few lines for a chat, in Slack's own markup or as plain text."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from audit.model.codes import Status
from audit.model.text import escape_controls, shortened
from audit.report.answer import answer
from audit.report.steps import Step, steps
from audit.report.view import RunView
from audit.report.words import named

Flavour = Literal["slack", "text"]
NAMED = 5
_ROOM_FOR_A_NAME = 60
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")
"""What a chat may take for the name of somebody to be called, but for e-mail addresses."""


def summary_message(view: RunView, flavour: Flavour, run: str) -> str:
    """The message; nothing from data formats it, or calls anybody. `run` is the path of the run file."""
    slack = flavour == "slack"
    said = answer(view, lambda text, room: _harmless(shortened(text, room), slack=slack))
    lines = [f"{_bold(said.title, slack=slack)}: {said.headline}", *said.below]
    step = next((each for each in steps(view, run) if each.command or each.people), None)
    lines += [_fix(step, slack=slack)] if step else []
    lines += _affected(view, slack=slack)
    return "\n".join(lines) + "\n"


def _fix(step: Step, *, slack: bool) -> str:
    text = _harmless(step.text, slack=slack)
    return f"{text}: {_code(step.command, slack=slack)}" if step.command else f"{text}."


def _affected(view: RunView, *, slack: bool) -> Iterator[str]:
    if not (count := view.open[Status.NEEDS_SYNC]):
        return
    users = (user for user in view.users(Status.NEEDS_SYNC) if not user.accepted)
    names = [shortened(named(view, user.record), _ROOM_FOR_A_NAME) for user in islice(users, NAMED)]
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    yield f"Affected: {', '.join(_code(name, slack=slack, exact=False) for name in names)}{more}"


def _bold(text: str, *, slack: bool) -> str:
    return f"*{text}*" if slack else text


def _code(text: str, *, slack: bool, exact: bool = True) -> str:
    """As code, in which Slack formats nothing; an `exact` text that cannot be code stays what it is."""
    if slack and not exact:
        text = text.replace("`", "'")
    shown = _harmless(text, slack=slack)
    return f"`{shown}`" if slack and "`" not in text else shown


def _harmless(text: str, *, slack: bool) -> str:
    """`text` without control characters, and with nothing that calls people or, in Slack, is markup of a link."""
    text = _MENTION.sub("@\N{WORD JOINER}", escape_controls(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") if slack else text

"""The nouns of `doctor`: results, each ok, warn, fail or skip, and what all of them together come to."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from audit.errors import AuditError
from audit.model.exit_status import DOCTOR, ExitStatus
from audit.model.text import escape_controls
from audit.model.times import duration

CLOCK_TOLERANCE = 5.0
"""Seconds. Replicate tells its time to the second only, and a distant server answers late."""


class State(StrEnum):
    """How one check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """It could not be made, because of another one that failed."""


class Group(StrEnum):
    """What a check is about; the order is the order on the screen."""

    SETTINGS = "settings"
    DATABASE = "database"
    PEOPLE = "people"
    REPLICATE = "replicate"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One check, made."""

    group: Group
    name: str
    """Stable, for programs: "database_reachable"."""
    title: str
    state: State
    figure: str
    """What was found, in one or two lines for a person; control characters are spelled out."""
    next_step: str = ""
    """What to do where it is not ok."""
    data: Mapping[str, Any] = {}
    """The same figures for programs."""


class Diagnosis(msgspec.Struct, frozen=True):
    """All checks, in the order of the screen."""

    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[State, int]:
        """Every state has a key."""
        return {state: sum(each.state is state for each in self.results) for state in State}

    @property
    def exit_status(self) -> ExitStatus:
        """The worst check decides."""
        counts = self.counts
        return DOCTOR[5 if counts[State.FAIL] else 3 if counts[State.WARN] else 0]


def skipped(group: Group, names: Iterable[tuple[str, str]], why: str) -> list[Result]:
    """Results for checks (name and title) that could not be made."""
    return [Result(group=group, name=name, title=title, state=State.SKIP, figure=why) for name, title in names]


def failed(group: Group, check: tuple[str, str], error: AuditError | None) -> Result:
    """The result for a check that ended in `error`."""
    name, title = check
    said = escape_controls(str(error or "not looked at"))
    step = escape_controls(error.next_step) if error else ""
    return Result(group=group, name=name, title=title, state=State.FAIL, figure=said, next_step=step)


def clock_result(group: Group, check: tuple[str, str], ahead: float | None, step: str) -> Result:
    """A clock that is `ahead` of ours by so many seconds."""
    name, title = check
    off = ahead is not None and abs(ahead) > CLOCK_TOLERANCE
    figure = "not said"
    if ahead is not None:
        size = duration(abs(ahead)) if abs(ahead) >= 1 else "less than a second"
        apart = f"{size} {'ahead of' if ahead > 0 else 'behind'} this machine's"
        figure = apart if off else f"agrees with this machine's to {size}"
    return Result(
        group=group,
        name=name,
        title=title,
        state=State.WARN if off else State.OK,
        figure=figure,
        next_step=step if off else "",
        data={"ahead_seconds": None if ahead is None else round(ahead, 3)},
    )

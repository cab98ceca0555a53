"""The checks of `doctor`: each ends as ok, warn, fail or skip, and all of them together make the diagnosis."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from audit.errors import AuditError
from audit.model.exit_status import COULD_NOT_RUN, DOCTOR, NEEDS_SYNC, OK, ExitStatus
from audit.model.text import escape_controls
from audit.model.times import duration

CLOCK_TOLERANCE = 5.0
"""Seconds. Replicate tells its time to the second only, and a distant server answers late."""


class CheckState(StrEnum):
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


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check, made."""

    group: Group
    name: str
    """Stable, for programs: "database_reachable"."""
    title: str
    state: CheckState
    figure: str
    """What was found, in one or two lines for a person; control characters are spelled out."""
    next_step: str = ""
    """What to do where it is not ok."""
    data: Mapping[str, Any] = {}
    """The same figures for programs."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that `doctor` looks at. Its methods make the result, with the fields of `CheckResult`."""

    group: Group
    name: str
    title: str

    def result(self, state: CheckState, figure: str, next_step: str = "", /, **data: object) -> CheckResult:
        """A result in `state`; the other methods choose it."""
        return CheckResult(
            group=self.group,
            name=self.name,
            title=self.title,
            state=state,
            figure=figure,
            next_step=next_step,
            data=data,
        )

    def ok(self, figure: str, /, **data: object) -> CheckResult:
        """As it should be."""
        return self.result(CheckState.OK, figure, **data)

    def warn(self, figure: str, next_step: str, /, **data: object) -> CheckResult:
        """An audit can run; something is to be looked at."""
        return self.result(CheckState.WARN, figure, next_step, **data)

    def fail(self, figure: str, next_step: str, /, **data: object) -> CheckResult:
        """An audit cannot run, or would find nobody."""
        return self.result(CheckState.FAIL, figure, next_step, **data)

    def warn_if(self, next_step: str, figure: str, /, **data: object) -> CheckResult:
        """A warning where `next_step` says what to do, else ok."""
        return self.result(CheckState.WARN if next_step else CheckState.OK, figure, next_step, **data)

    def skip(self, why: str) -> CheckResult:
        """It could not be made."""
        return self.result(CheckState.SKIP, why)

    def error(self, error: AuditError | None, /, **data: object) -> CheckResult:
        """It ended in `error`."""
        step = escape_controls(error.next_step) if error else ""
        return self.fail(escape_controls(str(error or "not checked")), step, **data)

    def clock(self, ahead: float | None, next_step: str) -> CheckResult:
        """A clock that is `ahead` of ours by so many seconds; None where that is not known."""
        off = ahead is not None and abs(ahead) > CLOCK_TOLERANCE
        figure = "not known"
        if ahead is not None:
            size = duration(abs(ahead)) if abs(ahead) >= 1 else "less than a second"
            apart = f"{size} {'ahead of' if ahead > 0 else 'behind'} this machine's"
            figure = apart if off else f"agrees with this machine's to {size}"
        rounded = None if ahead is None else round(ahead, 3)
        return self.warn_if(next_step if off else "", figure, ahead_seconds=rounded)


class Diagnosis(msgspec.Struct, frozen=True):
    """All checks, in the order of the screen."""

    results: tuple[CheckResult, ...]

    @property
    def counts(self) -> dict[CheckState, int]:
        """Every state has a key."""
        return {state: sum(each.state is state for each in self.results) for state in CheckState}

    @property
    def exit_status(self) -> ExitStatus:
        """The worst check decides; the meaning names those that are not ok: "2 checks failed, 1 warning"."""
        failed, warnings = self.counts[CheckState.FAIL], self.counts[CheckState.WARN]
        warned = f"{warnings} warning{'s' * (warnings != 1)}"
        if failed:
            cause = f"{failed} check{'s' * (failed != 1)} failed"
            return ExitStatus(COULD_NOT_RUN, f"{cause}, {warned}" if warnings else cause)
        if warnings:
            return ExitStatus(NEEDS_SYNC, f"an audit can run, with {warned}")
        return DOCTOR[OK]

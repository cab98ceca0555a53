"""How many of all lines a run has checked: of users, or of what else has a line."""

from collections.abc import Mapping

import msgspec

from audit.model.codes import NoLine, Status
from audit.model.findings import Summary
from audit.model.users import Population


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """As text it is the "20/800" of the CSV report."""

    users: int
    """All who are in the database."""
    eligible: int
    """Lines of a report of everybody: one for each user, unless each model or row of theirs has one."""
    checked: int
    """Those of which this run knows whether they are up to date."""

    def __str__(self) -> str:
        return f"{self.checked}/{self.eligible}"


def eligible_lines(population: Population, without_line: Mapping[NoLine, int]) -> int:
    """Lines of a report of everybody; `without_line` are those whose newest row was looked at, and that are none."""
    return population.lines_completed + population.lines_unfinished_only - sum(without_line.values())


def coverage(population: Population, without_line: Mapping[NoLine, int], summary: Summary) -> Coverage:
    """What a run has checked."""
    lines = eligible_lines(population, without_line)
    return Coverage(
        users=population.users,
        eligible=max(lines, summary.total),  # the database may have changed between the shards of a merged run
        checked=summary.statuses[Status.UP_TO_DATE] + summary.statuses[Status.NEEDS_SYNC],
    )

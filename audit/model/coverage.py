"""How many of all users a run has checked."""

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
    """Those who would have a line in a report of everybody."""
    checked: int
    """Those of whom this run knows whether they are up to date."""

    def __str__(self) -> str:
        return f"{self.checked}/{self.eligible}"


def eligible_users(population: Population, without_line: Mapping[NoLine, int]) -> int:
    """Users who would have a line; `without_line` are those whose newest row was looked at, and who are in none."""
    return population.users_with_completed_model + population.users_with_unfinished_only - sum(without_line.values())


def coverage(population: Population, without_line: Mapping[NoLine, int], summary: Summary) -> Coverage:
    """What a run has checked."""
    lines = eligible_users(population, without_line)
    return Coverage(
        users=population.users,
        eligible=max(lines, summary.total),  # the database may have changed between the shards of a merged run
        checked=summary.statuses[Status.UP_TO_DATE] + summary.statuses[Status.NEEDS_SYNC],
    )

"""Which runs may stand side by side in a trend."""

from audit.model.place import place_differences
from audit.model.run import RunInfo, is_narrowed


def is_whole(info: RunInfo) -> bool:
    """Whether the run was about everybody, and came to its end."""
    return info.state == "complete" and not is_narrowed(info.filters, info.shard) and not info.missing_shards


def is_same_place(one: RunInfo, other: RunInfo) -> bool:
    """Whether both runs compared the same tables with the same Replicate; never so for a demo."""
    here, there = one.address, other.address
    known_alike = (one.place is None) == (other.place is None)
    same = known_alike and one.base_url == other.base_url and not any(place_differences(here, there))
    return same and not one.made_up and not other.made_up


def is_comparable(one: RunInfo, other: RunInfo) -> bool:
    """Whether the counts of both mean the same: same place, and whatever decides who has a line and what is found."""
    return is_same_place(one, other) and _choices(one) == _choices(other)


def _choices(info: RunInfo) -> tuple[object, ...]:
    mode = info.trainings.mode if info.trainings else "versions"
    who = (info.tables, info.order_by, info.filters.include_tests)
    return (*who, mode, info.looked_for, info.stuck_after)

"""What a model's versions look like under a `Disguise`: on the wire, and to a client that sees through it."""

import random

from audit.demo.faults import Dates, Disguise, Repeated, Shuffled, UpperCase
from audit.models import Version

MISSING = "missing"
"""In place of a date: the field is left out."""

Versions = tuple[Version, ...]


def listed(disguise: Disguise, versions: Versions) -> Versions:
    """The versions as they go over the wire."""
    match disguise:
        case Shuffled(seed=seed):
            shuffled = list(versions)
            random.Random(seed).shuffle(shuffled)  # noqa: S311 (an order, not a secret)
            return tuple(shuffled)
        case Dates(form="null"):
            return _dated(disguise, versions, None)
        case Dates(form="missing"):
            return _dated(disguise, versions, MISSING)
        case Dates(form="malformed"):
            return _dated(disguise, versions, "last tuesday")
        case Dates(form="equal"):
            return _dated(disguise, versions, versions[0].created_at)
        case UpperCase():
            return tuple(Version(version.id.upper(), version.created_at) for version in versions)
        case Repeated():
            late = (versions[0], *versions[:-1])
            return tuple(version for pair in zip(versions, late, strict=True) for version in pair) + versions[-1:]
        case _:
            return versions


def understood(disguise: Disguise, versions: Versions) -> Versions:
    """The versions as a good client reads them off `listed`."""
    match disguise:
        case UpperCase() | Repeated():
            return versions
        case Dates(form="null" | "missing" | "malformed"):
            return _dated(disguise, versions, None)
        case _:
            return listed(disguise, versions)


def _dated(disguise: Dates, versions: Versions, date: str | None) -> Versions:
    count = len(versions) if disguise.only is None else disguise.only
    return tuple(Version(version.id, date) for version in versions[:count]) + versions[count:]

"""Which dates of a row are which. Pure."""

from collections.abc import Sequence
from typing import Literal

from audit.commands.init.places import Place, View
from audit.commands.init.values import Seen, as_moment, as_number

Date = Literal["created_at", "completed_at", "updated_at", "started_at"]
_NAMES: dict[Date, tuple[str, ...]] = {
    "created_at": (
        *("created", "inserted", "added", "requested", "submitted", "create", "ctime", "creation", "made", "born"),
        *("enqueued", "queued", "date_created"),
    ),
    "completed_at": (
        *("completed", "finished", "ended", "trained", "ready", "succeeded", "done", "completion", "finish", "end"),
        *("complete",),
    ),
    "updated_at": ("updated", "modified", "changed", "update", "touched", "mtime", "edited", "refreshed"),
    "started_at": ("started", "start", "begun", "began"),
}
_OTHERS = (
    *("deleted", "archived", "removed", "expires", "expire", "expiry", "expired", "used", "published", "viewed"),
    *("login", "billing", "paid", "seen", "reminder", "notified", "sent", "birth", "trial", "renews", "verified"),
    *(
        "confirmed",
        "accepted",
        "invited",
        "synced",
        "failed",
        "canceled",
        "cancelled",
        "until",
        "due",
        "sign",
        "signed",
    ),
    *("hidden", "trashed", "email", "password", "banned", "subscription", "payment", "next", "retry", "polled"),
)


def dates(view: View, done: Seen | None, used: Sequence[Place]) -> dict[Date, Place]:
    """The dates of rows by the audit's names. `done` has a text where a row has a version."""
    taken = {(place.column.name, place.path) for place in used}
    free = [place for place in view.places if (place.column.name, place.path) not in taken]
    found: dict[Date, Place] = {}
    kinds = (
        [place for place in free if place.is_column and place.kind == "date"],
        [made for place in free if (made := _made(place)) is not None],
    )
    for places in kinds:
        if found:
            break  # an expression is for tables that have no date of their own
        found = _by_name(places)
        if places is kinds[0]:
            _by_value([place for place in places if not place.called(*_OTHERS)], found, done)
    return found


def _by_name(places: Sequence[Place]) -> dict[Date, Place]:
    found: dict[Date, Place] = {}
    for date, names in _NAMES.items():
        fitting = [place for place in places if place.called(*names) and not place.called(*_OTHERS)]
        if fitting:
            exact = [place for place in fitting if place.column.name == date]
            found[date] = (exact or sorted(fitting, key=_plainness))[0]
    return found


def _plainness(place: Place) -> tuple[bool, bool, int]:
    """Of `created_at` and `model_created_at` the plain one; a date without a time last."""
    return (place.column.type == "date", bool(place.path), len(place.name))


def _by_value(places: Sequence[Place], found: dict[Date, Place], done: Seen | None) -> None:
    """Dates whose names say nothing: the first one of each row is that of its making, and so on."""
    if found.keys() - {"started_at"}:
        return  # whose other dates have names says by them what counts
    # When a training began doesn't tell which record is the latest: the others do, or this one if it is alone.
    begun = found.get("started_at")
    rest = [place for place in places if place is not begun] or list(places)
    if rest == [begun]:
        del found["started_at"]
    always = [place for place in rest if place.column.not_null or place.seen.filled > 0.95]
    sometimes = [place for place in rest if place not in always]
    always.sort(key=_rank)
    if always:
        found["created_at"] = always[0]
        if len(always) > 1:
            found["updated_at"] = always[-1]
        if len(always) > 2:
            found.setdefault("started_at", always[1])
    ended = [place for place in sometimes if done is not None and _goes_with(place.seen, done) > 0.9]
    if ended:
        found["completed_at"] = max(ended, key=_rank)
    others = [place for place in sometimes if place not in ended]
    if "updated_at" not in found and others and not ended:
        found["updated_at" if always else "created_at"] = max(others, key=_rank)
    if not found.keys() - {"started_at"} and sometimes:
        found["created_at"] = min(sometimes, key=_rank)


def _rank(place: Place) -> float:
    """The mean of its moments; rows without count for nothing."""
    moments = [moment.timestamp() for text in place.seen.present if (moment := as_moment(text))]
    return sum(moments) / len(moments) if moments else 0.0


def _goes_with(seen: Seen, done: Seen) -> float:
    both = [(date is not None) == (version is not None) for date, version in zip(seen.texts, done.texts, strict=False)]
    return sum(both) / len(both) if both else 0.0


def _made(place: Place) -> Place | None:
    """A date that is kept as a number or a text, with the expression that makes a date of it."""
    if not place.called(*(name for names in _NAMES.values() for name in names)) or not place.seen.present:
        return None
    present = place.seen.present
    numbers = [as_number(text) for text in present]
    if all(number is not None for number in numbers):
        least = min(number for number in numbers if number is not None)
        largest = max(number for number in numbers if number is not None)
        number = "{}" if place.kind == "number" else "({})::numeric"
        if least > 9e8 and largest < 5e9:
            return place.with_form(f"to_timestamp({number})")
        if least > 9e11 and largest < 5e12:
            return place.with_form(f"to_timestamp({number} / 1000.0)")
        return None
    if place.kind == "text" and all(len(text) >= 10 and as_moment(text) for text in present):
        return place.with_form("nullif({}, '')::timestamptz")
    return None

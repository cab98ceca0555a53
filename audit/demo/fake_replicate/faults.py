"""What a model's versions look like under a `Disguise`: on the wire, and to a client that sees through it."""

import random
from typing import Literal

import msgspec

from audit.model.codes import FailureReason, Reason
from audit.model.replies import Version

Endpoint = Literal["account", "models", "model", "versions", "version", "trainings", "training", "nothing"]
"""`nothing` is every path that the API does not have."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """See the module's docstring."""

    times: int | None = None
    on: tuple[Endpoint, ...] = ("versions",)
    """Empty for all."""

    def meets(self, endpoint: Endpoint) -> bool:
        """Whether requests of this kind are spoiled."""
        return not self.on or endpoint in self.on


class Throttled(Fault, frozen=True, kw_only=True):
    """429, with the wait in one of the places where Replicate and its edge have put it."""

    form: Literal["seconds", "date", "body", "text", "old_text", "bare"] = "body"
    wait: int = 30


class Refused(Fault, frozen=True, kw_only=True):
    """Any other status, with the body that such an error has in practice."""

    status: int
    body: Literal["json", "html", "empty"] = "json"


class Reset(Fault, frozen=True, kw_only=True):
    """The connection is reset: before the first byte, or in the middle of the body."""

    midway: bool = False


class Truncated(Fault, frozen=True, kw_only=True):
    """Content-Length promises the whole body, half of it comes, then the connection is closed."""


class Drip(Fault, frozen=True, kw_only=True):
    """The right answer, one byte every `pause` seconds: no single read is ever late."""

    pause: float = 1.0


class Hang(Fault, frozen=True, kw_only=True):
    """Takes the request and never answers."""


class Huge(Fault, frozen=True, kw_only=True):
    """A valid answer of this many bytes, made while it is sent. `declared` says so in Content-Length beforehand."""

    size: int = 600_000_000
    declared: bool = False


class Bomb(Fault, frozen=True, kw_only=True):
    """A valid gzip body that is a thousand times larger when decoded (`size` bytes)."""

    size: int = 300_000_000


class Redirected(Fault, frozen=True, kw_only=True):
    """Sends the client away: to `to`, or, where that is "", to the very same URL."""

    status: Literal[301, 302, 303, 307, 308] = 302
    to: str = "https://replicate.example/v1/stolen"


class Odd(Fault, frozen=True, kw_only=True):
    """200 with a body of one's own; `ODD_BODIES` has those that servers have been seen to send."""

    content: bytes
    content_type: str | None = "application/json"
    encoding: str | None = None
    """A Content-Encoding that is claimed, whatever the content is."""
    harmless: bool = False
    """True for what a good client must read all the same."""


class Slow(Fault, frozen=True, kw_only=True):
    """The right answer after `low` to `high` seconds."""

    low: float
    high: float | None = None


class Paging(Fault, frozen=True, kw_only=True):
    """A `next` that must not be followed, on an otherwise right page.

    `host`, `port` and `scheme` lead away from this server, `loop` to the page itself, `loop2` to and fro between two,
    `endless` always to one more page; `to` is an origin of one's own to lead to, such as a second fake Replicate's.
    """

    form: Literal["host", "port", "scheme", "loop", "loop2", "endless"] = "host"
    to: str | None = None


class Disguise(Fault, frozen=True, kw_only=True):
    """The same versions, listed in a way that misleads. Applies to every answer, whatever `times` says."""


class Shuffled(Disguise, frozen=True, kw_only=True):
    """Not most recent first, as is documented, but in an order that follows from the seed."""

    seed: int = 1


class Dates(Disguise, frozen=True, kw_only=True):
    """`created_at` null, absent, no date at all, or the same everywhere; of the first `only` versions, or of all."""

    form: Literal["null", "missing", "malformed", "equal"] = "null"
    only: int | None = None


class UpperCase(Disguise, frozen=True, kw_only=True):
    """Version ids in upper case."""


class Repeated(Disguise, frozen=True, kw_only=True):
    """Every version is listed twice, the second time one place later, as when a list moves while it is read."""


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """Spoils a share of all requests, each with one of `faults` (no disguises).

    The faults keep to their `on`, and their `times` means nothing here. Which requests are struck follows from the
    seed, the path and how many times it was asked for before; so it is the same in every order of requests.
    """

    share: float
    faults: tuple[Fault, ...]
    seed: int = 1

    def strikes(self, path: str, nth: int) -> Fault | None:
        """The fault that meets the nth request for this path, or None."""
        dice = random.Random(f"{self.seed} {nth} {path}")  # noqa: S311 (repeatable on purpose)
        return dice.choice(self.faults) if dice.random() < self.share else None


def reason_of(fault: Fault) -> FailureReason | None:
    """What a client that never gets past this fault has to report; None where a good client gets its answer."""
    match fault:
        case Throttled():
            return Reason.RATE_LIMITED
        case Refused(status=status):
            return _reason_of_status(status)
        case Reset() | Truncated():
            return Reason.NETWORK_ERROR
        case Drip() | Hang():
            return Reason.TIMEOUT
        case Huge() | Bomb() | Redirected() | Odd(harmless=False) | Paging():
            return Reason.BAD_RESPONSE
        case _:
            return None


_REASONS: dict[int, FailureReason] = {401: Reason.UNAUTHORIZED, 403: Reason.FORBIDDEN, 408: Reason.TIMEOUT}


def _reason_of_status(status: int) -> FailureReason:
    if status >= 500:
        return Reason.SERVER_ERROR
    return _REASONS.get(status, Reason.REJECTED)


def label_of(fault: Fault) -> str:
    """Names the fault in counts."""
    return str(fault.status) if isinstance(fault, Refused) else type(fault).__name__.lower()


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


def _dated(disguise: Dates, versions: Versions, date: str | None) -> Versions:
    count = len(versions) if disguise.only is None else disguise.only
    return tuple(Version(version.id, date) for version in versions[:count]) + versions[count:]

"""How many requests an audit makes and how long it takes, reckoned from what is assumed of it. Pure.

Where all requests of one run fit into what the account has left of this minute they are made at once. Else, and where
shards see each other's requests, turns come at an even pace. At most `concurrency` questions are under way; one that
waits for its next attempt keeps its place among them. With f the share of attempts that fail in passing, and wait(k)
the mean wait before retry k,

    attempts = 1 + f + f**2 + ... + f**retries        of one question
    busy     = attempts * latency + f * wait(1) + f**2 * wait(2) + ...        seconds that it keeps its place

asking takes the longest of

    questions * attempts * 60 / per_minute    (bound "rate"; "limit" where the account lets less through), not at once
    questions * busy / concurrency            ("concurrency")
    questions * attempts * processor          ("processor")

and then what is still under way when the last question is asked: its answer, and retries. Somebody waits for retry k
with the probability 1 - exp(-n), n being the mean number who do (questions a second * f**k * wait(k)), and adds
wait(k) + latency. The account comes before, and the list of trainings ("trainings", where that takes longer than
asking), one page after the other. While it is read models are asked for that no page can settle any more, as many as
may wait for the list's end.

Runs of 500 models of which one attempt in ten fails end within a tenth of this, longer ones nearer to it. Where the
account lets less through than `per_minute`, the pauses after each 429 make it up to an eighth more or less.
"""

import math
from dataclasses import dataclass
from typing import Literal

from audit.commands.run.ahead import MOST_REPLIES
from audit.model.codes import Reason
from audit.replicate.retry import RetryPolicy

Bound = Literal["rate", "limit", "concurrency", "processor", "trainings"]
"""What would have to be larger or faster for the audit to end sooner."""
TRAININGS_PER_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is known or guessed before a run. Shares are from 0 to 1, times are seconds."""

    models: int
    """Distinct ones that a run by versions asks for."""
    per_minute: float
    """Requests, of all shards together."""
    concurrency: int
    """Questions under way, of each shard."""
    latency: float
    """Mean of an attempt, from the request to the end of its answer or failure."""
    pages: float = 1.0
    """Mean number of pages of versions of a model that is there."""
    missing: float = 0.0
    """Share of the models that are asked for again by their name alone, because their versions answer 404."""
    failing: float = 0.0
    """Share of attempts that fail in passing: 5xx, time-outs, broken connections."""
    retries: int = 4
    allowed: float = math.inf
    """Requests a minute that the account has left for this."""
    at_once: float = 0.0
    """Requests that the account has left of this minute, but for what its product needs."""
    trainings: int = 0
    """Length of the list, where it is read; every shard reads it."""
    page_latency: float | None = None
    """Mean of a page of that list; None is `latency`."""
    settled: float = 0.0
    """Share of the models for which that list is enough, those of the sample included."""
    sample: float = 0.0
    """Share of these that are asked for all the same."""
    shards: int = 1
    """Runs of equal size at the same time, each on a machine of its own."""
    processor: float = 0.0
    """Seconds that the processor works for one answer."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of all shards together; `seconds` are those spent on Replicate: reading the database is not among them."""

    requests: int
    seconds: float
    bound: Bound


def forecast(assumed: Assumed) -> Forecast:
    """What is to be expected, on average; see the module for how."""
    asked = assumed.models * (1 - assumed.settled * (1 - assumed.sample))
    missing = min(asked, assumed.models * assumed.missing)  # no training settles a model that is not there
    questions = (2 * missing + assumed.pages * (asked - missing)) / assumed.shards
    pages = math.ceil(assumed.trainings / TRAININGS_PER_PAGE)
    attempts = _attempts(assumed)
    sent = 1 + (pages + questions) * attempts
    per_second = min(assumed.per_minute, assumed.allowed) / 60 / assumed.shards
    at_once = assumed.shards == 1 and sent <= min(assumed.at_once, assumed.per_minute, assumed.allowed)
    turn = 0.0 if at_once else 1 / per_second
    page_latency = assumed.latency if assumed.page_latency is None else assumed.page_latency
    listing = pages * max(_busy(assumed, page_latency), attempts * turn)
    bounds: dict[Bound, float] = {
        "limit" if assumed.allowed < assumed.per_minute else "rate": questions * attempts * turn,
        "concurrency": questions * _busy(assumed, assumed.latency) / assumed.concurrency,
        "processor": questions * attempts * assumed.processor,
    }
    bound = max(bounds, key=bounds.__getitem__)
    asking = bounds[bound]
    if listing > asking:
        bound = "trainings"
    beside = min(listing, asking * min(1.0, MOST_REPLIES / questions)) if questions else 0.0
    tail = _tail(assumed, questions / asking) if questions else 0.0
    return Forecast(round(sent * assumed.shards), assumed.latency + listing + asking - beside + tail, bound)


def _attempts(assumed: Assumed) -> float:
    return sum(assumed.failing**k for k in range(assumed.retries + 1))


def _busy(assumed: Assumed, latency: float) -> float:
    return _attempts(assumed) * latency + sum(share * wait for share, wait in _waits(assumed))


def _waits(assumed: Assumed) -> list[tuple[float, float]]:
    """Of each retry, the share of questions that come to it, and their mean wait before it."""
    # The wait grows evenly with the jitter, so its mean is that of the mean jitter.
    policy = RetryPolicy(assumed.retries)
    waits = ((k, policy.wait(k, Reason.SERVER_ERROR, None, 0.5)) for k in range(1, assumed.retries + 1))
    return [(assumed.failing**k, wait) for k, wait in waits if wait is not None]


def _tail(assumed: Assumed, per_second: float) -> float:
    retries = ((1 - math.exp(-per_second * share * wait), wait) for share, wait in _waits(assumed))
    return assumed.latency + sum(likely * (wait + assumed.latency) for likely, wait in retries)

"""Chooses what goes wrong with a request, and keeps count of what went wrong already."""

import random
from collections import Counter
from collections.abc import Iterator

from audit.demo.answers import Question
from audit.demo.faults import Chaos, Disguise, Fault, Slow
from audit.demo.world import Model


class Trouble:
    """Chaos first, then the faults of the whole stand-in, then the model's own; the first that applies spoils alone."""

    def __init__(self, everywhere: tuple[Fault, ...], chaos: Chaos | None) -> None:
        self._everywhere = everywhere
        self._chaos = chaos
        self._struck: Counter[tuple[str, int]] = Counter()

    def with_request(self, asked: Question, nth: int, model: Model | None) -> tuple[float, Fault | None]:
        """The seconds to wait before this answer, and the fault that spoils it. `nth` request for its path, from 1."""
        delay = 0.0
        spoiling: Fault | None = None
        for key, fault in self._candidates(asked, nth, model):
            if isinstance(fault, Slow):
                delay += _delay(fault, asked.path, nth)
            elif spoiling is None:
                spoiling = fault
            else:
                continue
            self._struck[key] += 1
        return delay, spoiling

    def _candidates(self, asked: Question, nth: int, model: Model | None) -> Iterator[tuple[tuple[str, int], Fault]]:
        struck = self._chaos.strikes(asked.path, nth) if self._chaos else None
        if struck and struck.meets(asked.endpoint):
            yield ("chaos", 0), struck
        for whose, faults in (("", self._everywhere), (asked.model_id, model.faults if model else ())):
            for place, fault in enumerate(faults):
                spent = fault.times is not None and self._struck[whose, place] >= fault.times
                if not spent and not isinstance(fault, Disguise) and fault.meets(asked.endpoint):
                    yield (whose, place), fault


def _delay(fault: Slow, path: str, nth: int) -> float:
    if fault.high is None:
        return fault.low
    return random.Random(f"{nth} {path}").uniform(fault.low, fault.high)  # noqa: S311 (repeatable on purpose)

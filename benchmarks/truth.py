"""Whether an audit of the crowd found what is so, and asked for nothing twice."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from audit.demo.fake_replicate.server import Seen
from audit.model.codes import Reason
from tests.support.crowd import Crowd

_HEAD = 1 << 16
"""Bytes of a JSON report within which its summary lies; all users come after it."""
_UNASKABLE = frozenset({Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID})


class Asked(NamedTuple):
    """How an audit that was killed and resumed asked."""

    never: int
    """Models that should have been asked for and were not."""
    again: int
    """Requests that had been made before."""


def wrong_verdicts(crowd: Crowd, report: Path) -> int:
    """Users of the crowd who are not once, with the right reason, in the CSV report."""
    right = bytearray(crowd.n)
    surplus = 0
    with report.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            number = int(row["user_id"].partition("-")[0])
            if right[number] or crowd.user_id(number) != row["user_id"] or crowd.reason(number) != row["reason"]:
                surplus += 1
            right[number] = 1
    return surplus + right.count(0)


def wrong_counts(crowd: Crowd, report: Path) -> int:
    """Reasons that the JSON report's summary does not count as the crowd has them."""
    with report.open(encoding="utf-8") as file:
        head = file.read(_HEAD)
    name = '"summary":'
    summary, _ = json.JSONDecoder().raw_decode(head[head.index(name) + len(name) :].lstrip())
    told = Counter[str](summary["reasons"])
    true = Counter(reason.value for reason in crowd.reasons)
    return sum(told[reason] != true[reason] for reason in told | true) + int(summary["total"] != crowd.n)


def asked(crowd: Crowd, seen: Seen) -> Asked:
    """From the stand-in's count of each path."""
    askable = sum(reason not in _UNASKABLE for reason in crowd.reasons)
    models = {path: count for path, count in seen.paths.items() if path.startswith("/v1/models/")}
    versions = sum(path.endswith("/versions") for path in models)
    return Asked(askable - versions, sum(models.values()) - len(models))

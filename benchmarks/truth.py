"""Whether an audit of synthetic users found what is so, and asked for nothing twice."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from audit.model.codes import Reason
from tests.support.instrumented_replicate import RequestLog
from tests.support.synthetic_users import SyntheticUsers

_HEAD = 1 << 16
"""Bytes of a JSON report within which its summary lies; all users come after it."""
_UNASKABLE = frozenset({Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID})


class Asked(NamedTuple):
    """How an audit that was killed and resumed asked."""

    never: int
    """Models that should have been asked for and were not."""
    again: int
    """Requests that had been made before."""


def wrong_findings(synthetic_users: SyntheticUsers, report: Path) -> int:
    """Users who are not once, with the right reason, in the CSV report."""
    right = bytearray(synthetic_users.n)
    surplus = 0
    with report.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            number = int(row["user_id"].partition("-")[0])
            if (
                right[number]
                or synthetic_users.user_id(number) != row["user_id"]
                or synthetic_users.reason(number) != row["reason"]
            ):
                surplus += 1
            right[number] = 1
    return surplus + right.count(0)


def wrong_counts(synthetic_users: SyntheticUsers, report: Path) -> int:
    """Reasons that the JSON report's summary does not count as the users have them."""
    with report.open(encoding="utf-8") as file:
        head = file.read(_HEAD)
    name = '"summary":'
    summary, _ = json.JSONDecoder().raw_decode(head[head.index(name) + len(name) :].lstrip())
    counted = Counter[str](summary["reasons"])
    true = Counter(reason.value for reason in synthetic_users.reasons)
    return sum(counted[reason] != true[reason] for reason in counted | true) + int(
        summary["total"] != synthetic_users.n
    )


def asked(synthetic_users: SyntheticUsers, log: RequestLog) -> Asked:
    """From the fake Replicate's count of each path."""
    askable = sum(reason not in _UNASKABLE for reason in synthetic_users.reasons)
    models = {path: count for path, count in log.paths.items() if path.startswith("/v1/models/")}
    versions = sum(path.endswith("/versions") for path in models)
    return Asked(askable - versions, sum(models.values()) - len(models))

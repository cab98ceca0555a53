"""`--trainings`, `--trainings-since`, `--mode` and `--verify-sample`: whether and how trainings are read."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast, get_args

from audit.errors import SettingsError
from audit.training import Mode, TrainingsRead

SAMPLE = 1.0
"""Percent of those settled by trainings whose versions are asked for all the same."""


def trainings_wanted(options: Mapping[str, object], now: datetime) -> TrainingsRead | None:
    """What `options` (by parameter name) say; None where trainings are not to be read. Raises SettingsError."""
    mode = options.get("mode") or "versions"
    if mode not in get_args(Mode):
        raise SettingsError(f"--mode must be one of {', '.join(get_args(Mode))}, not {str(mode)!r}")
    sample, since = options.get("verify_sample"), options.get("trainings_since")
    if sample is not None and mode != "trainings":
        raise SettingsError(
            "--verify-sample has no meaning without --mode trainings", "By versions everybody is asked for."
        )
    if mode != "trainings" and not options.get("trainings"):
        if since is not None:
            raise SettingsError("--trainings-since has no meaning without --trainings", "Add --trainings.")
        return None
    return TrainingsRead(
        mode=cast(Mode, mode),
        since=None if since is None else _since(str(since), now),
        sample=_percent(sample) if mode == "trainings" else 0.0,
    )


def _since(text: str, now: datetime) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(
            f"--trainings-since must be a date or a time in ISO 8601, not {text!r}", "For example 2026-03-01."
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > now:
        raise SettingsError(f"--trainings-since {text} is in the future", "Trainings that are read began after it.")
    return moment.isoformat().replace("+00:00", "Z")


def _percent(given: object) -> float:
    if given is None:
        return SAMPLE
    try:
        value = float(str(given))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise SettingsError(f"--verify-sample must be a percentage from 0 to 100, not {str(given)!r}")
    return value

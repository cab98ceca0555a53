"""`--trainings`, `--trainings-since`, `--mode` and `--verify-sample`: whether and how trainings are read."""

import math
from datetime import UTC, datetime
from typing import cast, get_args

from audit.errors import SettingsError
from audit.said import Said
from audit.training import Mode, TrainingsRead

SAMPLE = 1.0
"""Percent of those settled by trainings whose versions are asked for all the same."""


def trainings_wanted(said: Said, now: datetime) -> TrainingsRead | None:
    """What is said of them; None where they are not to be read. Raises SettingsError.

    A config file may say how trainings are to be read where they are, and be heard no further where they are not.
    """
    with said.blaming("mode"):
        mode = _mode(said.text("mode") or "versions")
    if mode != "trainings" and said.options.get("verify_sample") is not None:
        raise SettingsError(
            "--verify-sample has no meaning without --mode trainings", "By versions everybody is asked for."
        )
    if mode != "trainings" and not said.flag("trainings"):
        if said.options.get("trainings_since") is not None:
            raise SettingsError("--trainings-since has no meaning without --trainings", "Add --trainings.")
        return None
    since, sample = said.text("trainings_since"), said.text("verify_sample")
    with said.blaming("trainings_since"):
        back_to = None if since is None else _since(since, now)
    with said.blaming("verify_sample"):
        percent = _percent(sample)
    return TrainingsRead(mode=mode, since=back_to, sample=percent if mode == "trainings" else 0.0)


def _mode(text: str) -> Mode:
    if text not in get_args(Mode):
        raise SettingsError(f"--mode must be one of {', '.join(get_args(Mode))}, not {text!r}")
    return cast(Mode, text)


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


def _percent(text: str | None) -> float:
    if text is None:
        return SAMPLE
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise SettingsError(f"--verify-sample must be a percentage from 0 to 100, not {text!r}")
    return value

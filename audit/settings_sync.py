"""What `sync-audit sync` was told about its plan, as one frozen value."""

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from audit.errors import SettingsError
from audit.models import Filters, Reason
from audit.said import Said
from audit.settings_values import filters_from

INCLUDABLE = (Reason.UNKNOWN_VERSION, Reason.MALFORMED_VERSION)
"""Reasons that are left out unless they are named: whoever wrote these values may have meant something by them."""

MAX_AGE = timedelta(hours=1)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Settings of a plan."""

    include: frozenset[Reason] = frozenset()
    """Those of `INCLUDABLE` that are wanted."""
    max_age: timedelta = MAX_AGE
    """Older findings are left out."""
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    """Whom the plan is about, and how many rows it changes at most."""
    redact: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """What to write behind the command to mean the same users, as one argument each."""
        named = [("--include", reason.value) for reason in INCLUDABLE if reason in self.include]
        named += [("--user", who) for who in self.filters.users]
        if self.max_age != MAX_AGE:
            named.append(("--max-age", str(int(self.max_age.total_seconds()))))
        if self.filters.limit:
            named.append(("--limit", str(self.filters.limit)))
        return tuple(chain.from_iterable(named))


def plan_settings(said: Said) -> PlanSettings:
    """Settings of the plan of a repair. Raises SettingsError."""
    max_age = said.text("max_age")
    with said.blaming("include"):
        include = frozenset(map(_includable, said.texts("include")))
    with said.blaming("max_age"):
        oldest = MAX_AGE if max_age is None else _duration(max_age)
    return PlanSettings(include=include, max_age=oldest, filters=filters_from(said), redact=said.flag("redact"))


def _includable(name: str) -> Reason:
    if name not in INCLUDABLE:
        known = " or ".join(INCLUDABLE)
        raise SettingsError(f"--include must be {known}, not {name!r}", "All other reasons are included, or cannot be.")
    return Reason(name)


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,7})([smhd]?)", text.strip())
    if not match:
        raise SettingsError(f"--max-age must be a time such as 90m, 2h, 1d or 3600, not {text!r}", "Without it, 1h.")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])

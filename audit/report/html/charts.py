"""The charts of the page: since when users are affected, in columns that show an outage at a glance, and the trend."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from audit.model.codes import Status
from audit.report.view import RunView
from audit.report.words import MONTHS, counted

MOST = 31
"""Columns, as long as a year is long enough."""
LEAST = 6
_LEAST_PAST = 2
"""Runs before this one."""
_TOLD = 16
"""Up to so many columns each has its number above it, and its name below."""
_NAMED = 6
"""Of more columns so many have their names below them."""


class Column(NamedTuple):
    """The users who began to be affected in an hour, a day, a month ..."""

    label: str
    """In full: "18 Jan 2026, 09:00"."""
    short: str
    """What stands below it, or ""."""
    number: int
    bucket: str
    """"2026-01-01T00..2026-02-01T00", for the address of the page; the end is not in it."""
    x: str
    y: str
    width: str
    height: str
    """All four in per cent of the whole."""


class Histogram(NamedTuple):
    """The columns from the first to the last affected user, empty ones included."""

    unit: str
    """"month"."""
    columns: Sequence[Column]
    text: str
    """The same in words."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(column.number for column in self.columns)

    @property
    def numbered(self) -> bool:
        """Whether there is room for each number."""
        return len(self.columns) <= _TOLD


class Run(NamedTuple):
    """A column of a trend."""

    started_at: str
    number: int
    x: str
    y: str
    width: str
    height: str
    """All four in per cent of the whole."""


class Trend(NamedTuple):
    """How many lines needed a sync in the last whole runs of this place, oldest first, this run last."""

    runs: Sequence[Run]
    text: str
    """The same in words."""


class _Unit(NamedTuple):
    name: str
    start: Callable[[datetime], datetime]
    step: Callable[[datetime, int], datetime]
    """So many units on."""
    label: Callable[[datetime], str]
    short: Callable[[datetime], str]


_NAMES = [month[:3] for month in MONTHS]
"""Whatever language the machine is set to."""


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0)


def _monday(moment: datetime) -> datetime:
    return _midnight(moment) - timedelta(days=moment.weekday())


def _month(moment: datetime) -> datetime:
    return _midnight(moment).replace(day=1)


def _january(moment: datetime) -> datetime:
    return _month(moment).replace(month=1)


def _in_months(moment: datetime, count: int) -> datetime:
    months = moment.year * 12 + moment.month - 1 + count
    return moment.replace(year=months // 12, month=months % 12 + 1)


def _day_label(moment: datetime) -> str:
    return f"{moment.day} {_NAMES[moment.month - 1]} {moment.year}"


def _short_day(moment: datetime) -> str:
    return f"{moment.day} {_NAMES[moment.month - 1]}"


def _short_month(moment: datetime) -> str:
    name = _NAMES[moment.month - 1]
    return f"{name} {moment.year}" if moment.month == 1 else name


_UNITS = (
    _Unit(
        "hour",
        lambda moment: moment,
        lambda moment, count: moment + timedelta(hours=count),
        lambda moment: f"{_day_label(moment)}, {moment:%H}:00",
        lambda moment: f"{moment:%H}:00" if moment.hour else _short_day(moment),
    ),
    _Unit("day", _midnight, lambda moment, count: moment + timedelta(days=count), _day_label, _short_day),
    _Unit(
        "week",
        _monday,
        lambda moment, count: moment + timedelta(weeks=count),
        lambda moment: f"week of {_day_label(moment)}",
        _short_day,
    ),
    _Unit("month", _month, _in_months, lambda moment: f"{_NAMES[moment.month - 1]} {moment.year}", _short_month),
    _Unit(
        "year",
        _january,
        lambda moment, count: _in_months(moment, 12 * count),
        lambda moment: str(moment.year),
        lambda moment: str(moment.year),
    ),
)


def histogram(by_hour: Mapping[str, int]) -> Histogram | None:
    """Columns of the shortest unit of which `MOST` are enough, at least `LEAST`; None where nobody is dated."""
    if not by_hour:
        return None
    dated = {datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC): n for hour, n in by_hour.items()}
    unit = next((each for each in _UNITS if len(_starts(each, dated)) <= MOST), _UNITS[-1])
    counts = dict.fromkeys(_starts(unit, dated), 0)
    for moment, number in dated.items():
        counts[unit.start(moment)] += number
    columns = tuple(_columns(unit, counts))
    return Histogram(unit.name, columns, _text(unit, columns))


def trend(view: RunView) -> Trend | None:
    """What the run has kept of the runs before it; None where these are fewer than two: one line is no trend."""
    if len(view.trend) < _LEAST_PAST:
        return None
    counts = [(past.started_at, past.statuses[Status.NEEDS_SYNC]) for past in view.trend]
    counts.append((view.run.started_at, view.summary.statuses[Status.NEEDS_SYNC]))
    longest, share = max(*(number for _, number in counts), 1), 100 / len(counts)
    heights = [8 + 92 * number / longest if number else 2 for _, number in counts]
    runs = [
        Run(when, number, f"{share * (place + 0.1):.2f}", f"{100 - height:.1f}", f"{share * 0.8:.2f}", f"{height:.1f}")
        for place, ((when, number), height) in enumerate(zip(counts, heights, strict=True))
    ]
    numbers = ", ".join(f"{number:,}" for _, number in counts)
    return Trend(runs, f"Needs sync in the last {len(runs)} runs: {numbers}")


def _starts(unit: _Unit, dated: Mapping[datetime, int]) -> Sequence[datetime]:
    """The first moments of all columns; of more than `MOST` only as many as tell that there are more."""
    begin, end = unit.start(min(dated)), unit.start(max(dated))
    starts = [begin]
    while starts[-1] < end and (unit.name == "year" or len(starts) <= MOST):
        starts.append(unit.step(starts[-1], 1))
    for place in range(LEAST - len(starts)):  # a column needs neighbours to stand out from
        if place % 2:
            starts.append(unit.step(starts[-1], 1))
        else:
            starts.insert(0, unit.step(starts[0], -1))
    return starts


def _columns(unit: _Unit, counts: Mapping[datetime, int]) -> Iterator[Column]:
    longest, share = max(counts.values()), 100 / len(counts)
    every = 1 if len(counts) <= _TOLD else -(-len(counts) // _NAMED)
    for place, (start, number) in enumerate(counts.items()):
        height = 8 + 92 * number / longest if number else 0
        yield Column(
            label=unit.label(start),
            short="" if place % every else unit.short(start),
            number=number,
            bucket=f"{_hour(start)}..{_hour(unit.step(start, 1))}",
            x=f"{share * (place + 0.08):.2f}",
            y=f"{100 - height:.1f}",
            width=f"{share * 0.84:.2f}",
            height=f"{height:.1f}",
        )


def _hour(moment: datetime) -> str:
    return moment.isoformat()[:13]


def _text(unit: _Unit, columns: Sequence[Column]) -> str:
    most = max(columns, key=lambda column: column.number)
    total = sum(column.number for column in columns)
    peak = f"all of them in {most.label}" if most.number == total else f"most in {most.label}: {most.number:,}"
    peak = peak.replace("in week of", "in the week of")
    return f"{counted(total, 'user')} by {unit.name}, {peak}"

"""The numbers behind the charts of the HTML report: one pass over the users in need, bars with their widths."""

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from audit.hints.table import HINTS
from audit.model.codes import LatestPer, Reason, Status
from audit.model.findings import Summary
from audit.model.lines import NOUNS, counted_lines, told_apart
from audit.model.users import email_or_id
from audit.report.html.users import anchor, days_affected, head
from audit.report.view import Placed
from audit.report.words import STATUS_TITLES, days

_DAY_STEPS = (1, 7, 30, 90, 180, 365)
_DAY_LABELS = ("less than a day", "1 to 6 days", "7 to 29", "30 to 89", "90 to 179", "180 to 364", "a year or more")
_VERSION_STEPS = (2, 3, 4, 5, 10, 20)
_VERSION_LABELS = ("1 version", "2 versions", "3", "4", "5 to 9", "10 to 19", "20 or more")
_FURTHEST = 5
_COLUMNS = 60
"""Columns of a strip, side by side."""


class Bar(NamedTuple):
    """One line of a bar chart."""

    label: str
    number: int
    width: str
    """Per cent of the longest bar."""
    tone: str
    """CSS class that colours it: a status."""


class Column(NamedTuple):
    """A column of a strip, from `y` down to the ground; the numbers are per cent of the whole."""

    x: str
    y: str
    height: str
    alone: bool
    """Far away from all others."""


class Strip(NamedTuple):
    """Where users stand on a line of days: who has been affected for long stands far to the right."""

    columns: tuple[Column, ...]
    text: str
    """The same in words."""
    end: str
    """What stands at the right end of the line."""


class Chart(NamedTuple):
    """A bar chart with its numbers."""

    title: str
    label_head: str
    bars: tuple[Bar, ...]
    furthest: tuple[tuple[str, str, str], ...] = ()
    """Anchor, name and days of those who have been affected for the longest."""
    remark: str = ""
    """A sentence below the chart."""
    strip: Strip | None = None


class Segment(NamedTuple):
    """A piece of the bar that shows the split of statuses; `x` and `width` are per cent of the whole."""

    tone: str
    x: str
    width: str


def split(summary: Summary, others: int = 0) -> tuple[Segment, ...]:
    """The statuses that occur, side by side; one of few users among many still gets a visible sliver.

    `others` are users of whom a narrowed run knows nothing; their piece is grey.
    """
    total = summary.total + others
    present = [(status.value, count) for status, count in summary.statuses.items() if count]
    present += [("empty", others)] if others else []
    least = 0.7
    widths = [max(least, 100 * count / total) for _, count in present]
    scale = 100 / sum(widths) if widths else 1
    segments, x = [], 0.0
    for (tone, _), width in zip(present, widths, strict=True):
        segments.append(Segment(tone, f"{x:.2f}", f"{width * scale:.2f}"))
        x += width * scale
    return tuple(segments)


def split_text(summary: Summary, others: int = 0, per: LatestPer = "user") -> str:
    """The same in words, for those who do not see the bar; `per` is what has a line."""
    statuses = [(count, STATUS_TITLES[status].lower()) for status, count in summary.statuses.items() if count]
    parts = [f"{counted_lines(count, per)} {title}" for count, title in statuses]
    parts += [f"{counted_lines(others, per)} not in this run"] if others else []
    return ", ".join(parts) or f"no {NOUNS[per]}s"


def reasons_chart(summary: Summary) -> Chart:
    """How often each reason occurs, `latest_version` left out: it would dwarf what matters."""
    wanted = [(reason, count) for reason, count in summary.reasons.items() if reason.status != Status.UP_TO_DATE]
    longest = max((count for _, count in wanted), default=1)
    bars = tuple(Bar(HINTS[r].title, n, f"{100 * n / longest:.1f}", r.status.value) for r, n in wanted)
    return Chart("Reasons", "Reason", bars)


def lag_charts(in_need: Iterable[Placed], now: str, per: LatestPer = "user") -> tuple[Chart, ...]:
    """How long users in need have been affected at `now`, and by how many versions those who are outdated are behind.

    `per` is what has a line.

    Nothing where there are none. Whose date is not known is in no chart.
    """
    by_days = [0] * len(_DAY_LABELS)
    by_versions = [0] * len(_VERSION_LABELS)
    by_day: Counter[int] = Counter()
    undated = 0
    furthest: list[tuple[float, int, str]] = []
    for place, user in in_need:
        record, finding = user.record, user.finding
        if finding.reason is Reason.OUTDATED_VERSION:
            by_versions[bisect_right(_VERSION_STEPS, finding.versions_behind or 0)] += 1
        lag = days_affected(finding, now)
        if lag is None:
            undated += 1
            continue
        by_days[bisect_right(_DAY_STEPS, lag)] += 1
        by_day[int(lag)] += 1
        which = told_apart(record.replicate_model_id, record.model_row_id, per)
        entry = (lag, -place, email_or_id(record) + (f" ({which})" if which else ""))
        (heapq.heappush if len(furthest) < _FURTHEST else heapq.heappushpop)(furthest, entry)
    named = tuple((anchor(-place), head(who), days(lag)) for lag, place, who in sorted(furthest, reverse=True))
    remark = f"Of {counted_lines(undated, per)} it is not known." if undated else ""
    found = (
        (
            by_days,
            Chart(
                "How long they have been affected",
                "For",
                _bars(_DAY_LABELS, by_days),
                named,
                remark,
                _strip(by_day, per),
            ),
        ),
        (by_versions, Chart("How many versions behind", "Behind by", _bars(_VERSION_LABELS, by_versions))),
    )
    return tuple(chart for counts, chart in found if sum(counts))


def _strip(by_day: Mapping[int, int], per: LatestPer) -> Strip | None:
    """Days -> users, as columns on a line; None where there is nothing to see."""
    if not by_day:
        return None
    end = max(by_day) + 1
    counts: Counter[int] = Counter()
    for day, count in by_day.items():
        counts[day * _COLUMNS // end] += count
    longest, places = max(counts.values()), sorted(counts)
    columns = []
    for place in places:
        height = 15 + 85 * counts[place] / longest
        others = (abs(place - other) for other in places if other != place)
        alone = place >= _COLUMNS // 3 and min(others, default=_COLUMNS) >= _COLUMNS // 5
        columns.append(Column(f"{100 * place / _COLUMNS:.2f}", f"{100 - height:.1f}", f"{height:.1f}", alone))
    last = max(by_day)
    least = days(min(by_day))
    text = f"{counted_lines(sum(by_day.values()), per)}, from {least} to {days(last)} affected"
    return Strip(tuple(columns), text, days(last))


def _bars(labels: tuple[str, ...], counts: list[int]) -> tuple[Bar, ...]:
    longest = max(*counts, 1)
    tone = Status.NEEDS_SYNC.value
    return tuple(
        Bar(label, count, f"{100 * count / longest:.1f}", tone) for label, count in zip(labels, counts, strict=True)
    )

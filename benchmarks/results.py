"""One line per figure, with the limit it has to keep: as a table, as Markdown and as JSON."""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One thing measured."""

    part: str
    what: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    """The limit is a least value; otherwise a greatest one."""
    users: int | None = None
    """In the database, where it is not as many as `Conditions` say."""

    @property
    def words(self) -> str:
        """What it is, and of how many users."""
        return self.what if self.users is None else f"{self.what}, {self.users:,} users"

    @property
    def kept(self) -> bool:
        """Whether the limit is kept; also where there is none."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Conditions(msgspec.Struct, frozen=True):
    """Under which it was measured; nothing that names the machine."""

    users: int
    rounds: int
    concurrency: int
    date: str
    cores: int
    load: float
    """Processes that wanted a core in the minute before: with more of them than cores, CPU times grow too."""
    system: str
    python: str
    libraries: dict[str, str]
    command: str = ""
    """What to say to do it again."""


class Results(msgspec.Struct, frozen=True):
    """A whole benchmark."""

    conditions: Conditions
    figures: tuple[Figure, ...]

    @property
    def broken(self) -> list[Figure]:
        """The figures that miss their limits."""
        return [figure for figure in self.figures if not figure.kept]


def conditions(users: int, rounds: int, concurrency: int, command: str = "") -> Conditions:
    """Of this process, now."""
    return Conditions(
        users=users,
        command=command,
        rounds=rounds,
        concurrency=concurrency,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count() or 0,
        load=round(os.getloadavg()[0], 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        libraries={name: version(name) for name in ("aiohttp", "asyncpg", "jinja2", "msgspec", "replicate")},
    )


def table(results: Results) -> str:
    """For a terminal, and as it is for Markdown; figures of several sizes stand beside each other in a second one."""
    figures = [figure for figure in results.figures if figure.users is None]
    sized = [figure for figure in results.figures if figure.users is not None]
    parts = [_flat(figures)] if figures else []
    return "\n\n".join([*parts, _by_size(sized)] if sized else parts)


def _flat(figures: Iterable[Figure]) -> str:
    rows: list[tuple[str, ...]] = [
        (figure.part, figure.what, _number(figure.value), figure.unit, _limit(figure), _mark([figure]))
        for figure in figures
    ]
    return _lines(("part", "figure", "value", "unit", "limit", ""), rows)


def _by_size(figures: Iterable[Figure]) -> str:
    """A column for each number of users."""
    figures = list(figures)
    sizes = sorted({figure.users or 0 for figure in figures})
    lines: dict[tuple[str, str], dict[int, Figure]] = {}
    for figure in figures:
        lines.setdefault((figure.part, figure.what), {})[figure.users or 0] = figure
    rows: list[tuple[str, ...]] = []
    for (part, what), found in lines.items():
        any_of = next(iter(found.values()))
        values = [_number(found[size].value) if size in found else "" for size in sizes]
        rows.append((part, what, *values, any_of.unit, _limit(any_of), _mark(found.values())))
    return _lines(("part", "figure", *(f"{size:,} users" for size in sizes), "unit", "limit", ""), rows)


def _lines(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Numbers, which are between the second column and the unit, and the limit are right-aligned."""
    right = {*range(2, head.index("unit")), head.index("limit")}
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rules = [f"{'-' * (width - 1)}:" if column in right else "-" * width for column, width in enumerate(widths)]
    padded = [
        [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in [head, *rows]
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [padded[0], rules, *padded[1:]])


def save(results: Results, folder: Path) -> None:
    """Writes `benchmarks.json` and `benchmarks.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(results), indent=2)
    (folder / "benchmarks.json").write_bytes(encoded + b"\n")
    (folder / "benchmarks.md").write_text(f"# Benchmarks\n\n{words(results.conditions)}\n\n{table(results)}\n")


def words(where: Conditions) -> str:
    """A sentence or two on how to read the table, and how it was made."""
    libraries = ", ".join(f"{name} {number}" for name, number in where.libraries.items())
    return (
        f"{where.users:,} users where no other number stands, {where.concurrency} requests in flight, medians of "
        f"{where.rounds} rounds in which the contenders take turns; {where.date}, {where.cores} cores shared with both "
        f"servers and whoever else (load at the start {where.load}), {where.system}, Python {where.python}, "
        f"{libraries}.\nMade by `{where.command}`. Ratios travel to other machines, seconds do not."
    )


def _limit(figure: Figure) -> str:
    return "" if figure.limit is None else f"{'≥' if figure.at_least else '≤'} {_number(figure.limit)}"


def _mark(figures: Iterable[Figure]) -> str:
    """Of figures with one and the same limit."""
    figures = list(figures)
    if figures[0].limit is None:
        return ""
    return "ok" if all(figure.kept for figure in figures) else "MISSED"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"

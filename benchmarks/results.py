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


class Results(msgspec.Struct, frozen=True):
    """A whole benchmark."""

    conditions: Conditions
    figures: tuple[Figure, ...]

    @property
    def broken(self) -> list[Figure]:
        """The figures that miss their limits."""
        return [figure for figure in self.figures if not figure.kept]


def conditions(users: int, rounds: int, concurrency: int) -> Conditions:
    """Of this process, now."""
    return Conditions(
        users=users,
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
    """For a terminal, and as it is for Markdown."""
    head = ("part", "figure", "value", "unit", "limit", "")
    rows = [head, *(_cells(figure) for figure in results.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_line(row, widths) for row in rows]
    rules = [f"{'-' * (width - 1)}:" if column in {2, 4} else "-" * width for column, width in enumerate(widths)]
    return "\n".join([lines[0], f"| {' | '.join(rules)} |", *lines[1:]])


def save(results: Results, folder: Path) -> None:
    """Writes `benchmarks.json` and `benchmarks.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(results), indent=2)
    (folder / "benchmarks.json").write_bytes(encoded + b"\n")
    (folder / "benchmarks.md").write_text(f"# Benchmarks\n\n{_words(results.conditions)}\n\n{table(results)}\n")


def _words(where: Conditions) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in where.libraries.items())
    return (
        f"{where.users:,} users, {where.concurrency} requests in flight, medians of {where.rounds} rounds in which the "
        f"contenders take turns; {where.date}, {where.cores} cores shared with both servers and whoever else (load at "
        f"the start {where.load}), {where.system}, Python {where.python}, {libraries}.\nMade by "
        f"`python -m benchmarks --users {where.users} --rounds {where.rounds}`. "
        "Ratios travel to other machines, seconds do not."
    )


def _cells(figure: Figure) -> tuple[str, ...]:
    limit = "" if figure.limit is None else f"{'≥' if figure.at_least else '≤'} {_number(figure.limit)}"
    mark = "" if figure.limit is None else "ok" if figure.kept else "MISSED"
    return figure.part, figure.words, _number(figure.value), figure.unit, limit, mark


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"


def _line(cells: Iterable[str], widths: list[int]) -> str:
    padded = [
        cell.rjust(width) if column in {2, 4} else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"

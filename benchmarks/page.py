"""The figures in docs/benchmarks.md are the last full benchmark's: `python -m benchmarks.page` puts them there."""

import re
from pathlib import Path

import msgspec

from benchmarks.results import Results, table, words

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "benchmarks/results/benchmarks.json"
_FIGURES = re.compile(r"(<!-- figures: from the last full benchmark -->\n).*?(<!-- end -->)", re.DOTALL)


def current(page: str, results: Results) -> str:
    """`page` with the figures of `results`."""
    missed = "Each limit was kept."
    if results.broken:
        names = "; ".join(figure.words for figure in results.broken)
        missed = f"Limits that were missed: {names}."
    figures = f"\n{words(results.conditions)}\n\n{missed}\n\n{table(results)}\n\n"
    text, count = _FIGURES.subn(lambda match: f"{match[1]}{figures}{match[2]}", page)
    if count != 1:
        raise RuntimeError(f"{PAGE.name} has {count} places for figures")
    return text


def read() -> Results:
    """The last full benchmark."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(), read()))

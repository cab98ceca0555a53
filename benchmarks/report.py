"""How the HTML report fares in a browser, beside the obvious ways to show as many rows: `python -m benchmarks.report`.

From navigation until the search field answers, by the page's own clock; each page a fresh tab, contenders in turn.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.child import Child, Used
from benchmarks.results import Figure, Results, conditions, table

SIZES = {10: 0.3, 10_000: 1.0, 100_000: 1.0}
"""Users, and the seconds within which the search field has to answer."""
TRAINED = 100_000
"""Users of a run that read trainings as well; the same limits hold."""
RIVALS = {"skipped": 100_000, "rows": 10_000}
"""Each with as many users as it can bear."""

PASSES = 1
"""How often a report reads all users; those who need attention are few."""

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--js-flags=--expose-gc", "--enable-precise-memory-info"),
)
_CLOCK = """addEventListener("DOMContentLoaded", () => {
  const note = () => document.documentElement.classList.contains("ready") && (window.answers ??= performance.now());
  new MutationObserver(note).observe(document.documentElement, { attributes: true });
  note();
});"""
_KEYS = """() => {
  const field = document.getElementById("q");
  const keys = ["u", "us", "user9", "user99", "outdated", "zz"].map((text) => {
    const start = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    return performance.now() - start;
  });
  gc();
  return { answers, key: Math.max(...keys), heap: performance.memory.usedJSHeapSize / 1e6 };
}"""


def measure(rounds: int, folder: Path, most: int) -> Iterator[Figure]:
    """Sizes and rivals beyond `most` users are left out."""
    pages = [("ours", size) for size in SIZES if size <= most]
    pages += [("trained", TRAINED)] if most >= TRAINED else []
    pages += [(kind, size) for kind, size in RIVALS.items() if size <= most]
    used = {page: _written(*page, folder) for page in pages}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        met = [{page: _opened(browser, _path(*page, folder)) for page in pages} for _ in range(rounds)]
        browser.close()
    for kind, size in pages:
        figures = {name: median(each[kind, size][name] for each in met) for name in ("answers", "key", "heap")}
        what, ours = f"{kind}, {size:,} users", kind not in RIVALS
        megabytes = _path(kind, size, folder).stat().st_size / 1e6
        yield Figure("report", f"{what}: search answers", figures["answers"] / 1e3, "s", SIZES[size] if ours else None)
        yield Figure("report", f"{what}: slowest key", figures["key"], "ms", 100 if ours else None)
        yield Figure("report", f"{what}: heap", figures["heap"], "MB", 100 if ours else None)
        yield Figure("report", f"{what}: file", megabytes, "MB", 14 if ours else None)
    largest = max(size for kind, size in pages if kind == "ours")
    read = Child.python(["-m", "benchmarks.report_page", "read", str(largest), "-"], {}, folder).wait()
    cpu, peak = used["ours", largest].cpu, used["ours", largest].peak
    yield Figure("report", f"ours, {largest:,} users: CPU, making up the users included", cpu, "s")
    yield Figure("report", f"ours, {largest:,} users: CPU without that", cpu - PASSES * read.cpu, "s", 10)
    yield Figure("report", f"ours, {largest:,} users: peak memory", peak, "MB", 200)
    for kind, size in RIVALS.items():
        if size <= most:
            ratio = median(each[kind, size]["answers"] / each["ours", size]["answers"] for each in met)
            yield Figure("report", f"{kind} / ours, {size:,} users: search answers", ratio, "x", 1, at_least=True)


def _path(kind: str, size: int, folder: Path) -> Path:
    return folder / f"{kind}-{size}.html"


def _written(kind: str, size: int, folder: Path) -> Used:
    arguments = ["-m", "benchmarks.report_page", kind, str(size), str(_path(kind, size, folder))]
    return Child.python(arguments, {}, folder).wait()


def _opened(browser: Browser, path: Path) -> Any:
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.add_init_script(_CLOCK)
    page.goto(path.as_uri())
    page.wait_for_selector("html.ready", state="attached")
    figures = page.evaluate(_KEYS)
    page.close()
    return figures


def main() -> int:
    """Exit code: 1 where a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns that each page gets (default: 3)")
    parser.add_argument("--most", type=int, default=100_000, help="leave out pages of more users (default: 100000)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the table there as well")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = tuple(measure(chosen.rounds, Path(folder), chosen.most))
    results = Results(conditions(chosen.most, chosen.rounds, 0), figures)
    shown = table(results)
    print(shown)
    if chosen.save:
        chosen.save.write_text(f"# The HTML report in a browser\n\nMade by `python -m benchmarks.report`.\n\n{shown}\n")
    return 1 if results.broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""What holds for every format."""

import gc
import re
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from audit.model.codes import NoLine, Reason, Status
from audit.model.findings import AuditedUser, Summary
from audit.model.run import RunInfo
from audit.model.users import Population
from audit.report.html import data as html_data
from audit.report.view import RunView
from audit.report.writer import FORMATS, renderer
from tests.support.report_samples import INFO, POPULATION, SampleRun, everything, failed, outdated, up_to_date
from tests.support.unrepaired import Unrepaired


class LongRun(Unrepaired):
    """Many users, made one by one as a run file would read them."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.info: RunInfo = INFO
        self.choices = None
        self.population: Population | None = POPULATION

    def summary(self) -> Summary:
        statuses = dict.fromkeys(Status, 0) | {Status.UP_TO_DATE: self._number, Status.ERROR: self._number}
        return Summary(statuses, {Reason.LATEST_VERSION: self._number, Reason.TIMEOUT: self._number}, {})

    def count_by_training(self) -> int:
        return 0

    def count_noted(self) -> int:
        return 0

    def without_line(self) -> Mapping[NoLine, int]:
        return {}

    def count_weights(self) -> None:
        return

    def count_answered(self) -> int:
        return 0

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        for kind, make in ((Reason.TIMEOUT, failed_user), (Reason.LATEST_VERSION, up_to_date)):
            if status in {None, kind.status} and reason in {None, kind}:
                yield from map(make, range(self._number))


def failed_user(number: int) -> AuditedUser:
    return failed(number, Reason.TIMEOUT)


class Nowhere:
    """A stream that keeps nothing but the number of bytes."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)

    def writelines(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            self.write(line)


class Tidy(Nowhere):
    """Leaves nothing to when the interpreter collects garbage, which depends on all that a process has ever loaded."""

    def write(self, data: bytes) -> int:
        before = self.size // 50_000
        written = super().write(data)
        if self.size // 50_000 > before:
            gc.collect()
        return written


def peak(name: str, number: int) -> int:
    view, render, out = RunView(LongRun(number)), renderer(name), Tidy()
    tracemalloc.start()
    try:
        render(view, out)  # type: ignore[arg-type]  # all that a renderer uses of a stream
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", [name if name in {"csv", "md"} else pytest.param(name, marks=pytest.mark.slow) for name in FORMATS]
)
def test_memory_does_not_grow_with_the_number_of_users(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_data, "BLOCK", 200)  # HTML holds one block of users, and 2,000 are slow to trace
    peak(name, 1)  # what is loaded once stays out of the comparison
    assert peak(name, 1_600) < 1.2 * peak(name, 400) + 100_000


@pytest.mark.parametrize("name", ["html", "csv", "json"])
def test_each_user_is_in_each_format_once_with_all_that_is_recorded(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report"
    with path.open("wb") as file:
        renderer(name)(RunView(SampleRun(everything())), file)
    found = re.findall(r"tr\d{9}", path.read_text(encoding="utf-8"))
    told = [user for user in everything() if name != "html" or user.finding.status is not Status.UP_TO_DATE]
    assert sorted(found) == sorted(user.record.training_id or "" for user in told), "HTML has the others in its data"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("users", [[], [up_to_date(1)], [outdated(1)]], ids=["nobody", "all well", "all behind"])
def test_every_format_has_something_to_say_about_every_run(name: str, users: list[AuditedUser]) -> None:
    out = Nowhere()
    renderer(name)(RunView(SampleRun(users, population=None)), out)  # type: ignore[arg-type]  # see above
    assert out.size > 200

"""Looking up the training of a version: whom is asked, how often, and what it means where somebody does not answer."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from audit.commands.sync.lookup import LookedUp, TrainingLookUp
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.replies import Failed, Missing, Training
from audit.repair.plan import PlannedChange
from audit.replicate.client import MOST_TRAININGS_PAGES, TOO_LONG
from audit.replicate.responses import TrainingsPage
from audit.runfile import RunFile
from tests.support.repairs import change
from tests.support.samples import digest, finding, record, run_info

DOWN = Failed(Reason.SERVER_ERROR, "HTTP 503")
MADE_AT = "2026-03-10T12:00:00Z"


def training(name: str, day: int = 10, **changes: Any) -> Training:
    """One that has made the version `digest(name)`."""
    fields: dict[str, Any] = {
        "id": name,
        "status": "succeeded",
        "version": digest(name),
        "weights": f"https://replicate.delivery/{name}.tar",
        "created_at": f"2026-03-{day:02d}T11:40:00Z",
    }
    return Training(**(fields | changes))


class Client:
    """Answers from what it is given, and writes down what it was asked."""

    def __init__(self, pages: Mapping[str | None, TrainingsPage | Failed], **by_id: Training | Failed) -> None:
        self.pages, self.by_id = pages, by_id
        self.asked: list[str] = []

    async def training(self, training_id: str) -> Training | Missing | Failed:
        self.asked.append(training_id)
        return self.by_id.get(training_id, Missing())

    async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
        self.asked.append(following or "first")
        return self.pages[following]


def page(*trainings: Training, following: str | None = None) -> TrainingsPage:
    return TrainingsPage(trainings, 0, following)


def wanted(name: str, made_at: str | None = MADE_AT, **of_record: Any) -> PlannedChange:
    """A change to the version `digest(name)`, made at `made_at`."""
    made = change(model_row_id=name, latest_version=digest(name), weights="to_be_looked_up")
    of = finding(Reason.OUTDATED_VERSION, latest_version=digest(name), latest_version_created_at=made_at)
    return PlannedChange(made, AuditedUser(record(**({"training_id": None} | of_record)), of), {}, None)


@pytest.fixture
def run_file(tmp_path: Path) -> Iterator[RunFile]:
    with RunFile.create(tmp_path / "run.sqlite", run_info()) as opened:
        yield opened


def found(name: str, day: int = 10) -> LookedUp:
    return LookedUp(training(name, day))


async def test_the_training_that_a_row_names_is_enough_where_it_made_the_version(run_file: RunFile) -> None:
    client = Client({}, a=training("a"))
    look_up = TrainingLookUp(client, run_file, 4)
    assert await look_up.trainings_for([wanted("a", training_id=" a")]) == {"a": found("a")}
    assert client.asked == ["a"]


async def test_so_is_that_of_a_later_row(run_file: RunFile) -> None:
    client = Client({}, a=training("a"), old=training("old"))
    look_up = TrainingLookUp(client, run_file, 4)
    assert await look_up.trainings_for([wanted("a", training_id="old", later_training_id="a")]) == {"a": found("a")}


async def test_else_the_list_is_read_back_to_where_the_version_was_made_and_no_further(run_file: RunFile) -> None:
    pages = {
        None: page(training("c", 20), following="second"),
        "second": page(training("b", 12), training("a", 10), following="third"),
        "third": page(training("z", 8), following="fourth"),
    }
    client = Client(pages)
    look_up = TrainingLookUp(client, run_file, 4)
    assert await look_up.trainings_for([wanted("a"), wanted("b"), wanted("hand")]) == {
        "a": found("a"),
        "b": found("b", 12),
        "hand": LookedUp(),
    }
    assert client.asked == ["first", "second", "third"]


async def test_no_page_and_no_training_is_asked_for_twice(run_file: RunFile) -> None:
    pages = {None: page(training("b", 12), following="second"), "second": page(training("a", 1))}
    client = Client(pages)
    look_up = TrainingLookUp(client, run_file, 4)
    assert await look_up.trainings_for([wanted("b", "2026-03-14T00:00:00Z")]) == {"b": found("b", 12)}
    assert await look_up.trainings_for([wanted("a", "2026-03-01T12:00:00Z"), wanted("b")]) == {
        "a": found("a", 1),
        "b": found("b", 12),
    }
    assert await look_up.trainings_for([wanted("hand", "2020-01-01T00:00:00Z")]) == {"hand": LookedUp()}
    assert client.asked == ["first", "second"]
    again = TrainingLookUp(Client({}), run_file, 4)
    assert await again.trainings_for([wanted("a")]) == {"a": found("a", 1)}, "the run file knows it"


async def test_the_list_is_not_read_for_a_version_without_a_date(run_file: RunFile) -> None:
    client = Client({})
    assert await TrainingLookUp(client, run_file, 4).trainings_for([wanted("a", None)]) == {"a": LookedUp()}
    assert client.asked == []


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Client({None: DOWN}), id="the list"),
        pytest.param(Client({None: page(training("z", 1))}, a=DOWN), id="the training"),
        pytest.param(Client({None: page(training("b", 20), following="x"), "x": DOWN}), id="a later page"),
    ],
)
async def test_what_could_not_be_asked_is_no_answer(run_file: RunFile, client: Client) -> None:
    look_up = TrainingLookUp(client, run_file, 4)
    assert await look_up.trainings_for([wanted("a", training_id="a")]) == {"a": LookedUp(failure=DOWN)}


async def test_a_list_that_leads_back_to_itself_is_read_once(run_file: RunFile) -> None:
    pages = {None: page(training("c", 20), following="second"), "second": page(training("b", 19), following="second")}
    client = Client(pages)
    [answer] = (await TrainingLookUp(client, run_file, 4).trainings_for([wanted("a")])).values()
    assert answer.failure
    assert client.asked == ["first", "second"]


async def test_what_the_list_tells_counts_although_the_training_could_not_be_asked_for(run_file: RunFile) -> None:
    client = Client({None: page(training("a", 10))}, a=DOWN)
    assert await TrainingLookUp(client, run_file, 4).trainings_for([wanted("a", training_id="a")]) == {"a": found("a")}


async def test_a_list_without_end_is_read_for_so_many_pages_and_no_more(run_file: RunFile) -> None:
    class Endless(Client):
        async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
            self.asked.append(following or "first")
            return TrainingsPage((), 0, f"page {len(self.asked)}")

    client = Endless({})
    look_up = TrainingLookUp(client, run_file, 4)
    for _ in range(2):
        looked_up = await look_up.trainings_for([wanted("a")])
        assert looked_up["a"].failure == TOO_LONG
        assert len(client.asked) == MOST_TRAININGS_PAGES

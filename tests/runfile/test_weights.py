"""What asking for weights has told, in a run file."""

from pathlib import Path

import pytest

from audit.model.codes import Reason, Status
from audit.model.replies import WeightsAnswer, WeightsAsked
from audit.runfile import RunFile
from audit.runfile.weights import WeightsTable
from tests.runfile.test_file import filled, people
from tests.support.samples import finding, run_info

THERE, GONE = WeightsAnswer("there", "HTTP 206"), WeightsAnswer("gone", "HTTP 404 for its first byte")
NOTHING = WeightsAnswer("nothing", "no connection")


def noted(path: Path, *urls: str) -> RunFile:
    run_file = RunFile.create(path, run_info())
    with run_file.transaction():
        run_file.weights.create()
        run_file.weights.want(urls)
    return run_file


def told(run_file: RunFile, **answers: WeightsAnswer) -> WeightsTable:
    with run_file.transaction():
        run_file.weights.record(answers.items())
    return run_file.weights


def test_a_run_that_asks_for_no_weights_says_nothing_of_them(tmp_path: Path) -> None:
    with RunFile.create(tmp_path / "run.sqlite", run_info()) as run_file:
        assert not run_file.weights.exists
        assert run_file.count_weights() is None
        run_file.weights.forget("gone")
        assert list(run_file.weights.rows()) == []


def test_each_url_is_pending_once_until_it_is_told_of(tmp_path: Path) -> None:
    with noted(tmp_path / "run.sqlite", "b", "a", "b", "c") as run_file:
        weights = told(run_file, b=THERE)
        with run_file.transaction():
            weights.want(["b", "a"])
        assert (list(weights.pending()), weights.count_pending()) == (["a", "c"], 2)
        assert (weights.answer("b"), weights.answer("a"), weights.answer("x")) == (THERE, None, None)


def test_recording_while_going_through_what_is_pending_skips_nothing(tmp_path: Path) -> None:
    urls = [f"{number:05}" for number in range(1300)]
    with noted(tmp_path / "run.sqlite", *urls) as run_file:
        seen = []
        for url in run_file.weights.pending():
            seen.append(url)
            told(run_file, **{url: GONE})
        assert seen == urls


def test_answers_are_counted_by_what_they_told(tmp_path: Path) -> None:
    with noted(tmp_path / "run.sqlite", "a", "b", "c", "d", "e") as run_file:
        assert run_file.count_weights() == WeightsAsked(0, 0, 0)
        told(run_file, a=THERE, b=GONE, c=GONE, d=NOTHING)
        assert run_file.count_weights() == WeightsAsked(4, 2, 1)
        with run_file.transaction():
            run_file.weights.give_up("enough")
        assert run_file.count_weights() == WeightsAsked(5, 2, 2)
        assert run_file.weights.answer("e") == WeightsAnswer("nothing", "enough")


def test_what_is_forgotten_is_asked_for_again(tmp_path: Path) -> None:
    with noted(tmp_path / "run.sqlite", "a", "b", "c") as run_file:
        weights = told(run_file, a=THERE, b=GONE, c=NOTHING)
        with run_file.transaction():
            weights.forget("nothing")
        assert list(weights.pending()) == ["c"]
        with run_file.transaction():
            weights.forget("gone")
        assert list(weights.pending()) == ["b", "c"]


@pytest.mark.parametrize("first", [True, False])
def test_in_a_merged_run_an_answer_is_not_lost_to_none(tmp_path: Path, *, first: bool) -> None:
    with noted(tmp_path / "a.sqlite", "x", "y") as one, noted(tmp_path / "b.sqlite", "y", "z") as other:
        told(one, x=GONE, y=THERE)
        told(other, z=NOTHING)
        with RunFile.create(tmp_path / "c.sqlite", run_info()) as merged:
            for each in (one, other) if first else (other, one):
                merged.weights.copy(each.weights.rows())
            assert merged.count_weights() == WeightsAsked(3, 1, 1)
            assert merged.weights.answer("y") == THERE


@pytest.mark.parametrize(
    ("asked", "all_gone"),
    [
        ((0, 0, 0), False),
        ((1, 1, 0), False),
        ((2, 2, 0), True),
        ((3, 2, 1), True),
        ((3, 2, 0), False),
        ((9, 0, 9), False),
    ],
)
def test_where_all_that_told_anything_are_gone_the_way_there_is_the_suspect(
    asked: tuple[int, int, int], *, all_gone: bool
) -> None:
    assert WeightsAsked(*asked).all_gone is all_gone


def test_what_is_known_besides_changes_the_finding_and_not_what_was_asked(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2", "a/3")) as run_file:
        run_file.record_findings([(1, finding())], None, 77)
        run_file.record_findings([(2, finding(Reason.OUTDATED_VERSION))], None, 78)
        ((row_id, record, latest),) = run_file.with_latest_version()
        assert (row_id, record.user_id, latest) == (1, "u0", finding())
        run_file.replace_findings([(1, finding(Reason.WEIGHTS_GONE, detail="HTTP 404", weights_checked="request"))])
        assert run_file.summary().reasons == {
            Reason.OUTDATED_VERSION: 1,
            Reason.STOPPED: 1,
            Reason.WEIGHTS_GONE: 1,
        }
        assert list(run_file.pending()) == ["a/3"]
        checked = {user.record.user_id: at for user, at in run_file.checked_users(Status.NEEDS_SYNC)}
        assert checked == {"u0": 77, "u1": 78}

"""The data block of the HTML page: what is packed can be unpacked, is small, and holds nothing that acts."""

import base64
import gzip
import json
from typing import Any

import pytest

from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.run import RunInfo
from audit.report.html import data as html_data
from audit.report.html.data import FIELDS, ITEM, LEFT_OUT, MOST, NULL, ROW, SAME, listed, packed
from audit.report.view import RunView
from tests.support.report_hostile import HOSTILE
from tests.support.report_samples import (
    INFO,
    SampleRun,
    everything,
    outdated,
    read,
    record,
    report_order,
    settled,
    trained,
    up_to_date,
    version_hash,
)


def data(users: list[AuditedUser], info: RunInfo = INFO, most: int = MOST) -> str:
    view = RunView(SampleRun(users, info))
    return "".join(packed(view, listed(view, most)))


def unpacked(
    users: list[AuditedUser], info: RunInfo = INFO, most: int = MOST
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The first line, and the rows under the names of the fields."""
    text = gzip.decompress(base64.b64decode(data(users, info, most), validate=True)).decode()
    first, *blocks = map(json.loads, text.split("\n"))
    rows: list[dict[str, str]] = []
    for block in blocks:
        size = min(first["block"], first["total"] - len(rows))
        columns = [column.split(ROW) if ROW in column else [column] * size for column in block]
        rows += [dict(zip(FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]
    return first, rows


def test_every_user_is_there_once_in_order() -> None:
    first, rows = unpacked(everything())
    assert [row["user_id"] for row in rows] == [u.record.user_id for u in sorted(everything(), key=report_order)]
    assert first["total"] == len(rows)


def test_of_very_many_users_all_who_are_not_up_to_date_are_there() -> None:
    users = everything()
    first, rows = unpacked(users, most=len(users) - 1)
    urgent = [user for user in sorted(users, key=report_order) if user.finding.status is not Status.UP_TO_DATE]
    assert [row["user_id"] for row in rows] == [user.record.user_id for user in urgent]
    assert (first["total"], first["left_out"]) == (len(urgent), len(users) - len(urgent))


def test_however_many_are_not_up_to_date_none_is_left_out() -> None:
    assert len(unpacked([outdated(n) for n in range(9)], most=3)[1]) == 9


def test_blocks_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_data, "BLOCK", 7)  # small enough for a sample to have many
    first, rows = unpacked(everything())
    assert first["block"] == 7
    assert len(rows) == len(everything())


def test_a_hash_that_stands_twice_is_stored_once() -> None:
    row = unpacked([up_to_date(1)])[1][0]
    assert (row["recorded"], row["latest"]) == ("\x80", "\x80")
    assert row["newest"] == version_hash((1, 0))
    assert unpacked([outdated(2, behind=3)])[1][0]["recorded"] == "\x83"
    assert unpacked([outdated(3, behind=9)])[1][0]["recorded"] == version_hash((3, 9))


def test_null_is_not_blank() -> None:
    users = [
        AuditedUser(record(n, replicate_version_id=text), Finding(reason=Reason.TIMEOUT))
        for n, text in enumerate((None, "", " "))
    ]
    assert [row["recorded"] for row in unpacked(users)[1]] == [NULL, "", " "]


def test_dates_are_told_by_the_one_before() -> None:
    row = unpacked([up_to_date(1, updated_at="2026-01-01T00:00:00.000001Z", completed_at="then")])[1][0]
    assert row["updated_at"] == "1767225600.000001"
    assert row["created_at"] == "-5241600.000001"
    assert row["completed_at"] == "~then"
    assert row["version_dates"] == f"1771581600{ITEM}-86400"


def test_in_a_large_report_only_the_newest_and_the_recorded_hash_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_data, "LARGE", 2)  # nobody wants to wait for as many as it really takes
    _, (behind, calm) = unpacked([outdated(1, behind=2), up_to_date(2, count=4)])
    assert behind["others"].split(ITEM) == ["", version_hash((1, 2)), ""]
    assert (calm["newest"], calm["others"]) == (version_hash((2, 0)), ITEM * 2)
    assert len(calm["version_dates"].split(ITEM)) == 4


def test_of_a_user_whom_a_training_settled_the_hash_is_stored_once() -> None:
    row = unpacked([settled(1)], read())[1][0]
    assert (row["recorded"], row["latest"], row["newest"]) == (SAME, SAME, version_hash((1, 0)))
    assert (row["version_dates"], row["current"]) == ("", SAME)


def test_of_a_training_only_what_differs_from_the_record_is_stored() -> None:
    same, other = unpacked(
        [trained(up_to_date(1)), trained(up_to_date(2), id="tr-x", weights=None, error="e")], read()
    )[1]
    dates = ["1771580400.5", "1204.5"]
    assert same["made_latest"].split(ITEM) == [SAME, "", SAME, SAME, "", *dates]
    assert other["made_latest"].split(ITEM) == ["tr-x", "", "", SAME, "e", *dates]


def test_in_a_large_report_a_training_has_its_id_only_where_somebody_has_to_act(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(html_data, "LARGE", 2)  # see above
    behind, calm = unpacked([trained(outdated(1), id="tr-new"), trained(up_to_date(2), id="tr-other")], read())[1]
    assert behind["made_latest"].split(ITEM) == ["tr-new", "", SAME, SAME, "", "-", "-"]
    assert calm["made_latest"].split(ITEM) == [LEFT_OUT, "", SAME, SAME, "", "-", "-"]


def test_a_run_without_trainings_carries_nothing_of_them() -> None:
    first, rows = unpacked(everything())
    assert first["origins"] is None
    assert {row[name] for row in rows for name in ("evidence", "current", "made_latest", "later")} == {""}


@pytest.mark.parametrize("text", [SAME, LEFT_OUT, ITEM, ROW])
def test_a_hostile_training_means_nothing_else(text: str) -> None:
    row = unpacked([trained(up_to_date(1), weights=text, trigger_word=text, error=text)], read())[1][0]
    spelled = f"\\x{ord(text):02x}"
    assert row["made_latest"].split(ITEM)[2:5] == [spelled] * 3


def test_hostile_texts_do_not_end_rows() -> None:
    users = [up_to_date(n, email=text, trigger_word=text) for n, text in enumerate(HOSTILE) if len(text) < 1_000]
    _, rows = unpacked(users)
    assert len(rows) == len(users)
    assert all(len(row["email"]) < 3_000 and row["email"] == row["trigger_word"] for row in rows)


def test_the_same_users_give_the_same_bytes() -> None:
    assert data(everything()) == data(everything())

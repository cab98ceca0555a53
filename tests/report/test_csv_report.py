"""The CSV report as other programs read it."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model.codes import Note, Status
from audit.model.run import Choices
from audit.model.text import escape_controls
from audit.report.csv_report import CELL_LIMIT, COLUMNS, cell, render, time, write_table
from audit.report.view import RunView
from tests.support.report_hostile import FORMULAS, HOSTILE, ids
from tests.support.report_samples import SampleRun, anna, everything, outdated, up_to_date


def rendered(run: SampleRun, *, redact: bool = False) -> bytes:
    out = io.BytesIO()
    render(RunView(run, redact=redact), out)
    return out.getvalue()


def parsed(raw: bytes) -> list[dict[str, str]]:
    text = io.StringIO(raw.decode(), newline="")
    reader = csv.DictReader(text, strict=True)
    rows = list(reader)
    assert all(None not in row and None not in row.values() for row in rows), "a row has another number of cells"
    return rows


def test_the_header_is_the_contracts_and_stands_there_without_users() -> None:
    contract = (
        "status,reason,user_id,email,display_name,replicate_model_id,current_version,latest_version,"
        "latest_version_created_at,versions_behind,total_versions_on_replicate,model_row_id,training_id,trigger_word,"
        "lora_scale,lora_weights_url,created_at,updated_at,completed_at,notes,detail,hint,replicate_url,baseline,"
        "accepted,affected_since,row_status,weights_checked,also,coverage"
    )
    assert rendered(SampleRun([])) == contract.encode() + b"\r\n"


def test_lines_end_in_crlf_and_there_is_no_byte_order_mark() -> None:
    raw = rendered(SampleRun(everything()))
    assert raw.count(b"\n") == raw.count(b"\r\n") == len(everything()) + 1
    assert not raw.startswith(b"\xef\xbb\xbf")


def test_every_user_comes_out_with_the_values_of_the_run() -> None:
    run = SampleRun(everything())
    for row, user in zip(parsed(rendered(run)), run.users(), strict=True):
        record, finding = user.record, user.finding
        assert row["status"] == finding.status
        assert row["reason"] == finding.reason
        assert row["email"] == (record.email or "")
        assert row["current_version"] == (record.replicate_version_id or "")
        assert row["latest_version"] == (finding.latest_version or "")
        assert row["versions_behind"] == ("" if finding.versions_behind is None else str(finding.versions_behind))
        assert row["notes"] == ";".join(finding.notes)
        assert row["updated_at"] == time(record.updated_at)
        assert row["affected_since"] == time(finding.affected_since)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-03-01T11:22:33Z", "2026-03-01 11:22:33"),
        ("2026-03-01T11:22:33.123456Z", "2026-03-01 11:22:33"),
        ("", ""),
        (None, ""),
        ("soon", "soon"),
        ("2026-03-01T11:22:33+02:00", "2026-03-01T11:22:33+02:00"),
        ("2026-03-01T11:22:33Z\n", "2026-03-01T11:22:33Z\n"),
    ],
)
def test_a_time_is_one_to_a_spreadsheet_and_anything_else_stays_what_it_is(stored: str | None, shown: str) -> None:
    assert time(stored) == shown


def test_every_time_of_a_row_is_written_so() -> None:
    rows = parsed(rendered(SampleRun(everything())))
    times = [value for row in rows for name, value in row.items() if name.endswith(("_at", "_since")) and value]
    assert times
    assert not [value for value in times if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", value)]


def test_totals_equal_the_rows() -> None:
    run = SampleRun(everything())
    statuses = [row["status"] for row in parsed(rendered(run))]
    assert {status: statuses.count(status) for status in Status} == run.summary().statuses


def test_numbers_are_numbers_and_notes_are_joined_by_semicolons() -> None:
    users = [outdated(1, behind=3), up_to_date(2, notes=(Note.SHARED_MODEL, Note.UNDATED_ROW))]
    rows = parsed(rendered(SampleRun(users)))
    assert (rows[0]["versions_behind"], rows[0]["total_versions_on_replicate"]) == ("3", "5")
    assert rows[1]["notes"] == "shared_model;undated_row"


@pytest.mark.parametrize("text", FORMULAS, ids=ids(FORMULAS))
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == "'" + escape_controls(text)


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("begin", ["=1+41", " =1", '"=1', "+1", "-1", "@SUM(1)", "\uff1d1", "\u00a0=1"])
def test_no_cell_begins_a_formula_whatever_separates_cells(separator: str, begin: str) -> None:
    name = f"Anna{separator}{begin}"
    user = up_to_date(1, email=name, display_name=name, training_id=name, trigger_word=name, model_name=name)
    text = rendered(SampleRun([user])).decode()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    assert not [value for row in rows for value in row if re.match(r"""[\s"]*[=+\-@\uff1d]""", value)]


def test_the_mark_behind_a_separator_changes_nothing_else() -> None:
    assert cell("Anna;=1+41 | x; y;") == "Anna;'=1+41 | x; y;"


@pytest.mark.parametrize("text", ["a=1", "1-1", "user@example.com", "", "'=1", "\\t=1", " x", "ü"])
def test_what_a_spreadsheet_leaves_alone_is_left_alone(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize("text", HOSTILE, ids=ids(HOSTILE))
def test_hostile_text_stays_in_its_cell_spelled_out(text: str) -> None:
    user = up_to_date(1, email=text, display_name=text, training_id=text, trigger_word=text, replicate_model_id=text)
    raw = rendered(SampleRun([user]))
    assert raw.count(b"\r\n") == raw.count(b"\n") == 2
    (row,) = parsed(raw)
    shown = row["email"]
    assert shown == row["display_name"] == row["training_id"] == row["trigger_word"] == row["replicate_model_id"]
    assert escape_controls(shown) == shown
    assert not shown.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert len(shown.encode("utf-16-le")) // 2 <= CELL_LIMIT
    if len(text) < 1000:
        assert shown in {escape_controls(text), "'" + escape_controls(text)}


def test_a_cell_that_is_too_long_says_how_much_is_missing() -> None:
    shown = cell("x" * 100_000)
    kept, _, mark = shown.partition("…")
    assert mark == f" ({100_000 - len(kept):,} more characters)"


def test_a_cell_is_not_cut_inside_a_character() -> None:
    assert "\ufffd" not in cell("x" + "\U0001f600" * 40_000)


def test_a_cell_of_exactly_the_limit_is_kept_whole() -> None:
    assert cell("x" * (CELL_LIMIT - 1)) == "x" * (CELL_LIMIT - 1)
    assert len(cell("=" * (CELL_LIMIT - 1))) == CELL_LIMIT


def test_redaction_leaves_no_trace_of_address_or_name() -> None:
    raw = rendered(anna(), redact=True).decode().casefold()
    assert "anna" in rendered(anna()).decode().casefold()
    assert "anna" not in raw
    assert "muster" not in raw
    assert "user-00007" in raw


def test_more_users_than_a_batch_come_out_once_each() -> None:
    rows = parsed(rendered(SampleRun([up_to_date(n) for n in range(401)])))
    assert [row["user_id"] for row in rows] == [f"user-{n:05}" for n in range(401)]
    assert tuple(rows[0]) == COLUMNS


TEXTS = st.text() | st.text('",;\n\r =a')


@given(st.lists(st.none() | st.integers() | TEXTS.map(cell), min_size=2))
def test_lines_are_those_of_pythons_own_csv(values: list[str | int | None]) -> None:
    ours, pythons = io.BytesIO(), io.StringIO(newline="")
    write_table(("first", "second"), iter([values]), ours)
    csv.writer(pythons, lineterminator="\r\n").writerows([("first", "second"), values])
    assert ours.getvalue() == pythons.getvalue().encode()


@pytest.mark.parametrize("told", [True, False], ids=["by the run", "now"])
def test_for_excel_it_begins_with_a_byte_order_mark_and_is_the_same_otherwise(*, told: bool) -> None:
    choices = Choices(outputs=(), concurrency=1, per_minute=1, timeout=1, retries=0, csv_for_excel=told)
    plain, marked = io.BytesIO(), io.BytesIO()
    render(RunView(SampleRun(everything())), plain)
    render(RunView(SampleRun(everything(), choices=choices), csv_for_excel=not told), marked)
    assert marked.getvalue() == b"\xef\xbb\xbf" + plain.getvalue()

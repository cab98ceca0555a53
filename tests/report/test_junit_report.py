"""The JUnit report as other programs read it: a schema, and a library of another make."""

import io
from functools import cache
from xml.etree import ElementTree

import pytest
import xmlschema
from junitparser import xunit2

from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser
from audit.model.run import Baseline
from audit.model.text import escape_controls
from audit.report.junit_report import render, xml_text
from audit.report.view import RunView
from tests import ROOT
from tests.support.report_hostile import HOSTILE, ids
from tests.support.report_samples import SampleRun, anna, compared, everything, failed, narrowed, outdated, up_to_date

_RESULTS = {"Failure": Status.NEEDS_SYNC, "Error": Status.ERROR, "Skipped": Status.NOT_CHECKED}


def rendered(run: SampleRun, *, redact: bool = False) -> str:
    out = io.BytesIO()
    render(RunView(run, redact=redact), out)
    return out.getvalue().decode()


@cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(ROOT / "tests/fixtures/junit.xsd")


def suite(run: SampleRun, *, redact: bool = False) -> xunit2.TestSuite:
    """The only suite, valid and parsed."""
    raw = rendered(run, redact=redact)
    schema().validate(raw)
    (only,) = xunit2.JUnitXml.fromstring(raw.encode())
    assert isinstance(only, xunit2.TestSuite)
    return only


def cases(suite: xunit2.TestSuite) -> list[xunit2.TestCase]:
    return [each for each in suite if isinstance(each, xunit2.TestCase)]


def status(case: xunit2.TestCase) -> Status:
    results = [_RESULTS[type(each).__name__] for each in case.result]
    assert len(results) <= 1
    return results[0] if results else Status.UP_TO_DATE


def test_each_user_is_a_case_with_the_result_that_the_status_means() -> None:
    run = SampleRun(everything())
    found = cases(suite(run))
    assert [status(case) for case in found] == [user.finding.status for user in run.users()]
    for case, user in zip(found, run.users(), strict=True):
        assert user.record.user_id in (case.name or "")
        assert (user.record.email or "") in (case.name or "")


def test_the_counts_of_the_suite_are_those_of_the_run() -> None:
    run = SampleRun(everything())
    whole, counts = suite(run), run.summary().statuses
    assert (whole.tests, whole.failures, whole.errors, whole.skipped) == (
        run.summary().total,
        counts[Status.NEEDS_SYNC],
        counts[Status.ERROR],
        counts[Status.NOT_CHECKED],
    )
    assert whole.time == 187.25
    assert whole.timestamp == "2026-03-01T12:00:00"


def test_a_failure_has_the_reason_as_its_type_and_says_what_to_record() -> None:
    user = outdated(1, behind=2)
    (case,) = cases(suite(SampleRun([user])))
    (result,) = case.result
    assert (result.type, result.message) == (
        "outdated_version",
        "Outdated version, affected since 2025-07-01: 2 newer versions on Replicate",
    )
    lines = (result.text or "").splitlines()
    assert f"recorded: {user.record.replicate_version_id}" in lines
    assert f"latest: {user.finding.latest_version}" in lines
    assert f"page: https://replicate.com/{user.record.replicate_model_id}" in lines


def test_with_a_baseline_each_case_says_whether_it_is_new() -> None:
    new, known, resolved = cases(suite(compared()))
    assert [case.result[0].message for case in (new, known)] == [
        "Outdated version (new), affected since 2025-07-01: 1 newer version on Replicate",
        "Outdated version (known), affected since 2025-07-01: 1 newer version on Replicate",
    ]
    assert status(resolved) is Status.UP_TO_DATE


def test_the_run_stands_in_the_properties() -> None:
    root = ElementTree.fromstring(rendered(SampleRun(everything())))
    found = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert found["run.state"] == "complete"
    assert found["run.database"] == "db.example.com/shop"
    assert found["reason.outdated_version"] == "6"


def test_an_incomplete_run_says_so_and_why() -> None:
    run = SampleRun([failed(1, Reason.STOPPED)], narrowed(state="stopped", stop_reason="SIGTERM", finished_at=None))
    assert suite(run).system_err == "Incomplete run, stopped: SIGTERM"


@pytest.mark.parametrize("database", ["/shop", ""])
def test_a_database_without_a_host_name_is_on_this_machine(database: str) -> None:
    assert suite(SampleRun([], narrowed(database=database))).hostname == "localhost"


def alike(user_id: str, number: int) -> AuditedUser:
    return up_to_date(number, user_id=user_id, email=None)


def test_no_two_cases_share_a_name_however_alike_their_users_are() -> None:
    twins = ["a\nb", "a\\nb", "a b", "a  b", " a b", "x" * 500, "x" * 500 + "y", "a, row 1"]
    names = [case.name for case in cases(suite(SampleRun([alike(who, n) for n, who in enumerate(twins)])))]
    assert len({" ".join((name or "").split()) for name in names}) == len(twins)


def test_masked_users_do_not_share_a_name_either() -> None:
    run = SampleRun([alike("anna@example.com", 1), alike("adam@example.com", 2)])
    assert {case.name for case in cases(suite(run, redact=True))} == {"a***@***, row 2", "a***@***, row 1"}


XML = [*filter(None, HOSTILE), "]]>", "\ufffe\uffff", "\ud800", "&#0;&bogus;"]


@pytest.mark.parametrize("hostile", XML, ids=ids(XML))
def test_hostile_text_stays_in_its_place_spelled_out(hostile: str) -> None:
    user = failed(1, Reason.BAD_RESPONSE, hostile, email=hostile, replicate_model_id=hostile)
    since = Baseline(run_id=hostile, started_at=hostile, path=hostile, other_place=hostile)
    (case,) = cases(suite(SampleRun([user], narrowed(stop_reason=hostile, base_url=hostile, baseline=since))))
    (result,) = case.result
    assert (case.name or "").endswith("(user-00001)")
    said = escape_controls(hostile).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
    assert (result.message or "").startswith(f"Invalid response: {said[:800]}".rstrip())


def test_text_is_the_same_again_after_parsing() -> None:
    said = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x600), 0xFFFD, 0x1F600]))
    assert ElementTree.fromstring(f'<a b="{xml_text(said)}"/>').get("b") == escape_controls(said)


def test_redaction_leaves_no_trace_of_address_or_name() -> None:
    raw = rendered(anna(), redact=True).casefold()
    assert "anna" in rendered(anna()).casefold()
    assert "anna" not in raw
    assert "muster" not in raw
    assert "user-00007" in raw

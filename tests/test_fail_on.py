"""`--fail-on`: the rule, case by case."""

import pytest

from audit.fail_on import FailOnCode, News, ended, news
from audit.models import AuditedUser, ExitCode, FailOn, Mark, Reason
from tests.samples import finding, record

MARKS: dict[Mark, int] = {"new": 0, "known": 0, "resolved": 0}


def since(needs_sync: int = 0, errors: int = 0, unknown: int = 0) -> News:
    return News(marks=MARKS, needs_sync=needs_sync, errors=errors, unknown=unknown)


OLD_NEWS, NEW_DUE, NEW_ERROR, UNKNOWN = since(), since(needs_sync=1), since(needs_sync=1, errors=1), since(unknown=1)


@pytest.mark.parametrize(
    ("found", "fail_on", "baseline", "code"),
    [
        (0, "any", None, ExitCode.OK),
        (3, "any", None, ExitCode.NEEDS_SYNC),
        (4, "any", None, ExitCode.INCOMPLETE),
        (3, "any", OLD_NEWS, ExitCode.NEEDS_SYNC),
        (4, "any", OLD_NEWS, ExitCode.INCOMPLETE),
        (0, "never", None, ExitCode.OK),
        (3, "never", None, FailOnCode.NOBODY_COUNTS),
        (3, "never", NEW_DUE, FailOnCode.NOBODY_COUNTS),
        (4, "never", OLD_NEWS, ExitCode.INCOMPLETE),
        (0, "new", OLD_NEWS, ExitCode.OK),
        (3, "new", OLD_NEWS, FailOnCode.NOBODY_COUNTS),
        (3, "new", NEW_DUE, FailOnCode.NEW),
        (4, "new", OLD_NEWS, FailOnCode.NOBODY_COUNTS),
        (4, "new", NEW_DUE, FailOnCode.NEW),
        (4, "new", NEW_ERROR, FailOnCode.INCOMPLETE),
        (4, "new", UNKNOWN, FailOnCode.INCOMPLETE),
    ],
)
def test_a_complete_run_ends_as_the_rule_says(
    found: int, fail_on: FailOn, baseline: News | None, code: ExitCode | FailOnCode
) -> None:
    ending = ended(ExitCode(found), fail_on, baseline, complete=True)
    assert (ending, type(ending)) == (code, type(code))


@pytest.mark.parametrize("fail_on", ["any", "new", "never"])
def test_an_incomplete_run_is_never_anything_else(fail_on: FailOn) -> None:
    assert ended(ExitCode.INCOMPLETE, fail_on, OLD_NEWS, complete=False) == 4


def marked(reason: Reason, mark: Mark | None) -> AuditedUser:
    return AuditedUser(record(), finding(reason), mark)


def test_news_counts_what_is_new_and_what_nobody_knows() -> None:
    found = news(
        [
            marked(Reason.OUTDATED_VERSION, "new"),
            marked(Reason.OUTDATED_VERSION, "known"),
            marked(Reason.MODEL_NOT_FOUND, "new"),
            marked(Reason.NO_VERSIONS, "known"),
            marked(Reason.TIMEOUT, "known"),
            marked(Reason.SERVER_ERROR, "new"),
            marked(Reason.STOPPED, None),
            marked(Reason.LATEST_VERSION, "resolved"),
            marked(Reason.LATEST_VERSION, None),
        ]
    )
    assert found == News(marks={"new": 3, "known": 3, "resolved": 1}, needs_sync=1, errors=1, unknown=3)

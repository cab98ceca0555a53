"""The benchmark of the HTML report runs; how fast the page is, only a quiet machine can tell."""

from collections import Counter

import pytest

from audit.model.codes import Reason, Status
from benchmarks.report_users import SyntheticRun
from tests.support.benchmark_runs import benchmark


@pytest.mark.slow
def test_ten_users_give_a_table() -> None:
    done = benchmark("benchmarks.report", "--most", "10", "--rounds", "1")
    for what in ("search answers", "slowest key", "heap", "file"):
        assert f"ours, 10 users: {what}" in done.stdout


def test_the_made_up_run_counts_the_users_that_it_tells_of() -> None:
    run = SyntheticRun(500)
    summary, users = run.summary(), list(run.users())
    assert Counter(user.finding.reason for user in users) == summary.reasons
    assert [user.finding.status for user in users] == sorted(
        (user.finding.status for user in users), key=list(Status).index
    )
    assert len(list(run.users(reason=Reason.OUTDATED_VERSION))) == summary.reasons[Reason.OUTDATED_VERSION] > 0

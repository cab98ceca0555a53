"""The benchmark of unfinished rows runs, and its counts hold; how long reading takes only a quiet machine can tell."""

import pytest

from tests.support.benchmark_runs import benchmark


@pytest.mark.slow
def test_a_few_users_give_a_table_and_no_request_too_many() -> None:
    done = benchmark("benchmarks.unfinished", "--users", "300", "--rounds", "1")
    for what in ("requests that the rules do not call for", "time to read the database"):
        assert what in done.stdout
    assert "nobody made" in done.stdout

"""The benchmark of tables of other kinds runs; how long reading takes only a quiet machine can tell."""

import pytest

from tests.support.benchmark_runs import benchmark


@pytest.mark.slow
def test_a_few_users_give_a_table_of_all_kinds() -> None:
    done = benchmark("benchmarks.any_tables", "--users", "300", "--tables", "20", "--rounds", "1")
    for what in (
        "names without an owner",
        "versions inside jsonb",
        "a query with a join",
        "time of init beside 20 tables",
    ):
        assert what in done.stdout

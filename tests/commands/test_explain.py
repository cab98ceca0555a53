"""`sync-audit explain` as a person runs it."""

import pytest

from audit.hints.explain import EXPLANATIONS
from tests.support.audits import Shell


def test_all_codes_are_listed_by_group_within_80_columns(shell: Shell) -> None:
    ended = shell("explain")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == [each.code for each in EXPLANATIONS]
    assert [line for line in lines if line in {each.group for each in EXPLANATIONS}] == list(
        dict.fromkeys(each.group for each in EXPLANATIONS)
    )


@pytest.mark.parametrize(
    ("code", "title", "step"),
    [
        ("outdated_version", "Outdated version", "  5. Find out why the retraining was not stored"),
        ("shared_model", "Shared model", "  2. Give each user their own model"),
        ("3", "At least one user needs a sync", "  1. Open the report"),
        ("143", "Stopped from outside", "  2. Finish the run"),
    ],
)
def test_a_code_is_explained_with_title_meaning_and_steps(shell: Shell, code: str, title: str, step: str) -> None:
    ended = shell("explain", code)
    assert ended.code == 0
    assert ended.out.startswith(f"{title}  {code}")
    assert f"\n{step}" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_a_status_lists_its_reasons(shell: Shell) -> None:
    ended = shell("explain", "needs_sync")
    assert ended.code == 0
    assert "unknown_version" in ended.out
    assert "timeout" not in ended.out


def test_an_unknown_word_suggests_the_nearest_and_is_a_usage_error(shell: Shell) -> None:
    ended = shell("explain", "outdatd_version\x1b[2J")
    assert ended.code == 2
    assert "Did you mean outdated_version" in ended.err
    assert "\x1b" not in ended.err
    assert ended.out == ""
    assert shell("explain", "zzzzzz").last_code == 2

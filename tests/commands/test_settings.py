"""Settings from options and environment, and what is said when they are wrong."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from audit.cli import options
from audit.commands.settings import RunSettings, default_choices
from audit.errors import SettingsError
from audit.model.replies import TrainingsRead
from audit.model.run import Filters
from audit.model.tables import Table, Tables
from audit.report.writer import FORMATS as RENDERED
from tests.support.command_lines import begun

NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
ENOUGH = {"DATABASE_URL": "postgresql://u:hunter2@db.example.com/shop", "REPLICATE_API_TOKEN": "r8_secret"}


def settings(environ: dict[str, str] | None = None, /, config: Path | None = None, **options: Any) -> RunSettings:
    return begun(options, ENOUGH | (environ or {}), NOW, config)


def refusal(environ: dict[str, str] | None = None, /, config: Path | None = None, **options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(environ, config, **options)
    return f"{caught.value} {caught.value.next_step}"


def test_database_and_token_are_all_that_is_needed() -> None:
    plain = settings()
    assert plain.base_url == "https://api.replicate.com/v1"
    assert plain.choices.outputs == (
        ("html", "reports/sync-audit-20260301T120005Z.html"),
        ("csv", "reports/sync-audit-20260301T120005Z.csv"),
    )
    assert plain.run_file == Path("reports/sync-audit-20260301T120005Z.sqlite")
    assert plain.choices == default_choices(outputs=plain.choices.outputs)
    made = plain.choices
    assert (made.concurrency, made.per_minute, made.timeout, made.retries, made.fail_on) == (128, 2400, 30, 4, "any")
    assert isinstance(default_choices().timeout, float)
    assert plain.order_by == "updated_at"
    assert plain.filters == Filters()
    assert not plain.redact


def test_weights_are_asked_for_where_that_is_said() -> None:
    assert not settings().check_weights
    assert settings(check_weights=True).check_weights


def test_no_secret_shows() -> None:
    shown = repr(settings({"HTTPS_PROXY": "http://me:pass@proxy:8080"}))
    for secret in ("r8_secret", "hunter2", "pass@"):
        assert secret not in shown


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REPLICATE_API_TOKEN"])
@pytest.mark.parametrize("value", ["", " \n"])
def test_what_is_missing_is_named(missing: str, value: str) -> None:
    if missing == "DATABASE_URL" and value.strip() == value:
        assert "--database-url" in refusal({missing: value})
    assert missing in refusal({missing: value})


def test_an_option_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"SYNC_AUDIT_RATE": "100", "SYNC_AUDIT_RETRIES": "1", "SYNC_AUDIT_CONCURRENCY": ""}
    chosen = settings(environ, rate="200")
    made = chosen.choices
    assert (made.per_minute, made.retries, made.concurrency) == (200, 1, 128)


@pytest.mark.parametrize(
    ("option", "variable", "bad"),
    [
        ("concurrency", "SYNC_AUDIT_CONCURRENCY", ["0", "257", "-1", "1.5", "many", "", "nan", "1e3"]),
        ("rate", "SYNC_AUDIT_RATE", ["0", "1000001", "x"]),
        ("retries", "SYNC_AUDIT_RETRIES", ["-1", "21", "x"]),
        ("timeout", "SYNC_AUDIT_TIMEOUT", ["0", "-1", "3601", "inf", "nan", "x"]),
        ("statement_timeout", "SYNC_AUDIT_STATEMENT_TIMEOUT", ["0", "86401", "inf", "nan", "x"]),
    ],
)
def test_an_impossible_number_is_named_with_its_option_and_variable(option: str, variable: str, bad: list[str]) -> None:
    for value in bad:
        given: dict[str, Any] = {option: value}
        said = refusal(**given)
        name = f"--{option.replace('_', '-')} ({variable})"
        assert re.match(
            rf"{re.escape(name)}: \S+ is not (in the range|a valid|a number).* Without it, \d+ is used", said
        )
        if value:
            assert said == refusal({variable: value})


@pytest.mark.parametrize(("option", "value"), [("concurrency", "256"), ("timeout", "0.5"), ("retries", "0")])
def test_the_ends_of_what_is_possible_are_possible(option: str, value: str) -> None:
    given: dict[str, Any] = {option: value}
    assert settings(**given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://api.replicate.com", "https://api.replicate.com/v1"),
        ("https://api.replicate.com/v1/", "https://api.replicate.com/v1"),
        ("https://gateway.example.com:8443/replicate", "https://gateway.example.com:8443/replicate/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        (" https://api.replicate.com/v1\n", "https://api.replicate.com/v1"),
    ],
)
def test_v1_is_added_to_the_base_url_where_it_is_missing(given: str, expected: str) -> None:
    assert settings(base_url=given).base_url == expected
    assert settings({"REPLICATE_BASE_URL": given}).base_url == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.replicate.com/v1", "must begin with https://, because the token"),
        ("http://127.0.0.1.evil.example/v1", "must begin with https://"),
        ("http://10.0.0.1/v1", "must begin with https://"),
        ("https://user@api.replicate.com", "must not hold a user name"),
        ("https://u:secret@api.replicate.com", "must not hold a user name"),
        ("https://api.replicate.com/v1?x=1", "must not hold a query"),
        ("https://api.replicate.com/v1#x", "must not hold a query or fragment"),
        ("ftp://api.replicate.com", "must begin with https://"),
        ("api.replicate.com", "is no URL of a host"),
        ("https://", "is no URL of a host"),
        ("https://api.replicate.com:99999", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://api.repli cate.com", "is no URL of a host"),
    ],
)
def test_a_base_url_that_would_expose_the_token_or_is_none_is_refused(url: str, words: str) -> None:
    said = refusal(base_url=url)
    assert words in said
    assert "--base-url (REPLICATE_BASE_URL)" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("environ", "base_url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.replicate.com", "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128"}, "https://api.replicate.com", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".replicate.com"}, "https://api.replicate.com", None),
        (
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com"},
            "https://api.replicate.com",
            "http://proxy:3128",
        ),
        ({"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy:3128"}, "http://127.0.0.1:1", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://localhost:8443", None),
        ({}, "https://api.replicate.com", None),
    ],
)
def test_the_proxy_of_the_environment_is_used_for_https_and_never_for_this_machine(
    environ: dict[str, str], base_url: str, proxy: str | None
) -> None:
    assert settings(environ, base_url=base_url).proxy == proxy


def test_a_proxy_that_is_no_url_is_named_without_its_text() -> None:
    said = refusal({"HTTPS_PROXY": "me:pass@proxy"})
    assert "HTTPS_PROXY is no" in said
    assert "pass" not in said


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("report.html", ("html", "report.html")),
        ("report.HTM", ("html", "report.HTM")),
        ("a/b.csv", ("csv", "a/b.csv")),
        ("summary.md", ("md", "summary.md")),
        ("a/users.xml", ("junit", "a/users.xml")),
        ("junit=users", ("junit", "users")),
        ("json=-", ("json", "-")),
        ("csv=report.txt", ("csv", "report.txt")),
        ("html=a=b", ("html", "a=b")),
        ("dir.x/a=b.json", ("json", "dir.x/a=b.json")),
    ],
)
def test_the_format_is_said_or_taken_from_the_suffix(given: str, expected: tuple[str, str]) -> None:
    assert settings(output=(given,)).choices.outputs == (expected,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("report", "cannot be told from the name"),
        ("-", "cannot be told from the name"),
        ("", "cannot be told"),
        ("report.pdf", "unknown format 'pdf'"),
        ("yaml=x", "unknown format 'yaml'"),
        ("csv=", "there is no path"),
    ],
)
def test_a_format_that_is_unknown_is_refused_with_the_known_ones(given: str, words: str) -> None:
    said = refusal(output=(given,))
    assert words in said
    assert "html" in said or "csv" in said


def test_formats_that_can_be_said_are_those_that_can_be_rendered() -> None:
    assert isinstance(options.output.type, options.Output)
    assert set(options.output.type.formats) == set(RENDERED)


def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("r8_from_file\n")
    assert settings(token_file=str(file)).token == "r8_from_file"


@pytest.mark.parametrize("content", ["", "\n", "r8_a r8_b", "r8_a\nr8_b", "r8_ü", "r8_\x00"])
def test_a_file_without_a_token_is_refused_without_showing_what_is_in_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    said = refusal(token_file=str(file))
    assert "--token-file (REPLICATE_API_TOKEN): " in said
    assert str(file) in said
    assert "r8_a" not in said


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "cannot be read: no such file" in refusal(token_file=str(tmp_path / "none"))
    assert "cannot be read: is a directory" in refusal(token_file=str(tmp_path))


@pytest.mark.parametrize("value", ["0", "-3", "x", "1.5", "٣"])
def test_an_impossible_limit_is_named(value: str) -> None:
    assert "--limit: " in refusal(limit=value)


def test_filters_are_kept_as_the_user_said_them() -> None:
    chosen = settings(user=(" Ann@example.com ", "u1"), limit="5", include_tests=True, order_by="created_at")
    assert chosen.filters == Filters(users=("Ann@example.com", "u1"), limit=5, include_tests=True)
    assert chosen.order_by == "created_at"


def test_an_unknown_order_is_refused_with_the_known_ones() -> None:
    assert "'updated_at', 'completed_at', 'created_at'" in refusal(order_by="id; DROP TABLE users")


def test_an_empty_user_is_refused() -> None:
    assert "--user: is empty" in refusal(user=("  ",))


def test_trainings_are_read_where_they_are_wanted() -> None:
    assert settings().trainings is None
    assert settings(trainings=True).trainings == TrainingsRead(mode="versions")
    assert settings(mode="trainings").trainings == TrainingsRead(mode="trainings", sample=1.0)
    since = settings(trainings=True, trainings_since="2026-01-05T12:00:00+02:00").trainings
    assert since == TrainingsRead(mode="versions", since="2026-01-05T10:00:00Z")
    assert settings(mode="trainings", verify_sample="0").trainings == TrainingsRead(mode="trainings", sample=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "quick"}, "--mode: 'quick' is not one of 'versions', 'trainings'"),
        ({"trainings_since": "2026-01-05"}, "--trainings-since has no meaning without --trainings"),
        ({"trainings": True, "trainings_since": "last week"}, "--trainings-since: must be a date"),
        ({"trainings": True, "trainings_since": "2026-03-02"}, "is in the future"),
        ({"verify_sample": "5"}, "--verify-sample has no meaning without --mode trainings"),
        ({"mode": "trainings", "verify_sample": "101"}, "--verify-sample: 101.0 is not in the range 0<=x<=100"),
        ({"mode": "trainings", "verify_sample": "some"}, "--verify-sample: 'some' is not a valid number"),
    ],
)
def test_what_makes_no_sense_about_trainings_is_refused(options: dict[str, Any], words: str) -> None:
    assert words in refusal(**options)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rate", 0),
        ("timeout", 0.01),
        ("order-by", "id"),
        ("user", [" "]),
        ("limit", 0),
        ("fail-on", "old"),
        ("fail-on", "new"),
        ("base-url", "http://example.com"),
        ("token-file", "/nowhere/token"),
        ("output", ["report"]),
        ("shard", "3/2"),
        ("trainings-since", "soon"),
    ],
)
def test_what_the_config_file_says_goes_through_the_same_checks_and_the_file_is_named(
    key: str, value: Any, tmp_path: Path
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(f"{key} = {json.dumps(value)}\ntrainings = true")
    environ = {"REPLICATE_API_TOKEN": ""} if key == "token-file" else {}
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value, "trainings": True}
    of_option, of_file = refusal(environ, **given), refusal(environ, file)
    assert of_file.replace(f"{tmp_path}/", "") == f"shop.toml: {of_option}"


def test_the_database_is_called_as_the_config_file_says(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('[database.tables]\nusers = "app.accounts"')
    assert settings(config=file).database.tables == Tables(users=Table("users", ("app", "accounts")))


def test_a_second_run_within_a_second_gets_files_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    for taken in ("sync-audit-20260301T120005Z.sqlite", "sync-audit-20260301T120005Z-2.sqlite"):
        (tmp_path / "reports" / taken).touch()
    third = settings()
    assert third.run_file == Path("reports/sync-audit-20260301T120005Z-3.sqlite")
    assert third.choices.outputs[0] == ("html", "reports/sync-audit-20260301T120005Z-3.html")

"""Which of those who give a value is heard, and what is said where it is wrong."""

import re
from pathlib import Path
from typing import Any

import click
import pytest

from audit.cli import options
from audit.cli.settings import Command, all_commands, check, found, is_given, is_typed
from audit.commands import cli
from audit.errors import SettingsError
from tests.support.command_lines import context

FILE = 'rate = 3\nredact = true\nuser = "c"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A config file."""
    path = tmp_path / "sync-audit.toml"
    path.write_text(FILE)
    return path


def everything() -> tuple[Command, ...]:
    return all_commands(click.Context(cli))


@pytest.mark.parametrize(
    ("arguments", "environ", "value", "source"),
    [
        (["--rate", "1"], {"SYNC_AUDIT_RATE": "2"}, 1, "--rate"),
        ([], {"SYNC_AUDIT_RATE": "2"}, 2, "SYNC_AUDIT_RATE"),
        ([], {"SYNC_AUDIT_RATE": ""}, 3, "config {}"),
        ([], {}, 3, "config {}"),
    ],
    ids=["option", "variable", "empty variable", "config file"],
)
def test_option_before_variable_before_config_file(
    arguments: list[str], environ: dict[str, str], value: int, source: str, file: Path
) -> None:
    ctx = context("run", *arguments, environ=environ, config=file)
    assert ctx.params["per_minute"] == value
    assert options.rate.source(ctx) == source.format(file)
    assert is_given(ctx, "per_minute")
    assert is_typed(ctx, "per_minute") is bool(arguments)


def test_the_default_counts_where_nobody_says_anything() -> None:
    ctx = context("run", environ={"SYNC_AUDIT_RATE": ""})
    assert (ctx.params["per_minute"], options.rate.source(ctx)) == (2400, "default")
    assert not is_given(ctx, "per_minute")


def test_an_empty_option_is_one(file: Path) -> None:
    ctx = context("run", "--rate", "", environ={"SYNC_AUDIT_RATE": "2"}, config=file)
    assert str(found(ctx).problems["per_minute"]).startswith("--rate (SYNC_AUDIT_RATE): '' is not a valid")


def test_where_nobody_has_said_anything_there_is_nothing() -> None:
    ctx = context("run")
    assert options.shard.source(ctx) == "not set"
    assert (ctx.params["shard"], ctx.params["users"], ctx.params["redact"], ctx.params["verbose"]) == (
        None,
        (),
        False,
        0,
    )


def test_flags_counts_and_repeated_options_that_are_not_given_leave_the_word_to_the_config_file(file: Path) -> None:
    ctx = context("run", config=file)
    assert (ctx.params["redact"], ctx.params["users"], ctx.params["verbose"]) == (True, ("c",), 0)
    ctx = context("run", "--user", "a", "--user", "b", "-vv", config=file)
    assert (ctx.params["users"], ctx.params["verbose"]) == (("a", "b"), 2)


def test_a_flag_that_the_config_file_denies_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("redact = false")
    assert not context("run", config=tmp_path / "x.toml").params["redact"]


@pytest.mark.parametrize(
    ("arguments", "environ", "blamed"),
    [
        ([], {}, "{}: "),
        (["--concurrency", "0"], {}, ""),
        ([], {"SYNC_AUDIT_CONCURRENCY": "0"}, ""),
    ],
    ids=["file", "option", "variable"],
)
def test_a_mistake_names_option_and_variable_and_the_config_file_where_it_is_from_there(
    arguments: list[str], environ: dict[str, str], blamed: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.toml"
    path.write_text("concurrency = 0")
    ctx = context("run", *arguments, environ=environ, config=path)
    with pytest.raises(SettingsError) as caught:
        check(ctx)
    words = "--concurrency (SYNC_AUDIT_CONCURRENCY): 0 is not in the range 1<=x<=256"
    assert str(caught.value) == blamed.format(path) + words
    assert caught.value.next_step == "Without it, 128 is used."


def test_all_values_are_looked_at_whatever_is_wrong_with_one() -> None:
    ctx = context("run", "--rate", "0", "--timeout", "soon", "--retries", "2")
    assert list(found(ctx).problems) == ["per_minute", "timeout"]
    assert (ctx.params["per_minute"], ctx.params["retries"]) == (None, 2)
    check(ctx, unused=[options.rate, options.timeout])
    with pytest.raises(SettingsError, match="--timeout"):
        check(ctx, unused=[options.rate])


@pytest.mark.parametrize("command", everything(), ids=lambda each: each.name)
def test_what_a_command_hears_from_a_variable_is_named_in_its_help(command: Command) -> None:
    text = " ".join(command.get_help(click.Context(command)).split())
    for each in command.settings:
        assert f"[env var: {each.envvar}" in text or not each.envvar


def test_the_help_of_run_is_grouped_and_lists_every_option_once() -> None:
    run = cli.get_command(click.Context(cli), "run")
    assert run
    text = run.get_help(click.Context(run))
    headings = re.findall(r"^([A-Z].*):$", text, re.MULTILINE)
    assert headings == ["What is audited", "How it is checked", "Output", "CI", "Options"]
    listed = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    assert sorted(listed) == sorted([*(each.opts[-1] for each in run.params), "--help"])


def test_no_two_options_share_a_variable_and_a_variable_means_the_same_everywhere() -> None:
    pairs = {(each.envvar, each.option) for command in everything() for each in command.settings if each.envvar}
    assert len(pairs) == len({variable for variable, _ in pairs}) == len({option for _, option in pairs}) == 9


def test_a_setting_is_declared_once() -> None:
    by_option: dict[str, set[tuple[Any, ...]]] = {}
    for command in everything():
        for each in command.settings:
            told = (each.envvar, each.key, str(each.initial), each.resumed, each.refused, each.is_flag)
            by_option.setdefault(each.option, set()).add(told)
    assert {option for option, told in by_option.items() if len(told) > 1} <= {"--output"}  # that of sync is one path

"""What commands make of a command line, of variables and of a config file, without running them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from audit.commands import cli
from audit.commands.settings import ResumeSettings, RunSettings, resume_settings, run_settings
from audit.model.run import Choices, RunInfo


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """An environment of these variables and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def context(
    command: str, *arguments: str, environ: Mapping[str, str] | None = None, config: Path | None = None
) -> click.Context:
    """The parsed command line of a command that reads no config file but `config`."""
    file = ("--no-config",) if config is None else ("--config", str(config))
    parent = click.Context(cli, info_name="sync-audit", **cli.context_settings)
    found = cli.get_command(parent, command)
    assert found
    with environment(environ or {}):
        return found.make_context(command, [*arguments, *file], parent=parent)


def typed(options: Mapping[str, object]) -> list[str]:
    """Options by name, `{"user": ("anna", "bob"), "redact": True}`, as a person types them."""
    words = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, tuple) else (value,):
            words += [option] if each is True else [option, str(each)]
    return words


def begun(
    options: Mapping[str, object], environ: Mapping[str, str], now: datetime, config: Path | None = None
) -> RunSettings:
    """Settings of `run` with these options."""
    with environment(environ):
        return run_settings(context("run", *typed(options), environ=environ, config=config), now)


def resumed(
    options: Mapping[str, object], environ: Mapping[str, str], info: RunInfo, choices: Choices | None
) -> ResumeSettings:
    """Settings of `run --resume` with these options."""
    with environment(environ):
        return resume_settings(context("run", "--resume", "x", *typed(options), environ=environ), info, choices)

"""Options whose values a variable and the config file may give as well, and what is known of each value.

Click finds a value (option, variable, `Context.default_map`, default), converts and checks it, and remembers its source
(`Context.get_parameter_source`). Added here: the config file as the `default_map` and what may stand in it, errors that
name the option, its variable and the file, and commands that go on after an error.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from audit.errors import SettingsError
from audit.files import check_key_log

if TYPE_CHECKING:
    from audit.cli.config_file import ConfigFile

Resumed = Literal["", "kept", "same", "never"]
"""What `run --resume` does about a setting: the config file is heard again (""); the run file has kept it, and options
and variables may change it; they must say the same; or it must never be typed."""
SHARED = "Config files are shared and committed. Set REPLICATE_API_TOKEN, or name a file in token-file."
"""Why there is no secret in them, and what to do instead."""
_TOKEN = re.compile(r"\br8_[A-Za-z0-9]{8}")
_SECRET = re.compile("token|password|passwd|secret|api-?key|credential")
_META = "audit.cli.settings"


@dataclass
class Found:
    """Errors of a command line, kept until all of it has been parsed."""

    file: "ConfigFile | None" = None
    """The config file that counts."""
    listened: bool = False
    """The config file has been read, or looked for."""
    problems: dict[str, SettingsError] = field(default_factory=dict)
    """What is wrong with a value, by parameter; under `config`, with the config file."""


def found(ctx: click.Context) -> Found:
    """What came up for the command of `ctx`."""
    kept: Found = ctx.meta.setdefault(_META, Found())
    return kept


class FilePath(click.Path):
    """A path, as it was given."""

    quoted = "a path in quotes"

    def __init__(self, metavar: str = "PATH") -> None:
        super().__init__()
        self.metavar = metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002 - click's signature
        """Whether there is such a file is found out when it is used. Raises SettingsError for what is no path."""
        if "\0" in value:
            raise SettingsError(f"{value!r} is no path: it has a NUL in it")
        return value

    def below(self, text: str, folder: Path | None) -> str:
        """A path in a config file; there is no shell to see to a ~, so it is seen to here."""
        if not text:
            return text
        try:
            path = Path(text).expanduser()
        except RuntimeError:  # there is no such user, so it may as well be a name
            path = Path(text)
        return str(folder / path if folder else path)


class Setting(click.Option):
    """An option that a variable (`envvar`) and the config file may stand in for."""

    def __init__(
        self,
        *names: str,
        key: str = "",
        refused: str = "",
        guard: Callable[[str], None] | None = None,
        missing: tuple[str, str] = ("", ""),
        resumed: Resumed = "",
        **attrs: Any,
    ) -> None:
        """`key`: what the config file calls it, where that is not the option's name.

        `refused`: why the option's name must not be in a config file. `guard`: raises SettingsError for a text that
        has none, as it holds a secret. `missing`: what to say, and the next step, where `needed` finds no value. The
        `type` may know the `metavar`.
        """
        attrs.setdefault("metavar", getattr(attrs.get("type"), "metavar", None))
        if not attrs.keys() & {"is_flag", "multiple", "count", "required"}:
            attrs.setdefault("default", None)  # else click's sentinel for "none" gets into `Context.params`
        super().__init__(names, **{"show_envvar": True, "show_default": True} | attrs)
        self.option = next(name for name in self.opts if name.startswith("--"))
        self.key = key or ("" if refused else self.option[2:])
        self.guard, self.missing, self.resumed = guard, missing, resumed
        self.refused = refused
        self.initial: Any = attrs.get("default")

    @property
    def id(self) -> str:
        """The parameter's name, under which click keeps the value."""
        return self.name or ""

    @property
    def named(self) -> str:
        """The option and its variable, "--rate (SYNC_AUDIT_RATE)"."""
        return f"{self.option} ({self.envvar})" if self.envvar else self.option

    @property
    def wanted(self) -> str:
        """What a config file has to hold for it, in words."""
        words = "a text in quotes"
        if self.is_flag:
            words = "true or false"
        elif self.count:
            words = "0, 1 or 2"
        elif isinstance(self.type, click.IntRange | click.FloatRange):
            words = "a number"
        elif isinstance(self.type, click.Choice):
            words = " or ".join(f'"{word}"' for word in self.type.choices)
        elif isinstance(self.type, FilePath):
            words = self.type.quoted
        return f"{words} or a list of them" if self.multiple else words

    def but(self, **changes: Any) -> "Setting":
        """The same for another command, with another help or the like."""
        other = copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        return other

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Find the value. Eager options are about the config file, and heard before it is read."""
        if not self.is_eager and not ctx.resilient_parsing:
            _listen(ctx)
        return super().consume_value(ctx, opts)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert and check it; completion asks for words, not for values."""
        return value if ctx.resilient_parsing else super().process_value(ctx, value)

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """What is wrong is kept for `check`, so that all others can still be looked at."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.MissingParameter:
            raise
        except click.BadParameter as error:
            problem = self.wrong(ctx, error.message.rstrip("."))
        except SettingsError as error:
            problem = self.wrong(ctx, str(error), error.next_step)
        found(ctx).problems[self.id] = problem
        ctx.params[self.id] = None
        return None, args

    def wrong(self, ctx: click.Context, message: str, next_step: str = "") -> SettingsError:
        """An error that names the option, its variable and, where it is from there, the file."""
        file = found(ctx).file if ctx.get_parameter_source(self.id) is ParameterSource.DEFAULT_MAP else None
        without = "" if self.is_flag or self.initial is None else f"Without it, {self.initial} is used."
        return SettingsError(f"{f'{file.name}: ' if file else ''}{self.named}: {message}", next_step or without)

    def needed(self, ctx: click.Context) -> Any:
        """The value. Raises SettingsError where it is wrong, or where there is none."""
        if problem := found(ctx).problems.get(self.id):
            raise problem
        if ctx.params[self.id] is None:
            raise SettingsError(*self.missing)
        return ctx.params[self.id]

    def look_up(self, ctx: click.Context) -> Any:
        """Its value in a command that has no such option: what variable, config file or default say."""
        if self.id not in ctx.params:
            self.handle_parse_result(ctx, {}, [])
        return ctx.params[self.id]

    def source(self, ctx: click.Context) -> str:
        """Who gave the value: "--rate", "SYNC_AUDIT_RATE", "config sync-audit.toml", "default", "not set"."""
        match ctx.get_parameter_source(self.id):
            case ParameterSource.COMMANDLINE:
                return self.option
            case ParameterSource.ENVIRONMENT:
                return str(self.envvar)
            case ParameterSource.DEFAULT_MAP:
                return f"config {file.name}" if (file := found(ctx).file) else "config"
        return "not set" if self.initial is None else "default"

    def from_file(self, key: str, value: object, folder: Path | None) -> object:
        """The `value` of `key`, as TOML has it, as the option would give it; relative paths are below `folder`.

        Raises SettingsError, which never shows the value: it might be a secret.
        """
        if self.count and isinstance(value, bool):
            value = int(value)
        listed = value if self.multiple and isinstance(value, list) else [value]
        number = self.count or isinstance(self.type, click.IntRange | click.FloatRange)
        kinds = (bool,) if self.is_flag else (int, float) if number else (str,)
        fits = all(isinstance(each, kinds) and isinstance(each, bool) == self.is_flag for each in listed)
        if not fits or (self.count and value not in range(3)):
            raise SettingsError(f"{key} must be {self.wanted}{_instead(value)}")
        if any(_TOKEN.search(str(each)) for each in listed):
            raise SettingsError(f"{key} holds an API token, which must not be in a config file", SHARED)
        if self.guard:
            try:
                self.guard(str(value))
            except SettingsError as error:
                raise SettingsError(f"{key} {error}", error.next_step) from error
        if isinstance(self.type, FilePath):
            listed = [self.type.below(str(each), folder) for each in listed]
        return tuple(listed) if self.multiple else str(listed[0]) if number else listed[0]


def _instead(value: object) -> str:
    """What kind of value it is. Never the value itself: it may be a secret."""
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    kind = names.get(type(value), "" if isinstance(value, str) else "a date or time")
    return f", not {kind}" if kind else ""


CONFIG = Setting(
    "--config",
    is_eager=True,
    refused="the file cannot name another one",
    show_default="sync-audit.toml, or [tool.sync-audit] in pyproject.toml, here or above",
    type=FilePath("FILE"),
    help="Read settings from this file.",
)
NO_CONFIG = Setting(
    "--no-config",
    is_flag=True,
    is_eager=True,
    refused="the file cannot say that it is not to be read",
    help="Read no config file.",
)


class Command(click.Command):
    """A command whose options are settings, `--config` and `--no-config` among them."""

    def __init__(
        self,
        *args: Any,
        settings: Sequence[Setting] | Mapping[str, Sequence[Setting]],
        own: Container[str] | None = None,
        lenient: bool = False,
        **attrs: Any,
    ) -> None:
        """`settings`: also by the heading under which the help lists them.

        `own`: the config file has a table for it, and these keys are heard there alone. `lenient`: it calls `check`
        itself, or goes on whatever is wrong.
        """
        self.sections = dict(settings) if isinstance(settings, Mapping) else {"Options": settings}
        self.settings = (*chain.from_iterable(self.sections.values()), CONFIG, NO_CONFIG)
        self.own, self.lenient = own, lenient
        super().__init__(*args, **attrs | {"params": [*attrs.get("params", ()), *self.settings]})

    @property
    def keys(self) -> dict[str, Setting]:
        """What the config file may hold for it."""
        return {each.key: each for each in self.settings if each.key}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises SettingsError for SSLKEYLOGFILE before any value is looked at: what checks one may import aiohttp."""
        if not ctx.resilient_parsing and not {*ctx.help_option_names} & {*args}:
            check_key_log()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Do it. Raises SettingsError before, for the first setting that is wrong."""
        if not self.lenient:
            check(ctx)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options by section, and at the end those that every command has."""
        named = {heading: list[click.Parameter](listed) for heading, listed in self.sections.items()}
        listed = list(chain.from_iterable(named.values()))
        named.setdefault("Options", []).extend(each for each in self.get_params(ctx) if each not in listed)
        for heading, params in named.items():
            with formatter.section(heading):
                formatter.write_dl([record for each in params if (record := each.get_help_record(ctx))])


def check(ctx: click.Context, unused: Iterable[Setting] = ()) -> None:
    """Raises SettingsError for the first setting that is wrong, unless it is one of those that are `unused`."""
    ignored = {each.id for each in unused}
    for name, problem in found(ctx).problems.items():
        if name not in ignored:
            raise problem


def is_typed(ctx: click.Context, name: str) -> bool:
    """Whether the parameter `name` is on the command line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether anybody has given the parameter `name` a value: option, variable or config file."""
    return ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def refuse(ctx: click.Context, settings: Iterable[Setting], where: str) -> None:
    """Raises SettingsError for an option that was typed and has no meaning `where`."""
    for each in settings:
        if is_typed(ctx, each.id):
            raise SettingsError(f"{each.option} has no meaning {where}")


def _listen(ctx: click.Context) -> None:
    """Read the config file, once, check all of it, and have click find in it what the command hears."""
    kept = found(ctx)
    if not kept.listened:
        kept.listened = True
        try:
            kept.file = _config_file(ctx)
        except SettingsError as error:
            kept.problems[CONFIG.id] = error


def _config_file(ctx: click.Context) -> "ConfigFile | None":
    from audit.cli import config_file

    named, left_out = (is_typed(ctx, each.id) for each in (CONFIG, NO_CONFIG))
    if named and left_out:
        raise SettingsError("--config and --no-config can't be used together")
    here = None if left_out else config_file.working_directory()
    file = config_file.find(here) if here and not named else None
    if named:
        file = config_file.read(Path(ctx.params[CONFIG.id]))
    if file and file.unheard:
        click.echo(
            f"config file {file.name}: {', '.join(file.unheard)} ignored, because another user may have written "
            f"the file; if you trust it: --config {file.name}",
            err=True,
        )
    if file:
        with config_file.blaming(file.name):
            ctx.default_map = _heard(ctx, file)
    return file


def all_commands(ctx: click.Context) -> tuple[Command, ...]:
    """Those of the program that hear the config file."""
    group = ctx.find_root().command
    names = group.list_commands(ctx) if isinstance(group, click.Group) else ()
    listed = (group.get_command(ctx, name) for name in names if isinstance(group, click.Group))
    return tuple(each for each in listed if isinstance(each, Command))


def top_level(commands: Iterable[Command]) -> dict[str, Setting]:
    """What may stand in a config file outside of the tables of commands, by key."""
    keys: dict[str, Setting] = {}
    for each in commands:
        keys = keys if each.own is not None else keys | each.keys | keys
    return keys


def refusals(commands: Iterable[Command]) -> dict[str, str]:
    """Why options have no place in a config file, by option without dashes."""
    return {it.option[2:]: it.refused for each in commands for it in each.settings if it.refused}


def _heard(ctx: click.Context, file: "ConfigFile") -> dict[str, object]:
    """By parameter, what the file says to the command of `ctx`. All of it is checked, whoever asks."""
    from audit.cli.config_file import table

    command, commands = ctx.command, all_commands(ctx)
    assert isinstance(command, Command)  # noqa: S101 - nobody else has settings
    own = {each.name or "": each.keys for each in commands if each.own is not None}
    tables = {name: table(file.document, name) for name in own}
    tables[""] = {key: value for key, value in file.document.items() if key not in {"database", *own}}
    keys = {**own, "": top_level(commands)}
    values = dict[str, dict[str, object]]()
    for name, content in tables.items():
        known, within = keys[name], f"{name}." if name else ""
        for key in content:
            if key not in known:
                raise _unknown(key, within, refusals(commands), (*known, *(() if name else (*own, "database"))))
        values[name] = {key: known[key].from_file(within + key, value, file.folder) for key, value in content.items()}
    heard = {key: value for key, value in values[""].items() if command.own is None or key not in command.own}
    settings, resuming = keys[""] | command.keys, is_typed(ctx, "resume")
    return {
        settings[key].id: value
        for key, value in (heard | values.get(command.name or "", {})).items()
        if not (resuming and settings[key].resumed)
    }


def _unknown(key: str, within: str, refused: Mapping[str, str], known: Sequence[str]) -> SettingsError:
    from audit.cli.config_file import nearest

    option = key.casefold().replace("_", "-")
    if option in refused:
        return SettingsError(f"{within}{key} must not be in a config file: {refused[option]}")
    if _SECRET.search(option) and option not in known:
        return SettingsError(f"{within}{key} must not be in a config file: it looks like a secret", SHARED)
    return SettingsError(f"unknown key {within}{key}", nearest(option, known))

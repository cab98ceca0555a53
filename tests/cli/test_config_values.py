"""What a config file may say, and what it comes to."""

import tomllib
from pathlib import Path

import click
import pytest

from audit.cli.config_file import COMMANDS, KEYS, REFUSED, Config, config
from audit.cli.settings import VARIABLES
from audit.commands import COMMANDS as DOORWAYS
from audit.commands import cli
from audit.errors import SettingsError
from audit.model.tables import Table

FOLDER = Path("/etc/shop")


def said(text: str, command: str = "run", folder: Path | None = None) -> Config:
    return config(tomllib.loads(text), command, "sync-audit.toml", folder)


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        said(text)
    return f"{caught.value} {caught.value.next_step}"


def options(command: str) -> set[str]:
    """Long names of a command's options, without dashes."""
    found = cli.get_command(click.Context(cli), command)
    assert found
    names = (name for param in found.params if isinstance(param, click.Option) for name in param.opts)
    return {name.removeprefix("--") for name in names if name.startswith("--")}


ABOUT_ONE_USER = {"accept"}
"""Commands whose own options are said anew each time."""


@pytest.mark.parametrize(
    "command", [name for name in DOORWAYS if name not in ABOUT_ONE_USER and "config" in options(name)]
)
def test_every_option_of_a_command_that_reads_the_file_may_stand_there_or_is_refused_with_the_reason(
    command: str,
) -> None:
    assert options(command) - set(REFUSED) <= set(COMMANDS.get(command, KEYS))


def test_every_key_is_an_option() -> None:
    assert set(KEYS) <= options("run") | options("doctor") | options("user")
    for command, keys in COMMANDS.items():
        assert set(keys) <= options(command)
    assert {name.replace("_", "-") for name in VARIABLES} <= set(KEYS)


def test_values_are_what_options_give() -> None:
    text = 'rate = 100\ntimeout = 2.5\norder-by = "created_at"\nuser = "anna"\nredact = true\njson = false\nverbose = 2'
    assert said(text).values == {
        "rate": "100",
        "timeout": "2.5",
        "order_by": "created_at",
        "user": ("anna",),
        "redact": True,
        "as_json": False,
        "verbose": 2,
    }


def test_relative_paths_are_relative_to_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    text = """
        token-file = "token"
        run-file = "/var/run.sqlite"
        baseline = "~/last.json"
        output = ["html=a/b.html", "a.b=b/c.csv", "x.json", "csv=-", "-"]
    """
    assert said(text, folder=FOLDER).values == {
        "token_file": "/etc/shop/token",
        "run_file": "/var/run.sqlite",
        "baseline": "/home/anna/last.json",
        "output": ("html=/etc/shop/a/b.html", "/etc/shop/a.b=b/c.csv", "/etc/shop/x.json", "csv=-", "-"),
    }
    assert said(text).values["output"] == ("html=a/b.html", "a.b=b/c.csv", "x.json", "csv=-", "-")


def test_render_hears_the_top_level_but_for_what_run_writes_and_its_own_table_first() -> None:
    text = 'output = "a.html"\nredact = true\nexit-zero = true\n[render]\nexit-zero = false'
    assert said(text, "render").values == {"redact": True, "exit_zero": False}
    assert said('output = "a.html"\n[render]\noutput = "b.html"', "render").values == {"output": ("b.html",)}


def test_demo_hears_its_own_table_alone() -> None:
    assert said('output = "a.html"\nquiet = true\n[demo]\nkeep = true', "demo").values == {"keep": True}


def test_names_of_tables_are_there_only_where_something_is_said_of_them() -> None:
    assert said("rate = 1").tables is None
    tables = said('[database.tables]\nusers = "app.accounts"').tables
    assert tables
    assert tables.users == Table("users", ("app", "accounts"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rat = 1", "unknown key rat Did you mean rate?"),
        ("statement_timeout = 1", "unknown key statement_timeout Did you mean statement-timeout?"),
        ('DATABASE_URL = "x"', "unknown key DATABASE_URL Did you mean database-url?"),
        ("[demo]\noutputs = 1", "unknown key demo.outputs Did you mean output?"),
        ("[databse]", "unknown key databse Did you mean database?"),
        ("zzz = 1", "unknown key zzz There are database-url,"),
        ('resume = "x"', "resume has no place in a config file: it is about one run"),
        ("[run]\nrate = 1", "options of `sync-audit run` stand at the top level"),
        ("render = 1", "render must be a table Write it as [render]."),
        ("rate = true", "rate must be a number, not true or false"),
        ('rate = "100"', "rate must be a number"),
        ("redact = 1", "redact must be true or false, not a number"),
        ("token-file = []", "token-file must be a path in quotes, not a list"),
        ("output = ['a.html', 1]", "output must be [FORMAT=]PATH in quotes or a list of them, not a list"),
        ("base-url = 2026-01-01", "base-url must be a text in quotes, not a date or time"),
        ("[user]\nx = 1", "user must be a text in quotes or a list of them, not a table"),
        ("verbose = 3", "verbose must be 0, 1 or 2, not a number"),
        ("log-format = 'xml'", 'log-format must be "text" or "json"'),
        ("[demo]\nlog-format = []", 'demo.log-format must be "text" or "json", not a list'),
        ("[database]\nurl = 1", "unknown key database.url"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('token = "hunter2"', "token has no place in a config file: it sounds like a secret"),
        ('REPLICATE_API_TOKEN = "hunter2"', "name a file in token-file"),
        ('password = "hunter2"', "it sounds like a secret"),
        ('token-file = "r8_abcdefghhunter2"', "token-file holds an API token"),
        ('user = ["a", "r8_abcdefghhunter2"]', "user holds an API token"),
        ('database-url = "postgres://u:hunter2@h/db"', "database-url holds a password"),
        ('database-url = "postgres://u@h/db?password=hunter2"', "database-url holds a password"),
        ('database-url = "postgres://u:hunter2@h:x/db"', ""),
        ('database-url = ["postgres://u:hunter2@h/db"]', "database-url must be a text"),
    ],
)
def test_secrets_are_refused_with_the_reason_and_not_repeated(text: str, words: str) -> None:
    assert words in refusal(text)
    assert "hunter2" not in refusal(text)


def test_a_database_url_without_a_password_may_stand_there() -> None:
    url = "postgresql://reader@db.example.com/shop?sslmode=require"
    assert said(f'database-url = "{url}"').values == {"database_url": url}

"""What a config file may say, and what it comes to."""

from pathlib import Path
from typing import Any

import click
import pytest

from audit.cli.settings import Command, Setting, all_commands, found, refusals, top_level
from audit.commands import cli
from audit.model.tables import Table
from tests.support.command_lines import context

ARGUMENTS = {
    "render": ["x.sqlite"],
    "demo": [],
    "diff": ["a", "b"],
    "merge": ["a"],
    "sync": ["a"],
    "run": [],
    "user": ["a"],
}
EVERYTHING = all_commands(click.Context(cli))


class Said:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.toml"

    def context(self, text: str, command: str = "run") -> click.Context:
        self.path.write_text(text)
        return context(command, *ARGUMENTS[command], config=self.path)

    def __call__(self, text: str, command: str = "run") -> dict[str, Any]:
        ctx = self.context(text, command)
        assert not found(ctx).problems
        return {name: ctx.params[name] for name in ctx.default_map or {} if name in ctx.params}

    def refusal(self, text: str, command: str = "run") -> str:
        problem = next(iter(found(self.context(text, command)).problems.values()))
        assert str(problem).startswith(f"{self.path}: ")
        return f"{problem} {problem.next_step}".removeprefix(f"{self.path}: ")


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """What a command is told by a config file of this text, but for what is not given: by parameter."""
    return Said(tmp_path)


@pytest.mark.parametrize("command", EVERYTHING, ids=lambda each: each.name)
def test_every_option_of_a_command_may_stand_in_the_file_or_is_refused_with_the_reason(command: Command) -> None:
    keys = top_level(EVERYTHING) if command.own is None else command.keys
    for each in command.settings:
        assert (each.option[2:] in keys) is not bool(refusals(EVERYTHING).get(each.option[2:]))


def test_the_keys_of_the_file_are_those_that_are_documented() -> None:
    assert len(top_level(EVERYTHING)) == 35
    assert {each.name for each in EVERYTHING if each.own is not None} == {"render", "merge", "diff", "sync", "demo"}
    assert {"resume", "ask-again", "apply", "undo", "yes", "config", "no-config", "no-accept", "run", "file"} <= set(
        refusals(EVERYTHING)
    )


@pytest.mark.parametrize("command", EVERYTHING, ids=lambda each: each.name)
def test_nothing_but_its_own_option_takes_the_value_of_a_key(command: Command) -> None:
    keys = {each.id: key for key, each in top_level(EVERYTHING).items()}
    for each in command.params:
        if each.name in keys:
            assert isinstance(each, Setting)
            assert each.key == keys[each.name]


def test_values_are_what_options_give(said: Said) -> None:
    text = 'rate = 100\ntimeout = 2.5\norder-by = "created_at"\nuser = "anna"\nredact = true\nverbose = 2'
    assert said(text) == {
        "per_minute": 100,
        "timeout": 2.5,
        "order_by": "created_at",
        "users": ("anna",),
        "redact": True,
        "verbose": 2,
    }
    assert said("json = false", "user") == {"as_json": False}


def test_relative_paths_are_relative_to_the_file(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = said.path.parent
    text = """
        run-file = "/var/run.sqlite"
        baseline = "~root/last.json"
        accept = "../x.toml"
        output = ["html=a/b.html", "a.b=b/c.csv", "x.json", "csv=-"]
    """
    expected = {
        "run_file": "/var/run.sqlite",
        "baseline": str(Path("~root").expanduser() / "last.json"),
        "accept": f"{folder}/../x.toml",
        "outputs": (
            ("html", f"{folder}/a/b.html"),
            ("csv", f"{folder}/a.b=b/c.csv"),
            ("json", f"{folder}/x.json"),
            ("csv", "-"),
        ),
    }
    assert said(text) == expected
    monkeypatch.chdir(folder)
    assert said('output = ["html=a/b.html", "csv=-"]') == {"outputs": (("html", "a/b.html"), ("csv", "-"))}


def test_render_hears_the_top_level_but_for_what_run_writes_and_its_own_table_first(said: Said) -> None:
    text = 'output = "a.html"\nredact = true\nexit-zero = true\n[render]\nexit-zero = false'
    assert said(text, "render") == {"redact": True, "exit_zero": False}
    assert said('output = "a.html"\n[render]\noutput = "b.html"', "render") == {
        "outputs": (("html", f"{said.path.parent}/b.html"),)
    }


def test_merge_and_sync_do_not_hear_what_is_said_about_a_single_run(said: Said) -> None:
    text = 'run-file = "a"\naccept = "b"\nuser = "c"\nlimit = 3\noutput = "d.html"\nrate = 5\nredact = true\n'
    assert said(text, "merge") == {"redact": True}
    assert said(text, "sync") == {"redact": True, "per_minute": 5}
    assert said(text + '[sync]\nlimit = 4\noutput = "plan"', "sync")["limit"] == 4


def test_demo_hears_its_own_table_alone(said: Said) -> None:
    assert said('output = "a.html"\nquiet = true\n[demo]\nkeep = true', "demo") == {"keep": True}


def test_accept_writes_to_the_file_that_run_reads(said: Said) -> None:
    said.path.write_text('accept = "ours.toml"')
    ctx = context("accept", "anna", "--because", "x", "--until", "2099-01-01", config=said.path)
    assert ctx.params["file"] == str(said.path.parent / "ours.toml")


def test_resuming_hears_only_what_is_not_kept_in_the_run_file(said: Said) -> None:
    said.path.write_text('rate = 5\nlimit = 0\nmode = "x"\naccept = "a"\nredact = true\nquiet = true')
    ctx = context("run", "--resume", "x.sqlite", config=said.path)
    assert (ctx.default_map, dict(found(ctx).problems)) == ({"redact": True, "quiet": "1"}, {})


def test_names_of_tables_are_there_only_where_something_is_said_of_them(said: Said) -> None:
    plain, mapped = (
        found(said.context("rate = 1")).file,
        found(said.context('[database.tables]\nusers = "app.accounts"')).file,
    )
    assert plain
    assert mapped
    assert mapped.tables
    assert (plain.tables, mapped.tables.users) == (None, Table("users", ("app", "accounts")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rat = 1", "unknown key rat Did you mean rate?"),
        ("statement_timeout = 1", "unknown key statement_timeout Did you mean statement-timeout?"),
        ('DATABASE_URL = "x"', "unknown key DATABASE_URL Did you mean database-url?"),
        ("[demo]\noutputs = 1", "unknown key demo.outputs Did you mean output?"),
        ("[databse]", "unknown key databse Did you mean database?"),
        ("zzz = 1", "unknown key zzz There are database-url,"),
        ('resume = "x"', "resume must not be in a config file: it is about one run"),
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
        ("log-format = 'xml'", "--log-format: 'xml' is not one of 'text', 'json'"),
        ('order-by = "id"', "--order-by: 'id' is not one of 'updated_at', 'completed_at', 'created_at'"),
        ("rate = 2.5", "--rate (SYNC_AUDIT_RATE): '2.5' is not a valid whole number"),
        ("timeout = nan", "--timeout (SYNC_AUDIT_TIMEOUT): 'nan' is not a number"),
        ("[render]\nresume = 1", "render.resume must not be in a config file: it is about one run"),
        ("[demo]\nlog-format = []", 'demo.log-format must be "text" or "json", not a list'),
        ("[database]\nurl = 1", "unknown key database.url"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(text: str, words: str, said: Said) -> None:
    assert words in said.refusal(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('token = "hunter2"', "token must not be in a config file: it looks like a secret"),
        ('REPLICATE_API_TOKEN = "hunter2"', "name a file in token-file"),
        ('password = "hunter2"', "it looks like a secret"),
        ('token-file = "r8_abcdefghhunter2"', "token-file holds an API token"),
        ('user = ["a", "r8_abcdefghhunter2"]', "user holds an API token"),
        ('database-url = "postgres://u:hunter2@h/db"', "database-url holds a password"),
        ('database-url = "postgres://u@h/db?password=hunter2"', "database-url holds a password"),
        ('database-url = "postgres://u:hunter2@h:x/db"', ""),
        ('database-url = ["postgres://u:hunter2@h/db"]', "database-url must be a text"),
    ],
)
def test_secrets_are_refused_with_the_reason_and_not_repeated(text: str, words: str, said: Said) -> None:
    assert words in said.refusal(text)
    assert "hunter2" not in said.refusal(text)


def test_a_database_url_without_a_password_may_stand_there(said: Said) -> None:
    url = "postgresql://reader@db.example.com/shop?sslmode=require"
    assert said(f'database-url = "{url}"')["database"].label == "db.example.com/shop"


def test_all_of_the_file_is_checked_whoever_asks(said: Said) -> None:
    for command in ARGUMENTS:
        assert "unknown key sync.outputs" in said.refusal("[sync]\noutputs = 1", command)
        assert said.context("[sync]\noutputs = 1", command).default_map is None

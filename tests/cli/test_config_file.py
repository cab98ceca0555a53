"""Finding and reading the config file, and the commands that do."""

import json
import os
import re
from pathlib import Path

import pytest

from audit.cli.config_file import LARGEST, find, read
from audit.errors import SettingsError
from tests.support.audits import Servers, Shell
from tests.support.command_lines import context
from tests.support.documents import blocks


def put(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read(path)
    assert caught.value.next_step
    return str(caught.value)


def test_the_nearest_directory_wins_and_in_it_the_file_of_our_own(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    put(tmp_path / ".git", "HEAD", "")
    put(deep, "pyproject.toml", "[tool.ruff]\nline-length = 120")
    assert find(deep) is None
    for folder, name, text, found in (
        (tmp_path, "pyproject.toml", "[tool.sync-audit]\nrate = 1", "../../pyproject.toml"),
        (tmp_path, "sync-audit.toml", "rate = 2", "../../sync-audit.toml"),
        (tmp_path / "a", "pyproject.toml", "[tool.sync-audit]\nrate = 3", "../pyproject.toml"),
        (deep, "sync-audit.toml", "rate = 4", "sync-audit.toml"),
    ):
        put(folder, name, text)
        config = find(deep)
        assert config
        assert (config.name, config.document) == (found, {"rate": int(text[-1])})


def test_nothing_is_looked_for_above_a_repository(tmp_path: Path) -> None:
    put(tmp_path, "sync-audit.toml", "rate = 1")
    put(tmp_path / "inner", ".git", "gitdir: elsewhere")
    assert find(tmp_path / "inner") is None


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "sync-audit.toml", 'baseline = "last.json"')
    put(tmp_path / "inner", "x", "")
    monkeypatch.chdir(tmp_path / "inner")
    found = find(Path.cwd())
    assert found
    assert found.folder == read(Path("../sync-audit.toml")).folder == tmp_path
    assert context("run", config=Path("../sync-audit.toml")).params["baseline"] == str(tmp_path / "last.json")
    monkeypatch.chdir(tmp_path)
    assert read(path).folder is None
    assert context("run", config=path).params["baseline"] == "last.json"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_anybody_may_have_left_in_a_shared_directory_counts_only_if_it_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "sync-audit.toml", "rate = 1")
    tmp_path.chmod(0o1777)
    assert find(tmp_path)
    os.chown(path, 12345, 12345)
    with pytest.raises(SettingsError, match="belongs to another user"):
        find(tmp_path)
    assert read(path).document == {"rate": 1}
    tmp_path.chmod(0o755)
    assert find(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"rate = 1\nrate = = 2\n", ", line 2, column 8: Invalid value"),
        (b"rate = '", "Expected"),
        (b"a = '\xff'", "is not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
        (b"a = " + b"9" * 5000, "digits"),
        (b"#" * (LARGEST + 1), "is larger than 1,000,000 bytes"),
    ],
    ids=["syntax", "end of file", "encoding", "nesting", "digits", "size"],
)
def test_what_cannot_be_parsed_is_named_with_file_and_place(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    said = refusal(path)
    assert said.startswith(f"config file {path}")
    assert words in said


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.toml").endswith("none.toml cannot be read: no such file or directory")
    assert refusal(tmp_path).endswith("cannot be read: is a directory")


def test_a_pyproject_has_to_have_the_table(tmp_path: Path) -> None:
    assert "has no table [tool.sync-audit]" in refusal(put(tmp_path, "pyproject.toml", "tool = 1"))
    assert "tool.sync-audit is no table" in refusal(put(tmp_path, "pyproject.toml", "tool.sync-audit = 1"))
    assert read(put(tmp_path, "pyproject.toml", "tool.sync-audit.rate = 1")).document == {"rate": 1}


def settings(ended_out: str) -> dict[str, tuple[object, str]]:
    """What doctor says of each setting: its value, and where that is from."""
    checks = json.loads(ended_out)["checks"]
    return {
        each["title"]: (each["data"]["value"], each["data"]["where"]) for each in checks if each["group"] == "settings"
    }


def test_doctor_shows_each_value_and_its_source(shell: Shell) -> None:
    text = 'rate = 3\nretries = 3\ntimeout = 3\norder-by = "created_at"\noutput = ["a.html", "-"]\n'
    put(
        shell.folder,
        "sync-audit.toml",
        text + '[database]\ncompleted = "ready"\nfailed = ["gone", "error"]\ntables.users = "App.people"',
    )
    ended = shell("doctor", "--json", "--timeout", "1", SYNC_AUDIT_RETRIES="2")
    found = settings(ended.out)
    assert found["config file"] == ("sync-audit.toml", "found")
    assert found["timeout"] == ("1", "--timeout")
    assert found["retries"] == ("2", "SYNC_AUDIT_RETRIES")
    assert found["rate"] == ("3", "config sync-audit.toml")
    assert found["concurrency"] == ("128", "default")
    assert found["order by"] == ("created_at", "config sync-audit.toml")
    assert found["tables called"] == ('users = "App"."people"', "config sync-audit.toml")
    assert found["completed called"] == ("'ready'", "config sync-audit.toml")
    assert found["failed called"] == ("'gone' or 'error'", "config sync-audit.toml")
    problems = [each["figure"] for each in json.loads(ended.out)["checks"] if each["state"] == "fail"]
    assert "sync-audit.toml: --output: -: the format cannot be told from the name" in problems


def test_doctor_goes_on_where_the_config_file_is_wrong(shell: Shell) -> None:
    put(shell.folder, "sync-audit.toml", 'ratte = 3\n"a\\u001b[31m" = 1')
    ended = shell("doctor", "-v")
    assert ended.code == 5
    assert "fail  config file        sync-audit.toml: unknown key ratte" in ended.out
    assert "rate               2,400 (default)" in ended.out


def test_no_config_and_another_config(shell: Shell) -> None:
    put(shell.folder, "sync-audit.toml", "rate = 3")
    put(shell.folder, "other.toml", "rate = 4")
    assert settings(shell("doctor", "--json", "--no-config").out)["rate"] == ("2,400", "default")
    assert settings(shell("doctor", "--json", "--no-config").out)["config file"] == ("none", "--no-config")
    other = settings(shell("doctor", "--json", "--config", "other.toml").out)
    assert other["rate"] == ("4", "config other.toml")
    assert other["config file"] == ("other.toml", "--config")
    assert "can't be used together" in shell("run", "--no-config", "--config", "other.toml").err


@pytest.mark.parametrize("command", [["run"], ["user", "anna"], ["render", "x.sqlite"], ["demo"]])
def test_hostile_text_in_the_file_does_nothing_to_the_terminal(shell: Shell, command: list[str]) -> None:
    put(shell.folder, "sync-audit.toml", '"\\u001b[31m\\u202e" = 1')
    ended = shell(*command)
    assert ended.code == 2
    assert ended.last_line == r"Error: sync-audit.toml: unknown key \x1b[31m\u202e (exit 2)"
    assert ended.last_code == 2


def test_a_run_is_made_as_the_file_says_and_finished_without_asking_it_again(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ | {"SYNC_AUDIT_RATE": "", "REPLICATE_API_TOKEN": ""}
    put(shell.folder, "token", servers.environ["REPLICATE_API_TOKEN"])
    text = 'rate = 100_000\ntoken-file = "token"\noutput = "json=out/a.json"\nrun-file = "run.sqlite"\nlimit = 2\n'
    put(shell.folder, "sync-audit.toml", text + 'quiet = true\nredact = true\n[render]\noutput = "again.json"\n')
    (shell.folder / "out").mkdir()
    first = shell("run")
    assert " of 2 users " in first.err
    document = json.loads((shell.folder / "out/a.json").read_text())
    assert document["run"]["filters"]["limit"] == 2
    assert document["run"]["redacted"]
    assert shell("render", "run.sqlite").code == first.code
    assert (shell.folder / "again.json").read_bytes() == (shell.folder / "out/a.json").read_bytes()
    put(shell.folder, "sync-audit.toml", text.replace("limit = 2", "limit = 3") + "statement-timeout = 3")
    assert shell("run", "--resume", "run.sqlite").code == first.code
    put(shell.folder, "sync-audit.toml", text + '[database]\ncompleted = "ready"')
    ended = shell("run", "--resume", "run.sqlite")
    assert ended.code == 2
    assert "maps tables or columns otherwise" in ended.err


def example_of(page: str) -> str:
    """The first config file that a page shows."""
    return next(block.text for block in blocks(Path(page)) if block.language == "toml")


def test_the_example_on_the_page_about_tables_maps_tables(tmp_path: Path) -> None:
    config = read(put(tmp_path, "sync-audit.toml", example_of("docs/how-to/tables.md")))
    assert config.tables
    assert config.tables.user_models.sql == '"app"."Trainings"'
    assert config.tables.users.called("id") == "account_id"


def test_the_example_on_the_page_about_settings_says_the_same_in_pyproject(tmp_path: Path) -> None:
    example = "\n" + example_of("docs/how-to/settings.md")
    path = put(tmp_path, "sync-audit.toml", example)
    outputs = context("run", config=path).params["outputs"]
    assert outputs == (("html", f"{tmp_path}/reports/latest.html"), ("json", f"{tmp_path}/reports/latest.json"))
    below = re.sub(r"^\[", "[tool.sync-audit.", f"[tool.sync-audit]{example}", flags=re.MULTILINE)
    table = below.replace("[tool.sync-audit.tool.sync-audit]", "[tool.sync-audit]")
    assert read(put(tmp_path, "pyproject.toml", table)).document == read(path).document

"""A config file that was found where another user may have put it: what may be heard of it, and what not."""

import os
from pathlib import Path

import pytest

from audit.cli import config_file
from audit.errors import SettingsError
from tests.support.audits import Shell
from tests.support.ordinary_users import as_nobody

FILE = """
base-url = "https://evil.example/v1"
token-file = "stolen"
rate = 7
database-url = "postgresql://evil.example/x"

[database]
completed = "ready"
where = "pg_sleep(1) IS NULL"

[database.queries]
users = "SELECT 1 AS id"

[database.repair]
table = "others"
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of another user, with the file, and nobody of us is root."""
    (tmp_path / "sync-audit.toml").write_text(FILE)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 4321)
    if tmp_path.stat().st_uid == 0:
        os.chown(tmp_path, 1234, -1)
        os.chown(tmp_path / "sync-audit.toml", 1234, -1)
    return tmp_path


def test_what_sends_the_token_elsewhere_or_runs_sql_is_not_heard_and_named(theirs: Path) -> None:
    file = config_file.find(theirs)
    assert file
    assert file.unheard == (
        "base-url",
        "token-file",
        "database-url",
        "database.where",
        "database.queries",
        "database.repair",
    )
    assert file.document == {"rate": 7, "database": {"completed": "ready"}}
    assert file.tables
    assert (file.tables.completed, file.tables.where, file.tables.users.query) == (("ready",), None, None)


def test_all_of_it_is_heard_where_it_is_named(theirs: Path) -> None:
    file = config_file.read(theirs / "sync-audit.toml")
    assert file.unheard == ()
    assert file.tables
    assert file.tables.users.query == "SELECT 1 AS id"


@pytest.mark.parametrize("mine", [0, None])
def test_root_and_the_owner_hear_all_of_it(theirs: Path, monkeypatch: pytest.MonkeyPatch, mine: int | None) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid if mine is None else mine)
    file = config_file.find(theirs)
    assert file
    assert file.unheard == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("owner = 'a/b'", "database.owner must be the name of an account"),
        ("where = 'a = 1; DROP TABLE x'", "database.where, column 8, at `DROP TABLE x`: a second statement"),
        ("where = 'a = $1'", "$1 is a parameter"),
        ('where = "a = \'"', "' is not closed"),
        ("where = ''", "there is nothing in it"),
        ("latest_per = 'users'", 'database.latest_per must be "user" or "model" or "row"'),
        ("columns = {user_id = {sql = 'a) OR (b'}}", "database.columns.user_id, column 2, at `) OR (b`: this bracket"),
        ("columns = {user_id = {expression = 'a'}}", 'an expression is written as {sql = "…"}'),
        (
            "queries = {users = 'DELETE FROM users'}",
            "database.queries.users, column 1, at `DELETE FROM users`: DELETE is no",
        ),
        ("queries = {users = 'SELECT 1; SELECT 2'}", "a second statement"),
        ("queries = {people = 'SELECT 1'}", "unknown key database.queries.people"),
        ("repair = {columns = {replicate_version_id = {sql = 'f(x)'}}}", "f(x) is no path into a column of JSON"),
        ("repair = {columns = {email = 'x'}}", "unknown key database.repair.columns.email"),
        ("where = 'true'\nqueries = {user_models = 'SELECT 1'}", "can't be used together"),
    ],
)
def test_what_can_be_seen_to_be_wrong_without_a_database_is_said_with_key_and_place(
    tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / "sync-audit.toml").write_text(f"[database]\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        config_file.read(tmp_path / "sync-audit.toml")
    assert words in str(caught.value)


def test_whoever_works_in_the_folder_of_another_user_is_told_what_was_not_heard(shell: Shell) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another user's")
    with as_nobody(shell):
        (shell.folder / "sync-audit.toml").write_text(FILE)
        os.chown(shell.folder / "sync-audit.toml", 4321, -1)
        token = {"REPLICATE_API_TOKEN": f"r8_{'x' * 37}"}
        ended = shell("doctor", "--json", **token)
        keys = "base-url, token-file, database-url, database.where, database.queries, database.repair"
        assert f"{keys} ignored" in ended.err
        assert "evil.example" not in ended.out
        named = shell("doctor", "--json", "--config", "sync-audit.toml", **token)
        assert "evil.example" in named.out

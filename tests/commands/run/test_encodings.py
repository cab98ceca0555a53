"""Every command beside a database that holds bytes which are no text."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import Model, SmallWorld
from audit.model.replies import Account, Version
from tests.support.audits import Servers, Shell
from tests.support.encodings import broken_utf8, encoded_database
from tests.support.instrumented_replicate import InstrumentedReplicate

OLD, NEW = "a" * 64, "b" * 64
VERSIONS = (Version(NEW, "2026-03-01T00:00:00Z"), Version(OLD, "2026-01-02T00:00:00Z"))
OUTDATED = f"UPDATE user_models SET replicate_version_id = '{OLD}'"
NAME = r"UPDATE users SET display_name = E'Ren\xe9e', email = E'ren\xe9e@example.com' WHERE id = 'u2'"
MODEL = r"UPDATE user_models SET replicate_model_id = E'acme/zo\xe9', trigger_word = E'T\xe9K' WHERE user_id = 'u2'"
ID = r"UPDATE users SET id = E'u\xe92' WHERE id = 'u2'; UPDATE user_models SET user_id = E'u\xe92' WHERE user_id = 'u2'"
STATUS = r"INSERT INTO user_models (user_id, training_status, updated_at) VALUES ('u2', E'fertig\xe9', '2026-02-01')"
BYTES = {"name": NAME, "model": MODEL, "id": ID, "status": STATUS}


@pytest.fixture(scope="module")
def fake() -> Iterator[InstrumentedReplicate]:
    world = [Model(owner="acme", name=name, versions=VERSIONS) for name in ("anna", "zoe")]
    with in_thread(InstrumentedReplicate(SmallWorld(Account("user", "acme"), world))) as served:
        yield served


@pytest.fixture
def beside(shell: Shell, postgres_server: str, fake: InstrumentedReplicate, encoding: str, change: str) -> Shell:
    if encoding == "broken UTF8":
        dsn = asyncio.run(broken_utf8(postgres_server, OUTDATED, change))
    else:
        dsn = asyncio.run(encoded_database(postgres_server, encoding, OUTDATED, change))
    shell.environ = Servers(dsn, fake).environ
    return shell


def users(report: str) -> dict[str, Any]:
    return {user["user_id"]: user for user in json.loads(report)["users"]}


@pytest.mark.parametrize("encoding", ["SQL_ASCII", pytest.param("broken UTF8", marks=pytest.mark.slow)])
@pytest.mark.parametrize("change", BYTES.values(), ids=BYTES)
def test_the_user_is_an_error_and_everybody_else_is_audited_and_repaired(
    beside: Shell, encoding: str, change: str
) -> None:
    ended = beside("run", "-o", "json=-", "--run-file", "run.sqlite")
    assert ended.code in (3, 4), ended.err
    found = users(ended.out)
    assert found["u1"]["reason"] == "outdated_version"
    assert len(found) == 2
    [bad] = [user for user in found.values() if user["reason"] == "unreadable_row"]
    assert f"row {3 if change == STATUS else 2}: no text in the database's encoding: " in bad["detail"]
    assert bad["detail"] in bad["hint"]
    for more in (("--shard", "2/2"), ("--latest-per", "row"), ("--user", "anna")):
        ended = beside("run", *more, "-o", "json=-")
        assert ended.code in (0, 3, 4), (more, ended.err)
    ended = beside("user", "anna")
    assert ended.code == 3, ended.err
    for who in ("acme/zoe", "u2", "ren"):
        ended = beside("user", who)
        assert ended.code in (0, 2, 3, 4), (who, ended.err)
        assert "Traceback" not in ended.err
    assert beside("sync", "run.sqlite", "--apply", "--yes").code in (0, 3, 4)
    again = users(beside("run", "-o", "json=-").out)
    assert again["u1"]["reason"] == "latest_version"
    ended = beside("doctor", "-v")
    assert ("encoding SQL_ASCII" in " ".join(ended.out.split())) is (encoding == "SQL_ASCII")
    assert ended.code in (0, 3), ended.out


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JIS_2004", "SQL_ASCII"])
@pytest.mark.parametrize("change", ["SELECT 1"])
def test_texts_of_another_encoding_are_audited_as_ever(beside: Shell, encoding: str) -> None:
    found = users(beside("run", "-o", "json=-", "--run-file", "run.sqlite").out)
    assert found["u2"]["display_name"] == "Zoë"
    assert {user["reason"] for user in found.values()} == {"outdated_version"}
    assert beside("sync", "run.sqlite", "--apply", "--yes").code == 0
    assert f"encoding {encoding}" in " ".join(beside("doctor", "-v").out.split())

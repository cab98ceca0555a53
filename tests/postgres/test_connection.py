"""Behind a real PgBouncer: transaction pooling, TLS, and a pooler's own errors."""

import asyncio
import ssl
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from audit.cli.config_file import mapping
from audit.model.run import Filters
from audit.model.shard import Shard
from audit.postgres.snapshot import snapshot
from audit.postgres.url import parse_database_url
from tests.support.audits import new_database
from tests.support.database_rows import MODELS, USERS, execute, failure, insert, model, read
from tests.support.postgres_servers import Bouncer, pgbouncer


@pytest.fixture(scope="module")
def secure(postgres_server: str) -> Iterator[Bouncer]:
    """A PgBouncer that takes TLS only."""
    with pgbouncer(postgres_server, tls="require") as bouncer:
        yield bouncer


@pytest.fixture(scope="module")
def plain(postgres_server: str) -> Iterator[Bouncer]:
    """A PgBouncer without TLS."""
    with pgbouncer(postgres_server, tls="disable") as bouncer:
        yield bouncer


@pytest.fixture(scope="module")
def pooled(postgres_server: str) -> str:
    """Name of a database with 1,500 users. It stays, because the poolers keep connections to it."""

    async def make() -> None:
        dsn = await new_database(postgres_server, "pooled")
        await execute(dsn, USERS, MODELS)
        await insert(dsn, "users", [{"id": f"p{i:04}", "email": None} for i in range(1500)])
        await insert(dsn, "user_models", [model(user_id=f"p{i:04}") for i in range(1500)])

    asyncio.run(make())
    return "pooled"


async def test_many_audits_at_once_share_a_pool_in_transaction_mode(plain: Bouncer, pooled: str) -> None:
    url = plain.url(pooled, "pgbouncer=true&connection_limit=1&options=-c%20geqo%3Doff&application_name=x")
    for _ in range(2):
        for records, population in await asyncio.gather(*(read(url) for _ in range(6))):
            assert [record.user_id for record in records] == [f"p{i:04}" for i in range(1500)]
            assert population.users == 1500
    # Nothing of ours stays on the pooled connections.
    connection = await asyncpg.connect(**parse_database_url(url).arguments, statement_cache_size=0)
    for kind in ("prepared_statements", "cursors"):
        assert await connection.fetchval(f"SELECT count(*) FROM pg_{kind} WHERE name <> ''") == 0
    assert await connection.fetchval("SHOW row_security") == "on"
    await connection.close()


async def test_sql_of_the_config_file_is_looked_at_and_run_behind_a_pooler_and_leaves_nothing(
    plain: Bouncer, pooled: str
) -> None:
    toml = """
[columns]
lora_weights_url = {sql = "upper(lora_weights_url)"}
[queries]
users = "SELECT id, email FROM users WHERE id < 'p0003'"
"""
    database = replace(parse_database_url(plain.url(pooled)), tables=mapping(tomllib.loads(toml)))
    for shard in (None, Shard(1, 2)):
        async with snapshot(database, order_by="updated_at", filters=Filters(), statement_timeout=20) as taken:
            users = {record.user_id async for record in taken.records(shard)}
        assert users == {"p0000", "p0001", "p0002"} or (shard and users < {"p0000", "p0001", "p0002"})
    connection = await asyncpg.connect(**database.arguments, statement_cache_size=0)
    assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
    await connection.close()


@pytest.mark.parametrize("query", ["sslmode=require", "sslmode=require&channel_binding=require", "sslmode=prefer", ""])
async def test_tls_is_used_where_the_server_asks_for_it(secure: Bouncer, pooled: str, query: str) -> None:
    records, _ = await read(secure.url(pooled, query))
    assert len(records) == 1500


async def test_verify_full_accepts_the_right_authority_and_name(secure: Bouncer, pooled: str) -> None:
    records, _ = await read(secure.url(pooled, f"sslmode=verify-full&sslrootcert={secure.ca}"))
    assert len(records) == 1500


async def test_verify_full_refuses_another_authority(secure: Bouncer, pooled: str) -> None:
    error = await failure(secure.url(pooled, f"sslmode=verify-full&sslrootcert={secure.other_ca}"))
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert "certificate that is not trusted" in str(error)


async def test_system_roots_do_not_know_a_private_authority(secure: Bouncer, pooled: str) -> None:
    error = await failure(secure.url(pooled, "sslrootcert=system"))
    assert "certificate that is not trusted" in str(error)


async def test_verify_full_refuses_another_host_name_which_verify_ca_does_not_look_at(
    secure: Bouncer, pooled: str
) -> None:
    error = await failure(secure.url(pooled, f"sslmode=verify-full&sslrootcert={secure.ca}", host="127.0.0.1"))
    assert "127.0.0.1" in str(error)
    assert "host name that the certificate is for" in error.next_step
    records, _ = await read(secure.url(pooled, f"sslmode=verify-ca&sslrootcert={secure.ca}", host="127.0.0.1"))
    assert len(records) == 1500


async def test_verify_full_without_an_authority_says_how_to_name_one(
    secure: Bouncer, pooled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    error = await failure(secure.url(pooled, "sslmode=verify-full"))
    assert "sslrootcert=system" in error.next_step


async def test_server_without_tls_is_told_where_tls_is_demanded(plain: Bouncer, pooled: str) -> None:
    assert "does not offer TLS" in str(await failure(plain.url(pooled, "sslmode=require")))


async def test_pooler_that_demands_tls_is_told(secure: Bouncer, pooled: str) -> None:
    error = await failure(secure.url(pooled, "sslmode=disable"))
    assert "with TLS only" in str(error)
    assert "sslmode=require" in error.next_step


async def test_poolers_words_for_wrong_password_and_unknown_database_are_understood(plain: Bouncer) -> None:
    assert "refuses user or password" in str(await failure(plain.url("pooled", password="wrong-secret")))
    assert "does not exist" in str(await failure(plain.url("no_such_database")))


async def test_parameter_that_a_pooler_refuses_is_told(plain: Bouncer, pooled: str) -> None:
    error = await failure(plain.url(pooled, "options=endpoint%3Dep-1"))
    assert "refuses a parameter" in str(error)

"""Places of real servers: sockets, loopback, schemas, roles, and two servers."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from audit.cli.config_file import mapping
from audit.demo.postgres import embedded_postgres
from audit.errors import SettingsError
from audit.model.place import Place, place_differences
from audit.model.run import Filters
from audit.model.tables import PLAIN, Column, Tables
from audit.postgres.repair import repairer
from audit.postgres.snapshot import snapshot
from audit.postgres.url import parse_database_url
from tests.support.database_rows import MODELS, USERS, execute
from tests.support.tunnels import tunnel

VERSION = (Column.VERSION_ID,)


async def place_of(url: str, tables: Tables = PLAIN) -> Place:
    database = replace(parse_database_url(url, {}), tables=tables)
    async with snapshot(database, order_by="updated_at", filters=Filters(), statement_timeout=20) as taken:
        return taken.place


async def test_place_is_what_the_url_and_the_server_say(tables: str) -> None:
    place, parsed = await place_of(tables), parse_database_url(tables, {})
    assert (place.host, place.port, place.database) == (parsed.hosts[0], "5432", parsed.name)
    assert (place.users, place.user_models) == ("public.users", "public.user_models")
    assert (place.search_path, place.asked_path, place.server_port) == ('"$user", public', None, "5432")
    assert place.system
    assert place.system.isdigit()
    assert place.server_started_at
    assert float(place.server_started_at) > 1e9


async def test_role_that_may_not_read_the_system_identifier_is_served_all_the_same(tables: str) -> None:
    name = parse_database_url(tables, {}).name
    await execute(
        tables,
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public",
        f"CREATE ROLE plain_{name} LOGIN",
        f"GRANT SELECT ON users, user_models TO plain_{name}",
    )
    try:
        plain, mighty = await place_of(f"{tables}&user=plain_{name}"), await place_of(tables)
    finally:
        await execute(tables, f"DROP OWNED BY plain_{name}", f"DROP ROLE plain_{name}")
    assert plain.system is None
    assert mighty.system
    assert list(place_differences(plain, mighty)) == []


async def test_socket_and_loopback_of_one_server_are_one_place(tables: str, tmp_path: Path) -> None:
    name = parse_database_url(tables, {}).name
    with tunnel(tables) as first, tunnel(tables) as second:
        (tmp_path / f".s.PGSQL.{first.port}").symlink_to(first.socket_file)
        socket = await place_of(f"postgresql://postgres@/{name}?host={quote(str(tmp_path))}&port={first.port}")
        tcp, other = await place_of(first.url(name)), await place_of(second.url(name))
    assert list(place_differences(socket, tcp)) == []
    assert list(place_differences(tcp, other)) == [f"the server is 127.0.0.1:{first.port} and 127.0.0.1:{second.port}"]


async def test_names_that_config_files_give_tables_are_no_part_of_the_place(database: str) -> None:
    await execute(database, f"CREATE SCHEMA ta; SET search_path = ta; {USERS} {MODELS}", 'CREATE SCHEMA "T B"')
    await execute(database, 'ALTER TABLE ta.users SET SCHEMA "T B"', 'ALTER TABLE "T B".users RENAME TO "Who"')
    tables = mapping({"tables": {"users": '"T B"."Who"', "user_models": "ta.user_models"}})
    named = await place_of(database, tables)
    assert (named.users, named.user_models) == ('"T B"."Who"', "ta.user_models")
    found = await place_of(
        f"{database}&options=-csearch_path%3Dta,%22T%5C%20B%22", mapping({"tables": {"users": "Who"}})
    )
    assert list(place_differences(named, found)) == []


async def test_service_is_the_place_that_it_stands_for(tables: str, tmp_path: Path) -> None:
    name = parse_database_url(tables, {}).name
    file = tmp_path / "services"
    with tunnel(tables) as port:
        file.write_text(f"[shop]\nhost=127.0.0.1\nport={port.port}\ndbname={name}\nuser=postgres\nsslmode=disable\n")
        environ = {"PGSERVICEFILE": str(file)}
        by_service = parse_database_url("postgresql:///?service=shop", environ)
        assert by_service.address == parse_database_url(port.url(name), {}).address
        async with snapshot(by_service, order_by="updated_at", filters=Filters(), statement_timeout=20) as taken:
            assert taken.place.named == port.named(name)


async def test_tables_of_two_schemas_are_two_places(database: str) -> None:
    for schema in ("ta", "tb"):
        await execute(database, f"CREATE SCHEMA {schema}; SET search_path = {schema}; {USERS} {MODELS}")
    one, other = await place_of(f"{database}&options=-csearch_path%3Dta"), await place_of(f"{database}&schema=tb")
    assert (one.user_models, one.asked_path, one.search_path) == ("ta.user_models", "ta", "ta")
    assert "the table is ta.user_models and tb.user_models" in place_differences(one, other)


async def test_nothing_is_written_where_the_run_was_not_made(tables: str) -> None:
    place = await place_of(tables)
    binaries = os.environ.get("SYNC_AUDIT_PG_BIN")
    started = embedded_postgres(Path(binaries) if binaries else None)
    elsewhere = await asyncio.to_thread(started.__enter__)
    try:
        await execute(elsewhere, f"CREATE DATABASE {place.database}")
        other = elsewhere.replace("/postgres?", f"/{place.database}?")
        await execute(other, USERS, MODELS)
        with pytest.raises(SettingsError, match="system identifier") as caught:
            async with repairer(parse_database_url(other, {}), statement_timeout=9, columns=VERSION, place=place):
                pytest.fail("another place is ready to be changed", pytrace=False)
        assert place.full in str(caught.value)
        assert parse_database_url(other, {}).address.named in str(caught.value)
    finally:
        await asyncio.to_thread(started.__exit__, None, None, None)
    async with repairer(parse_database_url(tables, {}), statement_timeout=9, columns=VERSION, place=place) as table:
        assert await table.write([], lambda *_: None) == {}

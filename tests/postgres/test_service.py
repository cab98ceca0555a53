"""Connection services, as libpq reads them."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from audit.errors import SettingsError
from audit.postgres.url import Database, parse_database_url

PROD = """
# [prod] is below
[other]
host=elsewhere
[prod]
host=db.internal
port=6543

  user=app
password= s3cr3t%w#=1
sslmode=require
host=second
application_name=shop
[prod]
user=never
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".pg_service.conf").write_text(PROD)
    return {"HOME": str(tmp_path), "PGSYSCONFDIR": str(tmp_path / "etc")}


FOUND = Database(
    hosts=("db.internal",),
    ports=(6543,),
    name="shop",
    user="app",
    password=" s3cr3t%w#=1",
    tls=(("sslmode", "require"),),
)


def test_service_of_the_url_says_what_the_url_does_not(home: Mapping[str, str]) -> None:
    assert parse_database_url("postgresql:///shop?service=prod", home) == FOUND


def test_service_of_the_environment_does_so_too_and_the_one_of_the_url_wins(home: dict[str, str]) -> None:
    assert parse_database_url("postgresql:///shop", home | {"PGSERVICE": "prod"}) == FOUND
    assert parse_database_url("postgresql:///shop?service=prod", home | {"PGSERVICE": "other"}) == FOUND
    assert parse_database_url("postgresql:///shop", home).hosts[-1] == "localhost"


def test_what_the_url_says_wins_over_its_service(home: Mapping[str, str]) -> None:
    database = parse_database_url("postgresql://me:mine@db:1/shop?service=prod&sslmode=disable", home)
    assert database == Database(
        hosts=("db",), ports=(1,), name="shop", user="me", password="mine", tls=(("sslmode", "disable"),)
    )


def test_files_are_looked_at_in_libpqs_order(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/pg_service.conf").write_text("[prod]\nhost=system\n[late]\nhost=late\n")
    (tmp_path / "own").write_text("[prod]\nhost=own\n")
    url = "postgresql:///shop?service="
    assert parse_database_url(f"{url}prod", home).hosts == ("db.internal",), "the user's before the system's"
    assert parse_database_url(f"{url}late", home).hosts == ("late",)
    own = home | {"PGSERVICEFILE": str(tmp_path / "own")}
    assert parse_database_url(f"{url}prod", own).hosts == ("own",)
    assert parse_database_url(f"{url}late", own).hosts == ("late",), "the system's is looked at after any file"
    with pytest.raises(SettingsError, match="service other is in none of the files"):
        parse_database_url(f"{url}other", own)
    assert parse_database_url(f"{url}prod&servicefile={tmp_path}/own", home).hosts == ("own",)


def test_unknown_service_names_itself_and_the_files(home: Mapping[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_database_url("postgresql:///shop?service=pro", home)
    looked = f"{tmp_path}/.pg_service.conf, {tmp_path}/etc/pg_service.conf"
    assert str(caught.value) == f"service pro is in none of the files that were looked at: {looked}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ldap://ldap.example.com/dc=s3cr3t?uniqueMember", "is looked up in LDAP, which the audit cannot do"),
        ("s3cr3t", "has no = in it"),
        ("password =s3cr3t", "has a name that is no parameter of libpq"),
        ("service=s3cr3t", "names another service"),
    ],
)
def test_line_that_cannot_be_used_is_named_by_its_number_and_never_quoted(
    tmp_path: Path, line: str, words: str
) -> None:
    file = tmp_path / "services"
    file.write_text(f"[prod]\n\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        parse_database_url("postgresql:///shop?service=prod", {"PGSERVICEFILE": str(file)})
    assert f"service prod in {file}, line 3: {words}" in str(caught.value)
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.next_step}"


@pytest.mark.parametrize("content", [None, b"[prod]\npassword=s3cr3t\xff\n"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "services"
    if content:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"service prod: cannot read {file}") as caught:
        parse_database_url("postgresql:///shop?service=prod", {"PGSERVICEFILE": str(file)})
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("kind", "words"),
    [("pipe", "it is a pipe"), ("/dev/zero", "it is a device"), ("huge", "it has more than 1,048,576")],
)
@pytest.mark.parametrize("place", ["PGSERVICEFILE", "servicefile", "HOME", "PGSYSCONFDIR"])
def test_what_is_no_file_of_services_is_named_and_never_waited_for(
    tmp_path: Path, kind: str, words: str, place: str
) -> None:
    file = tmp_path / (".pg_service.conf" if place == "HOME" else "pg_service.conf")
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "huge":
        file.touch()
        os.truncate(file, 1 << 40)
    else:
        file.symlink_to(kind)
    url = "postgresql:///shop?service=prod" + (f"&servicefile={file}" if place == "servicefile" else "")
    where = {"PGSERVICEFILE": str(file), "HOME": str(tmp_path), "PGSYSCONFDIR": str(tmp_path)}
    with pytest.raises(SettingsError, match=f"service prod: cannot read {file}: {words}"):
        parse_database_url(url, {"HOME": str(tmp_path / "none")} | {place: where.get(place, "")})


def test_services_may_come_through_a_pipe_of_the_shells() -> None:
    read, write = os.pipe()
    os.write(write, PROD.encode())
    os.close(write)
    assert parse_database_url("postgresql:///shop?service=prod", {"PGSERVICEFILE": f"/dev/fd/{read}"}) == FOUND
    os.close(read)


def test_refused_parameter_of_a_service_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "services").write_text("[prod]\nrequire_auth=scram-sha-256\n")
    with pytest.raises(SettingsError, match="require_auth, which the audit does not support"):
        parse_database_url("postgresql:///shop?service=prod", {"PGSERVICEFILE": str(tmp_path / "services")})


@pytest.mark.parametrize("url", ["postgresql:///{name}?service=prod", "postgresql://?service=prod"])
async def test_psql_and_the_audit_get_to_the_same_database(database: str, tmp_path: Path, url: str) -> None:
    parsed = parse_database_url(database)
    (tmp_path / "services").write_text(f"[prod]\nhost={parsed.hosts[0]}\nuser=postgres\ndbname={parsed.name}\n")
    environ = {"PATH": os.environ["PATH"], "PGSERVICEFILE": str(tmp_path / "services")}
    connection = await asyncpg.connect(**parse_database_url(url.format(name=parsed.name), environ).arguments)
    ours = await connection.fetchval("SELECT current_database()")
    await connection.close()
    psql = ["psql", "-X", "-At", "-c", "SELECT current_database()", url.format(name=parsed.name)]
    theirs = await asyncio.to_thread(subprocess.run, psql, env=environ, capture_output=True, text=True, check=True)
    assert theirs.stdout.strip() == ours

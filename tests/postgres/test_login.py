"""Who logs in, and with which password, where the URL does not say."""

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.errors import DatabaseError, SettingsError
from audit.postgres.connection import connect
from audit.postgres.login import find_login
from audit.postgres.url import parse_database_url
from tests import ROOT
from tests.support.ordinary_users import AS_NOBODY, NOBODY
from tests.support.postgres_servers import PASSWORD, Bouncer, pgbouncer

URL = "postgresql://app@db.example.com:6432/shop"


@pytest.fixture(scope="module")
def bouncer(postgres_server: str) -> Iterator[Bouncer]:
    """A server that wants a password."""
    with pgbouncer(postgres_server, tls="disable") as made:
        yield made


def passfile(folder: Path, content: bytes, mode: int = 0o600) -> dict[str, str]:
    """The environment of somebody with that password file."""
    path = folder / "pass"
    path.write_bytes(content)
    path.chmod(mode)
    return {"PGPASSFILE": str(path)}


LINES = {
    b"db.example.com:6432:shop:app:secret": "secret",
    b"*:*:*:*:secret": "secret",
    b"*:6432:*:app:secret\r\n": "secret",
    b"*:*:*:*:se:cret": "se",
    rb"*:*:*:*:se\:cr\\et": r"se:cr\et",
    rb"*:*:*:*:back\slash": "backslash",
    b"*:*:*:*:trailing\\": "trailing\\",
    b"*:*:*:*: blanks \n": " blanks ",
    b"#*:*:*:*:comment\n\n\nstray\n:::\n*:*\n*:*:*:*:secret\n": "secret",
    b"*:*:*:*:first\n*:*:*:*:second": "first",
    b"db.example.com:5432:shop:app:other port\n*:*:*:*:any": "any",
    b"db.example.com:6432:shop2:app:other\n*:*:*:*:any": "any",
    b"db.example.co:*:*:*:shorter\ndb.example.com.:*:*:*:longer\n": "",
    rb"db\.example\.com:6432:s\hop:\app:escaped": "escaped",
    rb"\*:*:*:*:a host called *": "",
    b"**:*:*:*:two": "",
    b"\xe9\xff:*:*:*:no text\n*:*:*:*:secret": "secret",
    b"x" * 1_000_000 + b"\n*:*:*:*:" + b"y" * 5000: "y" * 5000,
    b"*:*:*:*:": "",
    b"*:*:*:*": "",
    b"": "",
    "*:*:*:*:wörd".encode(): "wörd",
}


@pytest.mark.parametrize(("content", "password"), LINES.items(), ids=range(len(LINES)))
def test_a_line_of_the_password_file_means_what_it_means_to_psql(tmp_path: Path, content: bytes, password: str) -> None:
    login = find_login(parse_database_url(URL, {}), passfile(tmp_path, content))
    assert login.passwords == (password,)
    assert (login.file is not None) is (password != "" or (content == b"*:*:*:*:" and login.file is not None))
    assert "secret" not in repr(login)


def test_colons_and_backslashes_in_all_fields_are_escaped(tmp_path: Path) -> None:
    environ = passfile(tmp_path, rb"fe80\:\:1:5432:a\:b:c\\d:secret")
    login = find_login(parse_database_url(r"postgresql://c%5Cd@[fe80::1]/a%3Ab", {}), environ)
    assert login.passwords == ("secret",)


def test_each_of_several_hosts_has_its_own_password(tmp_path: Path) -> None:
    environ = passfile(tmp_path, b"one:1:*:*:first\ntwo:2:*:*:second\nlocalhost:*:*:*:local\n/run/pg:5:*:*:socket\n")
    login = find_login(parse_database_url("postgresql://app@one:1,two:2,three:3/shop", {}), environ)
    assert login.passwords == ("first", "second", "")


@pytest.mark.parametrize(
    ("host", "password"),
    [
        *((host, "local") for host in ("localhost", "/run/postgresql", "/var/run/postgresql", "/tmp")),
        *((host, "") for host in ("/run/other", "/tmp/", "/tmp/x", "@abstract", "127.0.0.1")),
        ("/run/pg", "socket"),
    ],
)
def test_localhost_is_the_default_directory_of_sockets_and_no_other(tmp_path: Path, host: str, password: str) -> None:
    database = parse_database_url(f"postgresql://app@/shop?host={host}&port=5", {})
    for lines in (b"/run/pg:5:*:*:socket\nlocalhost:*:*:*:local\n", b"localhost:*:*:*:local\n/run/pg:5:*:*:socket\n"):
        assert find_login(database, passfile(tmp_path, lines)).passwords == (password,)


def test_every_place_of_a_url_without_a_host_is_localhost(tmp_path: Path) -> None:
    login = find_login(parse_database_url("postgresql://app@/shop", {}), passfile(tmp_path, b"localhost:*:*:*:local\n"))
    assert set(login.passwords) == {"local"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_access_is_not_used_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    environ = passfile(tmp_path, b"*:*:*:*:secret", mode)
    with caplog.at_level(logging.WARNING):
        assert find_login(parse_database_url(URL, {}), environ).passwords == ("",)
    assert f"{tmp_path}/pass is not used" in caplog.text
    assert "secret" not in caplog.text


def test_what_is_no_readable_file_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = parse_database_url(URL, {})
    (tmp_path / "home" / ".pgpass").mkdir(parents=True)
    file = passfile(tmp_path, b"")["PGPASSFILE"]
    for environ in (
        {"HOME": str(tmp_path / "home")},
        {"HOME": file},
        {"HOME": str(tmp_path / "nowhere")},
        {"PGPASSFILE": str(tmp_path / "nowhere")},
        {"PGPASSFILE": str(tmp_path)},
        {"PGPASSFILE": "\0"},
    ):
        assert find_login(database, environ).passwords == ("",)
    assert caplog.text.count("it is not a plain file") == 2


def test_a_password_that_cannot_be_sent_is_refused_without_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not UTF-8 text") as caught:
        find_login(parse_database_url(URL, {}), passfile(tmp_path, b"*:*:*:*:secr\xe9t"))
    assert "secr" not in str(caught.value)


def test_url_before_environment_before_file(tmp_path: Path) -> None:
    environ = passfile(tmp_path, b"*:*:*:*:filed\n") | {"PGUSER": "theirs", "PGPASSWORD": "set"}
    assert find_login(parse_database_url("postgresql://a:b@db/x", {}), environ)[:2] == ("a", ("b",))
    assert find_login(parse_database_url("postgresql://db/x", {}), environ)[:2] == ("theirs", ("set",))
    environ |= {"PGPASSWORD": ""}
    assert find_login(parse_database_url("postgresql://db/x", {}), environ)[:2] == ("theirs", ("filed",))
    own = tmp_path / "own"
    own.write_text("*:*:*:*:own")
    own.chmod(0o600)
    assert find_login(parse_database_url(f"postgresql://db/x?passfile={own}", {}), environ).passwords == ("own",)


async def test_a_refused_password_says_which_file_it_is_from(
    bouncer: Bouncer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", passfile(tmp_path, rb"*:*:*:*:wrong\:secret")["PGPASSFILE"])
    url = f"postgresql://postgres@127.0.0.1:{bouncer.port}/postgres"
    with pytest.raises(DatabaseError, match="refuses user or password") as caught:
        await connect(parse_database_url(url), statement_timeout=5)
    assert f"(the password is from the file {tmp_path}/pass)" in str(caught.value)
    assert "secret" not in str(caught.value) + caught.value.next_step


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that anybody may use, below others that anybody may enter."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize(
    ("home", "command"),
    [
        (None, ["run"]),
        ("/root", ["run"]),
        (None, ["doctor"]),
        # Each takes three processes that begin anew.
        *(pytest.param(home, ["run"], marks=pytest.mark.slow) for home in ("/", "/etc/passwd", "/nowhere", "")),
        *(pytest.param(None, command, marks=pytest.mark.slow) for command in (["user", "anna"], ["init"])),
    ],
)
def test_a_process_whose_id_no_user_has_says_so_and_works_with_a_user_in_the_url(
    bouncer: Bouncer, folder: Path, home: str | None, command: list[str]
) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REPLICATE_API_TOKEN": "r8_x"}
    environ |= {"REPLICATE_BASE_URL": "http://127.0.0.1:9", "SYNC_AUDIT_RETRIES": "0", "USER": "me", "LOGNAME": "me"}
    environ |= {} if home is None else {"HOME": home}

    def said(url: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *command],
            env=environ | {"DATABASE_URL": url} | more,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return " ".join((done.stdout + done.stderr).split())

    nameless = f"postgresql://127.0.0.1:{bouncer.port}/postgres?sslmode=disable"
    assert f"local user with ID {NOBODY} does not exist" in said(nameless)
    password = {"PGPASSWORD": PASSWORD}
    for works in (said(f"{nameless}&user=postgres", **password), said(nameless, PGUSER="postgres", **password)):
        assert "no table" in works, works


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_certificate_in_a_home_that_cannot_be_looked_into_is_named(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "run"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "REPLICATE_API_TOKEN": "r8_x",
            "REPLICATE_BASE_URL": "http://127.0.0.1:9",
            "SYNC_AUDIT_RETRIES": "0",
            "HOME": str(home),
            "DATABASE_URL": "postgresql://app@127.0.0.1:9/shop",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert f"cannot read {home}/.postgresql/postgresql.crt" in done.stderr
    assert f"its id is {NOBODY}" in " ".join(done.stderr.split())


ODD = {
    "PGPORT": "many,more",
    "PGHOST": "[::",
    "PGHOSTADDR": "x",
    "PGDATABASE": "\x1b[31m",
    "PGOPTIONS": "--nonsense",
    "PGCONNECT_TIMEOUT": "soon",
    "PGAPPNAME": "x" * 1000,
    "PGCLIENTENCODING": "EBCDIC",
    "PGPASSFILE": "/nowhere/pass",
    "PGSERVICEFILE": "/nowhere/services",
    "PGSYSCONFDIR": "/nowhere",
    "PGTZ": "Mars",
    "PGDATESTYLE": "odd",
    "PGLOADBALANCEHOSTS": "maybe",
    "PGSSLMODE": "disable",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "HOME": "/etc/passwd",
    "USER": "",
}


@pytest.mark.parametrize("variable", [*ODD, "all"])
async def test_odd_values_in_the_environment_keep_nobody_out(
    postgres_server: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name, value in ODD.items():
        if variable in (name, "all"):
            monkeypatch.setenv(name, value)
    connection = await connect(parse_database_url(postgres_server), statement_timeout=5)
    assert await connection.fetchval("SELECT current_user") == "postgres"
    await connection.close()


@pytest.mark.parametrize("content", [b"[x]\nhost=\xff", b"[x]\nhost", b"", b"\0"])
def test_a_service_that_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "services"
    file.write_bytes(content)
    for given in (str(file), str(tmp_path), "/nowhere", "/root\0"):
        with pytest.raises(SettingsError) as caught:
            parse_database_url(URL, {"PGSERVICE": "x", "PGSERVICEFILE": given})
        assert "x" in str(caught.value)
        assert caught.value.next_step

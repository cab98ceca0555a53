"""`DATABASE_URL` in all the shapes that hosters and frameworks give it."""

import ctypes
import sysconfig
from itertools import takewhile
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import SettingsError
from audit.postgres.url import HARMLESS, HONOURED, LIBPQ, REFUSED, Database, parse_database_url

SECRET = "s3cr3t-p%w"
QUOTED = "s3cr3t-p%25w"


class _Option(ctypes.Structure):
    """`PQconninfoOption` of libpq-fe.h."""

    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    )


def libpq_parameters() -> set[str]:
    """What the libpqs of this machine take."""
    found: set[str] = set()
    libraries = map(str, Path(sysconfig.get_path("purelib")).glob("*/pginstall*/lib/libpq.so.5"))
    for library in (*libraries, "libpq.so.5"):
        try:
            libpq = ctypes.CDLL(library)
        except OSError:
            continue
        libpq.PQconndefaults.restype = ctypes.POINTER(_Option)
        options = libpq.PQconndefaults()
        found |= {option.keyword.decode() for option in takewhile(lambda option: option.keyword, options)}
    if not found:
        pytest.fail("this test needs libpq.so.5: install the package `libpq5`", pytrace=False)
    return found


def tls(url: str) -> dict[str, str]:
    return dict(parse_database_url(url).tls)


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "PostgreSQL", "postgresql+asyncpg", "postgresql+psycopg2", "postgres+psycopg"],
)
def test_every_usual_scheme_names_the_same_database(scheme: str) -> None:
    found = parse_database_url(f"  {scheme}://app:{QUOTED}@db.example.com:6543/shop\n")
    assert found == Database(hosts=("db.example.com",), ports=(6543,), name="shop", user="app", password=SECRET)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        pytest.param("postgresql://u:p@db.example.com:6543/shop?sslmode=require", "db.example.com/shop", id="host"),
        pytest.param("postgresql://u:p@a.example,b.example:1/shop", "a.example,b.example/shop", id="host list"),
        pytest.param("postgresql://[2001:db8::1]:5433/shop", "2001:db8::1/shop", id="IPv6"),
        pytest.param("postgresql:///shop?host=/cloudsql/p:eu:i", "socket/shop", id="socket in the query"),
        pytest.param("postgresql://%2Fvar%2Frun%2Fpg/shop", "socket/shop", id="socket as host"),
        pytest.param("postgresql:///shop", "socket/shop", id="no host"),
        pytest.param("postgresql://app@db", "db/app", id="the user's own database"),
        pytest.param("postgresql://db/%C3%BCn%20%2F", "db/ün /", id="escaped name"),
        pytest.param("postgresql://db/a?dbname=b", "db/b", id="name in the query"),
    ],
)
def test_label_is_host_and_name(url: str, label: str) -> None:
    assert parse_database_url(url).label == label


def test_repr_and_text_show_the_label_alone() -> None:
    database = parse_database_url(f"postgresql://app_user:{QUOTED}@db/shop?sslpassword={QUOTED}&options=project%3Dabc")
    assert repr(database) == str(database) == f"{database}" == "Database('db/shop')"


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "p#ss", "p:ss", "a+b", "p@:/#x", "ü"])
def test_password_with_unescaped_characters_is_understood(password: str) -> None:
    database = parse_database_url(f"postgresql://app:{password}@db:1/shop")
    assert (database.user, database.password, database.hosts, database.ports) == ("app", password, ("db",), (1,))


def test_ports_may_be_a_list_like_hosts() -> None:
    assert parse_database_url("postgresql://a:1,b,c:3/x").ports == (1, 5432, 3)
    assert parse_database_url("postgresql:///x?host=a,b&port=6000").ports == (6000, 6000)
    assert parse_database_url("postgresql:///x?host=a,b&port=6000,6001").ports == (6000, 6001)


def test_parameters_of_the_query_win_over_the_address_as_in_libpq() -> None:
    database = parse_database_url(f"postgresql://a:b@c:1/d?host=%2Frun&user=u&password={QUOTED}&dbname=n")
    assert database == Database(hosts=("/run",), ports=(1,), name="n", user="u", password=SECRET)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_sslmode_is_kept(mode: str) -> None:
    assert tls(f"postgresql://db/x?sslmode={mode}") == {"sslmode": mode}


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("ssl=true", "require"),
        ("ssl=verify-full", "verify-full"),
        ("ssl=false", "disable"),
        ("sslmode=no-verify", "require"),
    ],
)
def test_other_drivers_words_for_tls_are_understood(query: str, mode: str) -> None:
    assert tls(f"postgresql://db/x?{query}") == {"sslmode": mode}


def test_certificates_reach_asyncpg_in_a_dsn_that_holds_nothing_else() -> None:
    arguments = parse_database_url(
        f"postgresql://app:{QUOTED}@db/x?sslmode=verify-full&sslrootcert=%2Fa%20b%2Bc%26.pem&sslcert=c&sslkey=k"
    ).arguments
    assert arguments["dsn"] == "postgresql://?sslmode=verify-full&sslrootcert=%2Fa%20b%2Bc%26.pem&sslcert=c&sslkey=k"


def test_system_roots_mean_the_machines_own_and_full_verification() -> None:
    database = parse_database_url("postgresql://db/x?sslrootcert=system")
    assert database.arguments["ssl"] is True
    assert "dsn" not in database.arguments
    assert database.files == ()


FOREIGN = [
    pytest.param("sslmode=require&channel_binding=require", id="Neon"),
    pytest.param("pgbouncer=true&connection_limit=1&pool_timeout=20&socket_timeout=9", id="Prisma on Supabase"),
    pytest.param("sslmode=require&statement_cache_size=0&sslpool=x&gssencmode=disable", id="drivers"),
    pytest.param("application_name=x&fallback_application_name=y&client_encoding=utf8&statement_timeout=1", id="libpq"),
    pytest.param("options=-c%20statement_timeout%3D1%20-cgeqo=off", id="switches"),
    pytest.param("schema=shop", id="schema"),
    pytest.param("keepalives=1&load_balance_hosts=random&anything=else", id="anything"),
]


@pytest.mark.parametrize("query", FOREIGN)
def test_foreign_parameters_never_become_startup_parameters(query: str) -> None:
    arguments = parse_database_url(f"postgresql://u:p@db/x?{query}").arguments
    assert arguments["server_settings"] is None
    assert set(arguments) <= {"dsn", "host", "port", "database", "user", "password", "server_settings"}
    assert arguments.get("dsn", "postgresql://?sslmode=require") == "postgresql://?sslmode=require"


@pytest.mark.parametrize("word", ["endpoint=ep-cool-1", "project=ep-cool-1", "reference=abc"])
def test_options_that_only_a_proxy_reads_are_passed_on(word: str) -> None:
    database = parse_database_url(f"postgresql://db/x?options=-c%20geqo%3Doff%20{word.replace('=', '%3D')}")
    assert database.arguments["server_settings"] == {"options": word}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("schema=shop", '"shop"'),
        ("schema=My%20%22shop", '"My ""shop"'),
        ("search_path=a,b", "a,b"),
        ("currentSchema=a,b", "a,b"),
        ("options=-csearch_path%3Da,b", "a,b"),
        ("options=-c%20search_path%3Da,%5C%20b%20-c%20x%3D1", "a, b"),
        ("options=--search-path%3Da", "a"),
        ("options=-c%20x%3D1", None),
    ],
)
def test_schema_is_kept_for_the_transaction(query: str, path: str | None) -> None:
    assert parse_database_url(f"postgresql://db/x?{query}").search_path == path


@pytest.mark.parametrize(("text", "seconds"), [("5", 5.0), ("0", None), ("-1", None), ("", None)])
def test_connect_timeout_is_honoured_but_never_means_for_ever(text: str, seconds: float | None) -> None:
    assert parse_database_url(f"postgresql://db/x?connect_timeout={text}").connect_timeout == seconds


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("", "not a PostgreSQL URL", id="empty"),
        pytest.param(f"mysql://app:{SECRET}@db/x", "begin with postgresql://", id="mysql"),
        pytest.param(f"host=db password={SECRET}", "not a PostgreSQL URL", id="keywords"),
        pytest.param(f"'postgresql://app:{SECRET}@db/x'", "not a PostgreSQL URL", id="quoted"),
        pytest.param("postgresql://", "names no database", id="nothing"),
        pytest.param("postgresql://db:5432/", "names no database", id="no name"),
        pytest.param(f"postgresql://app:{SECRET}@db:54x/x", "port that is not a number", id="port"),
        pytest.param(f"postgresql://app:{SECRET}@db:0/x", "port that is not a number", id="port 0"),
        pytest.param(f"postgresql://app:{SECRET}@db:65536/x", "port that is not a number", id="port too large"),
        pytest.param("postgresql://app:s3cr3t?p@db/x", "unescaped character in the password", id="? in password"),
        pytest.param(f"postgresql://app:{SECRET}@a,,b/x", "an empty host", id="empty host"),
        pytest.param(f"postgresql://app:{SECRET}@[::1/x", "host that cannot be read", id="bracket"),
        pytest.param(f"postgresql:///x?host=a,b,c&port=1,2&password={SECRET}", "as long as its list", id="port list"),
        pytest.param("postgresql://db/x?hostaddr=127.0.0.1", "host and hostaddr", id="host and hostaddr"),
        pytest.param("postgresql://db/x?gsslib=heimdal", "unknown gsslib", id="gsslib"),
        pytest.param("postgresql://db/x?sslcrldir=%2Fcrl", "read from a file (sslcrl)", id="sslcrldir"),
        pytest.param("postgresql://app:%ff-s3cr3t@db/x", "not UTF-8", id="not utf-8"),
        pytest.param("postgresql://app:s3cr3t%00@db/x", "not UTF-8", id="NUL"),
        pytest.param(
            f"postgresql://app:{SECRET}@db/x?sslmode=requre", "unknown sslmode; there are disable", id="sslmode"
        ),
        pytest.param(f"postgresql://app:{SECRET}@db/x?sslmod=require", "begins with ssl", id="sslmod"),
        pytest.param(f"postgresql://app:{SECRET}@db/x?sslaccept=maybe", "unknown sslaccept", id="Prisma's sslaccept"),
        pytest.param("postgresql://db/x?sslrootcert=system&sslmode=require", "and another sslmode", id="weak system"),
        pytest.param("postgresql://db/x?sslrootcert=system&sslcert=c", "not supported", id="system and sslcert"),
        pytest.param(f"postgresql://app:{SECRET}@db/x?connect_timeout=soon", "connect_timeout", id="timeout"),
        pytest.param("postgresql://db/x?target_session_attrs=any-one", "target_session_attrs", id="attributes"),
    ],
)
def test_what_cannot_be_read_is_said_without_the_url(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_database_url(url)
    error = caught.value
    assert words in str(error)
    assert error.next_step
    chain = f"{error!r} {error.__cause__!r} {error.next_step}"
    assert error.__suppress_context__ or error.__context__ is None
    assert "s3cr3t" not in chain
    assert "app" not in chain


def test_every_parameter_of_a_real_libpq_is_honoured_harmless_or_refused() -> None:
    assert libpq_parameters() <= LIBPQ
    assert len(LIBPQ) == len(HONOURED) + len(HARMLESS) + len(REFUSED), "none of them is two of it"


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_parameter_changes_nothing_and_has_its_reason(name: str) -> None:
    assert HARMLESS[name]
    assert parse_database_url(f"postgresql://db/x?{name}=1") == parse_database_url("postgresql://db/x")


@pytest.mark.parametrize("name", REFUSED)
def test_parameter_that_cannot_be_honoured_is_refused_with_the_true_reason(name: str) -> None:
    as_good_as_none, why = REFUSED[name]
    for value in as_good_as_none.split():
        assert parse_database_url(f"postgresql://db/x?{name}={value}") == parse_database_url("postgresql://db/x")
    with pytest.raises(SettingsError) as caught:
        parse_database_url(f"postgresql://db/x?{name}=s3cr3t")
    assert f"has {name}, which the audit does not support: {why}" in str(caught.value)
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.next_step}"


@given(st.text())
def test_any_text_is_a_database_or_a_settings_error(text: str) -> None:
    for url in (text, f"postgresql://{text}", f"postgresql://u:p@h/d?{text}"):
        try:
            database = parse_database_url(url)
        except SettingsError:
            continue
        assert database.hosts
        assert len(database.hosts) == len(database.ports)
        assert database.name


async def test_address_comes_from_the_url_alone_whatever_the_environment_says(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGHOST": "elsewhere", "PGPORT": "1", "PGDATABASE": "other", "PGOPTIONS": "--x=y"}.items():
        monkeypatch.setenv(name, value)
    parsed = parse_database_url(database)
    arguments: dict[str, Any] = parsed.arguments
    connection = await asyncpg.connect(**arguments)
    assert await connection.fetchval("SELECT current_database()") == parsed.name
    await connection.close()

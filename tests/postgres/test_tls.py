"""What URLs of many clients ask of TLS."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.errors import DatabaseError, SettingsError
from audit.postgres.connection import connect
from audit.postgres.url import ENVIRONMENT, LIBPQ, parse_database_url
from tests.postgres.test_url import libpq_parameters
from tests.support.postgres_servers import Bouncer, pgbouncer

OWN = ("root.crt", "root.crl", "postgresql.crt", "postgresql.key")


def tls(query: str, **environ: str) -> dict[str, str]:
    return dict(parse_database_url(f"postgresql://u:p@db/x?{query}", environ).tls)


VERIFIED = {"sslmode": "verify-full", "sslrootcert": "system"}
MEANT = {
    # Prisma
    "sslaccept=strict": VERIFIED,
    "sslaccept=strict&sslmode=require": VERIFIED,
    "sslaccept=strict&sslmode=prefer&sslcert=ca.pem": {"sslmode": "verify-full", "sslrootcert": "ca.pem"},
    "sslaccept=accept_invalid_certs": {"sslmode": "require"},
    "sslaccept=accept_invalid_certs&sslmode=require&sslcert=ca.pem": {"sslmode": "require"},
    "sslaccept=accept_invalid_certs&sslmode=disable": {"sslmode": "disable"},
    "pgbouncer=true&connection_limit=1&pool_timeout=5&socket_timeout=5&statement_cache_size=0&schema=shop": {},
    # node-postgres, SQLAlchemy, Django, Rails
    "sslmode=no-verify&uselibpqcompat=true": {"sslmode": "require"},
    "ssl=1": {"sslmode": "require"},
    "ssl=off": {"sslmode": "disable"},
    "ssl=off&sslmode=require": {"sslmode": "require"},
    "ssl": {"sslmode": "require"},
    "SSL&connect_timeout=5": {"sslmode": "require"},
    "ssl=": {"sslmode": "require"},
    "ssl=false&ssl": {"sslmode": "require"},
    "ssl&sslmode=prefer": {"sslmode": "require"},
    "ssl=true&sslmode=allow": {"sslmode": "require"},
    "ssl&sslmode=verify-ca": {"sslmode": "verify-ca"},
    "ssl=verify-full&sslmode=require": {"sslmode": "verify-full"},
    "sslrequire": {"sslmode": "require"},
    "ssl_require&sslmode=prefer": {"sslmode": "require"},
    "sslmode": {},
    "prepared_statement_cache_size=0&prepared_statements=false&pool=5&encoding=unicode&timeout=5000": {},
    "ssl_require=True&conn_max_age=600": {"sslmode": "require"},
    "ssl_require=false": {},
    "ssl_require=true&sslmode=verify-ca": {"sslmode": "verify-ca"},
    # JDBC, R2DBC, sqlx, lib/pq
    "ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory": {"sslmode": "require"},
    "sslfactory=org.postgresql.ssl.NonValidatingFactory": {"sslmode": "require"},
    "sslmode=verify-full&sslfactory=org.postgresql.ssl.LibPQFactory&sslResponseTimeout=5": {"sslmode": "verify-full"},
    "sslMode=verify-full&sslRootCert=ca.pem": {"sslmode": "verify-full", "sslrootcert": "ca.pem"},
    "ssl-mode=verify-ca&ssl-root-cert=ca.pem": {"sslmode": "verify-ca", "sslrootcert": "ca.pem"},
    "ssl-mode=verify-ca&ssl-ca=ca.pem": {"sslmode": "verify-ca", "sslrootcert": "ca.pem"},
    "ssl_mode=require": {"sslmode": "require"},
    "sslinline=false&sslmode=require": {"sslmode": "require"},
    # libpq's newer ones
    "sslcertmode=allow&sslnegotiation=postgres&sslsni=1&sslcompression=0&sslkeylogfile=x": {},
    "sslmode=require&sslnegotiation=direct": {"sslmode": "require", "sslnegotiation": "direct"},
    "ssl_min_protocol_version=tlsv1.3": {"ssl_min_protocol_version": "TLSv1.3"},
    "sslrootcert=system&ssl_min_protocol_version=TLSv1.2": {"sslrootcert": "system"},
    "min_protocol_version=3.0&max_protocol_version=latest&gssencmode=prefer&load_balance_hosts=random": {},
}


@pytest.mark.parametrize(("query", "meant"), MEANT.items(), ids=MEANT)
def test_what_is_clear_is_taken(query: str, meant: dict[str, str]) -> None:
    assert tls(query) == meant


REFUSED = {
    "sslaccept=strict&sslmode=disable": "verifies certificates",
    "sslaccept=Strict": "unknown sslaccept",
    "sslidentity=client.p12&sslpassword=x": "PKCS12",
    "sslfactory=com.example.Mine": "has sslfactory",
    "sslhostnameverifier=com.example.Any": "code of the client",
    "sslpasswordcallback=com.example.Any": "code of the client",
    "ssl_context=x": "code of the client",
    "sslinline=true&sslmode=verify-full&sslrootcert=x": "not from the URL",
    "rejectUnauthorized=true": "whether certificates are verified",
    "trustServerCertificate=false": "whether certificates are verified",
    "useSSL=true": "another client's word for TLS",
    "tls=true": "another client's word for TLS",
    "ssl=yes-please": "unknown ssl;",
    "ssl=no": "unknown ssl;",
    "ssl=no&sslmode=require": "unknown ssl;",
    "sslrequire=yes-please": "unknown sslrequire;",
    "ssl&sslmode=disable": "asks for TLS",
    "ssl=1&sslmode=disable": "asks for TLS",
    "ssl=no-verify&sslmode=disable": "asks for TLS",
    "ssl=verify-full&sslMode=disable": "asks for TLS",
    "useSSL": "another client's word for TLS",
    "tls": "another client's word for TLS",
    "encrypt": "another client's word for TLS",
    "sslmode=tunnel": "unknown sslmode",
    "SSLMODE=": None,
    "SSLMODE=requre": "unknown sslmode",
    "sslmod=require": "begins with ssl",
    "ssl_verify=true": "begins with ssl",
    "sslmode=require&sslMode=verify-full": "twice",
    "sslcertmode=require": "client's certificate",
    "sslnegotiation=direct": "may do without",
    "sslnegotiation=direct&sslmode=prefer": "may do without",
    "sslnegotiation=fast": "unknown sslnegotiation",
    "ssl_min_protocol_version=SSLv3": "unknown ssl_min_protocol_version",
    "ssl_max_protocol_version=1.3": "unknown ssl_max_protocol_version",
    "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2": "above",
    "sslrootcert=system&ssl_min_protocol_version=TLSv1.3": "together",
    "sslrootcert=system&sslcrl=x": "together",
    "sslrootcert=system&sslnegotiation=direct": "together",
    "gssEncMode=require": "GSSAPI",
    "requireAuth=scram-sha-256": "how to log in",
    "require_auth=scram-sha-256": "how to log in",
    "scram_client_key=x": "password",
    "oauth_issuer=x": "OAuth",
    "min_protocol_version=3.2": "protocol 3.0",
}


@pytest.mark.parametrize(("query", "words"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_honoured_is_refused_with_what_it_asks_for(query: str, words: str | None) -> None:
    if words is None:
        assert tls(query) == {}
        return
    with pytest.raises(SettingsError) as caught:
        tls(query)
    assert words in str(caught.value)
    assert caught.value.next_step
    assert "com.example" not in f"{caught.value} {caught.value.next_step}"


@pytest.mark.parametrize("name", sorted(name for name in LIBPQ if "ssl" in name))
def test_no_spelling_of_a_parameter_for_tls_is_passed_over(name: str) -> None:
    def outcome(spelling: str) -> object:
        try:
            return tls(f"{spelling}=verify-full")
        except SettingsError as error:
            return str(error)

    for spelling in (name.upper(), name.replace("ssl", "ssl_", 1), name.replace("ssl", "ssl-", 1)):
        assert outcome(spelling) == outcome(name)


VARIABLES = {
    "PGSSLMODE": ("requre", "unknown sslmode"),
    "PGSSLNEGOTIATION": ("fast", "unknown sslnegotiation"),
    "PGSSLMINPROTOCOLVERSION": ("3", "unknown ssl_min_protocol_version"),
    "PGSSLMAXPROTOCOLVERSION": ("3", "unknown ssl_max_protocol_version"),
    "PGTARGETSESSIONATTRS": ("some", "unknown target_session_attrs"),
    "PGGSSLIB": ("heimdal", "unknown gsslib"),
    "PGGSSENCMODE": ("require", "GSSAPI"),
    "PGREQUIREAUTH": ("none", "how to log in"),
    "PGREQUIREPEER": ("postgres", "owner of the server's socket"),
    "PGSSLCERTMODE": ("require", "client's certificate"),
    "PGSSLCRLDIR": ("/crl", "not from a directory"),
    "PGMINPROTOCOLVERSION": ("3.2", "protocol 3.0"),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_what_is_wrong_in_the_environment_is_said_with_the_variable(variable: str) -> None:
    value, words = VARIABLES[variable]
    with pytest.raises(SettingsError) as caught:
        tls("", **{variable: value})
    assert words in str(caught.value)
    assert variable in str(caught.value)
    assert "environment" in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        tls("sslmode=nonsense", **{variable: value})
    assert "environment" not in str(caught.value)


def test_the_environment_counts_where_the_url_is_silent() -> None:
    assert tls("", PGSSLMODE="verify-full", PGSSLROOTCERT="ca.pem") == {
        "sslmode": "verify-full",
        "sslrootcert": "ca.pem",
    }
    assert tls("sslmode=require", PGSSLMODE="nonsense") == {"sslmode": "require"}
    assert tls("ssl=true", PGSSLMODE="disable") == {"sslmode": "require"}
    assert tls("sslaccept=strict", PGSSLMODE="disable") == VERIFIED
    assert set(ENVIRONMENT.values()) <= LIBPQ
    assert libpq_parameters() >= {"sslmode", "sslcertmode"}


async def test_a_file_of_the_environment_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL"):
        with monkeypatch.context() as changed:
            changed.setenv(variable, str(tmp_path / "none"))
            with pytest.raises(SettingsError, match="none: No such file or directory"):
                await connect(
                    parse_database_url("postgresql://u@127.0.0.1:9/x?sslmode=verify-full"), statement_timeout=1
                )


async def test_a_file_for_keys_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys")
    with pytest.raises(SettingsError, match="SSLKEYLOGFILE: cannot write to /nowhere/keys"):
        await connect(parse_database_url("postgresql://u@127.0.0.1:9/x"), statement_timeout=1)
    with pytest.raises(DatabaseError, match="connection refused"):
        await connect(parse_database_url("postgresql://u@127.0.0.1:9/x?sslmode=disable"), statement_timeout=1)


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl", "SSLKEYLOGFILE", *OWN])
async def test_what_is_no_file_is_named_and_never_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, name: str
) -> None:
    file = tmp_path / ".postgresql" / name
    file.parent.mkdir()
    os.mkfifo(file) if kind == "a pipe" else file.symlink_to("/dev/zero")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(file) if name == "SSLKEYLOGFILE" else "")
    query = "sslmode=require" + (f"&{name}={file}" if name.startswith("ssl") else "")
    with pytest.raises(SettingsError, match=f"{file}.*: it is {kind} and no file") as caught:
        await connect(parse_database_url(f"postgresql://u@127.0.0.1:9/x?{query}"), statement_timeout=1)
    assert name in str(caught.value)


@pytest.fixture(scope="module")
def secure(postgres_server: str) -> Iterator[Bouncer]:
    with pgbouncer(postgres_server, tls="require") as bouncer:
        yield bouncer


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sslaccept=strict", "is not trusted"),
        ("sslaccept=strict&sslcert={other}", "is not trusted"),
        ("sslaccept=strict&sslcert={ca}", ""),
        ("sslaccept=accept_invalid_certs&sslcert={other}", ""),
        ("ssl-mode=verify-full&ssl-ca={ca}", ""),
        ("ssl-mode=verify-full&ssl-ca={other}", "is not trusted"),
    ],
)
async def test_other_clients_words_protect_a_real_connection(secure: Bouncer, query: str, words: str) -> None:
    url = secure.url("postgres", query.format(ca=secure.ca, other=secure.other_ca))
    if words:
        with pytest.raises(DatabaseError, match=words):
            await connect(parse_database_url(url), statement_timeout=5)
        return
    connection = await connect(parse_database_url(url), statement_timeout=5)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()

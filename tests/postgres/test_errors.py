"""Every way in which PostgreSQL can fail us, on real servers, and the table of errors."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from audit.errors import DatabaseError, SettingsError
from audit.model.run import Filters
from audit.model.tables import PLAIN
from audit.postgres import connection as source
from audit.postgres import errors as source_errors
from audit.postgres import messages
from audit.postgres.messages import Doing
from audit.postgres.snapshot import snapshot
from audit.postgres.url import parse_database_url
from tests.support.database_rows import execute, failure, insert, model, read
from tests.support.postgres_servers import PASSWORD

REQUIRED = [("users", "id"), ("user_models", "id"), ("user_models", "user_id")]


async def test_missing_required_column_is_named_with_its_table(tables: str) -> None:
    for table, column in REQUIRED:
        await execute(tables, f"ALTER TABLE {table} RENAME {column} TO other")
        assert f"table {table} has no column {column}" in str(await failure(tables))
        await execute(tables, f"ALTER TABLE {table} RENAME other TO {column}")


async def test_date_column_that_is_no_date_is_named(tables: str) -> None:
    await execute(tables, "ALTER TABLE user_models ALTER updated_at TYPE text")
    assert "user_models.updated_at is of type text" in str(await failure(tables))


async def test_missing_table_is_named_with_the_schema_that_has_it(tables: str) -> None:
    await execute(tables, "CREATE SCHEMA shop", "ALTER TABLE user_models SET SCHEMA shop")
    error = await failure(tables)
    assert "has no table user_models" in str(error)
    assert "There is one in schema shop." in error.next_step


async def test_cancelling_in_the_middle_leaves_no_connection(tables: str) -> None:
    async with holding_a_lock(tables, "LOCK TABLE user_models"):
        task = asyncio.create_task(read(tables))
        await wait_for(tables, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await wait_for(tables, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'sync-audit'")


@asynccontextmanager
async def holding_a_lock(dsn: str, statement: str) -> AsyncIterator[None]:
    other = await asyncpg.connect(dsn)
    try:
        async with other.transaction():
            await other.execute(statement)
            yield
    finally:
        await other.close()


async def wait_for(dsn: str, question: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(5):
            while not await connection.fetchval(question):  # noqa: ASYNC110 - the event is in the server
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_table_that_somebody_changes_is_not_waited_for_long(tables: str) -> None:
    async with holding_a_lock(tables, "LOCK TABLE user_models"):
        error = await failure(tables, statement_timeout=0.2)
    assert isinstance(error.__cause__, asyncpg.LockNotAvailableError)
    assert "locked a table" in str(error)


async def test_statement_that_takes_too_long_is_ended(tables: str) -> None:
    await execute(
        tables,
        "ALTER TABLE user_models RENAME TO trainings",
        "CREATE VIEW user_models AS SELECT t.* FROM trainings t, pg_sleep(5)",
    )
    error = await failure(tables, statement_timeout=0.1)
    assert isinstance(error.__cause__, asyncpg.QueryCanceledError)
    assert "--statement-timeout" in error.next_step


async def test_connection_that_is_cut_while_reading_is_told(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sync-audit'"
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=20
    ) as taken:
        await execute(tables, cut)
        with pytest.raises(DatabaseError, match="closed the connection") as caught:
            await anext(taken.records())
    assert caught.value.__cause__


def ask_for_password(rules: Path, role: str) -> None:
    rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")


async def wait_until_asked_for_password(role: str, dsn: str) -> None:
    """The server reads its rules again when it gets to it."""
    async with asyncio.timeout(5):
        while True:
            try:
                connection = await asyncpg.connect(dsn, user=role, password="none of it")
            except asyncpg.InvalidPasswordError:
                return
            await connection.close()


@pytest.fixture
async def reader(tables: str) -> str:
    """DSN of a role that has no right yet, and a password that the server asks for."""
    name = f"reader_{parse_database_url(tables).name}"
    await execute(tables, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    connection = await asyncpg.connect(tables)
    ask_for_password(Path(await connection.fetchval("SHOW hba_file")), name)
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    await wait_until_asked_for_password(name, tables)
    parts = urlsplit(tables)
    return f"postgresql://{name}:{quote(PASSWORD, safe='')}@{parts.path}?{parts.query}"


async def test_role_with_nothing_but_select_can_audit(tables: str, reader: str) -> None:
    await execute(tables, f"GRANT SELECT ON users, user_models TO {parse_database_url(reader).user}")
    await insert(tables, "user_models", [model()])
    records, population = await read(reader)
    assert (len(records), population.users) == (1, 1)


async def test_missing_right_names_the_table_and_the_grant(reader: str) -> None:
    error = await failure(reader)
    assert "permission denied for table" in str(error)
    assert "GRANT SELECT ON users, user_models" in error.next_step


async def test_row_level_security_is_an_error_and_never_hides_users(tables: str, reader: str) -> None:
    role = parse_database_url(reader).user
    await insert(tables, "user_models", [model()])
    await execute(
        tables,
        f"GRANT SELECT ON users, user_models TO {role}",
        "ALTER TABLE user_models ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON user_models USING (user_id = current_user)",
    )
    error = await failure(reader)
    assert "row-level security is on for table user_models" in str(error)
    assert "BYPASSRLS" in error.next_step
    await execute(
        tables,
        "ALTER TABLE user_models RENAME TO trainings",
        "CREATE VIEW user_models WITH (security_invoker) AS SELECT * FROM trainings",
        f"GRANT SELECT ON user_models TO {role}",
    )
    behind_a_view = await failure(reader)
    assert isinstance(behind_a_view.__cause__, asyncpg.InsufficientPrivilegeError)
    assert "BYPASSRLS" in behind_a_view.next_step
    await execute(tables, f"ALTER ROLE {role} BYPASSRLS")
    records, _ = await read(reader)
    assert len(records) == 1


async def test_wrong_password_is_told_without_it(reader: str) -> None:
    error = await failure(reader.replace(quote(PASSWORD, safe=""), "wrong-secret"))
    assert isinstance(error.__cause__, asyncpg.InvalidPasswordError)
    assert "refuses user or password" in str(error)


async def test_unknown_database_is_told(database: str) -> None:
    assert "socket/nowhere does not exist" in str(
        await failure(database.replace(f"/{parse_database_url(database).name}", "/nowhere"))
    )


async def test_unreachable_servers_are_told_apart(tmp_path: Path) -> None:
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        refused = await failure(f"postgresql://u:{quote(PASSWORD)}@127.0.0.1:{closed.getsockname()[1]}/x")
        timed_out = await failure(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x", connect_timeout=0.05)
    assert str(refused).endswith("127.0.0.1/x cannot be reached: connection refused")
    assert "did not answer in time" in str(timed_out)
    assert "host name is not known" in str(await failure("postgresql://no-such-host.invalid/x"))
    assert "host name" in (await failure(f"postgresql://{'a' * 70}.invalid/x")).next_step.replace(
        "the host", "host name"
    )
    assert "through its socket" in str(await failure(f"postgresql:///x?host={quote(str(tmp_path), safe='')}"))


async def test_something_else_on_the_port_is_told() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for mode in ("disable", "require"):
            await failure(f"postgresql://127.0.0.1:{port}/x?sslmode={mode}", connect_timeout=2.0)


async def test_certificate_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"cannot read sslrootcert={tmp_path}/ca.pem: No such file") as caught:
        await read(f"postgresql://localhost/x?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")
    assert caught.value.__cause__


def every_subclass(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(every_subclass(child) for child in kind.__subclasses__()))


FAMILIES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, UnicodeError)
PLACES = {"asyncpg", "builtins", "socket", "ssl"}
"""Who raises below the border; other libraries derive from OSError too."""
FOREIGN = sorted(
    {kind for family in FAMILIES for kind in every_subclass(family) if kind.__module__.partition(".")[0] in PLACES},
    key=lambda kind: (kind.__module__, kind.__name__),
)


def made(kind: type[BaseException]) -> BaseException:
    """Without its constructor, which of some needs much: as the border gets it, it is only looked at."""
    error = kind.__new__(kind)
    error.args = ("FATAL: secret of the server\x1b[31m\nmore",)
    return error


DOING: tuple[Doing, ...] = ("connecting", "reading", "writing")
CLAIMS: dict[Doing, str] = {
    "connecting": "could not be read|could not be changed|refuses a change|GRANT SELECT|of this batch",
    "reading": "could not be changed|refuses a change|takes no changes|of this batch|could not be connected",
    "writing": "could not be read|GRANT SELECT|an audit only reads|could not be connected|grant SELECT",
}
"""Words that are false whatever went wrong while that was done."""


@pytest.mark.parametrize("doing", DOING)
def test_every_foreign_error_becomes_a_source_error_with_cause_and_next_step(doing: Doing) -> None:
    assert len(FOREIGN) > 250
    database = parse_database_url("postgresql://u:p@db/shop")
    for kind in FOREIGN:
        error = made(kind)
        with pytest.raises(DatabaseError) as caught, source.translate_errors(database, doing):
            raise error
        assert caught.value.__cause__ is error, kind
        said = f"{caught.value}\n{caught.value.next_step}"
        assert said.startswith("database db/shop "), kind
        assert "\x1b" not in said, kind
        assert "\n" not in str(caught.value), kind
        assert caught.value.next_step, kind
        assert not re.search(CLAIMS[doing], said), (kind, said)
        assert ("batch was changed" in said) is (doing == "writing"), (kind, said)


def test_each_class_of_states_has_words_of_its_own() -> None:
    general = {doing: messages.message_for(Exception(), "", doing).what for doing in DOING}
    states = {state for kind in FOREIGN if isinstance(state := getattr(kind, "sqlstate", None), str)}
    assert len({state[:2] for state in states}) > 35
    untold = {
        state[:2]
        for state in states
        if messages.message_for(asyncpg.PostgresError.new({"C": state}), "", "reading").what == general["reading"]
    }
    # No errors, of no statement that the audit ever makes, or of the server's own start.
    assert untold <= {*"00 01 02 03 09 0B 0F 0L 0P 0Z 10 27 2B 2D 3B 40 44 F0 55".split()}  # noqa: SIM905 - a table


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (asyncpg.InsufficientPrivilegeError, "does not let this role read"),
        (asyncpg.QueryCanceledError, "ended a query"),
        (asyncpg.LockNotAvailableError, "locked a table"),
        (asyncpg.UndefinedTableError, "does not have the tables"),
        (asyncpg.UndefinedColumnError, "does not have the tables"),
        (asyncpg.UndefinedFunctionError, "does not understand a query"),
        (asyncpg.AdminShutdownError, "closed the connection"),
        (asyncpg.ConnectionDoesNotExistError, "closed the connection"),
        (asyncpg.SerializationError, "because of replication"),
        (asyncpg.DeadlockDetectedError, "ended a deadlock"),
        (asyncpg.DiskFullError, "has run out of"),
        (asyncpg.PostgresIOError, "trouble with its own files"),
        (asyncpg.DataCorruptedError, "trouble with its own files"),
        (asyncpg.InternalServerError, "has an error of its own"),
        (asyncpg.UntranslatableCharacterError, "a character that"),
        (asyncpg.DivisionByZeroError, "cannot read a row"),
        (asyncpg.RaiseError, "cannot read a row"),
        (asyncpg.UniqueViolationError, "cannot read a row"),
        (asyncpg.ReadOnlySQLTransactionError, "runs something that writes"),
        (asyncpg.InvalidCursorNameError, "has lost the audit's transaction"),
        (asyncpg.ProtocolError, "does not speak as PostgreSQL does"),
        (asyncpg.InterfaceError, "could not be read"),
        (OSError, "closed the connection"),
        (ConnectionResetError, "closed the connection"),
        (TimeoutError, "did not answer a query in time"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_error_of_this_kind_is_said_in_these_words(kind: type[BaseException], words: str) -> None:
    assert words in str(source_errors.database_error(made(kind), "db/shop", PLAIN))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (asyncpg.InvalidPasswordError, "refuses user or password"),
        (asyncpg.InvalidAuthorizationSpecificationError, "does not let this user log in"),
        (asyncpg.InvalidCatalogNameError, "does not exist"),
        (asyncpg.InsufficientPrivilegeError, "does not let this role connect"),
        (asyncpg.TooManyConnectionsError, "has no free connection"),
        (asyncpg.CannotConnectNowError, "does not take connections at the moment"),
        (ConnectionRefusedError, "cannot be reached"),
        (OSError, "cannot be reached"),
        (TimeoutError, "did not answer in time"),
        (socket.gaierror, "host name is not known"),
        (ssl.SSLError, "agree on TLS"),
        (ssl.SSLCertVerificationError, "is not trusted"),
        (ConnectionResetError, "closed the connection"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_error_of_this_kind_while_connecting_is_said_in_these_words(kind: type[BaseException], words: str) -> None:
    assert words in str(source_errors.database_error(made(kind), "db/shop", PLAIN, "connecting"))


UNCHANGED, UNCLEAR = "Nothing of this batch was changed", "Whether this batch was changed is not known"


@pytest.mark.parametrize(
    ("kind", "words", "step"),
    [
        (asyncpg.DeadlockDetectedError, "ended a deadlock between this change", UNCHANGED),
        (asyncpg.SerializationError, "could not make the change, because somebody else", UNCHANGED),
        (asyncpg.InsufficientPrivilegeError, "does not let this role do what the change needs", "SECURITY DEFINER"),
        (asyncpg.RaiseError, "refuses a change", "trigger"),
        (asyncpg.UndefinedColumnError, "refuses a change", "trigger"),
        (asyncpg.UniqueViolationError, "refuses a change", UNCHANGED),
        (asyncpg.CheckViolationError, "refuses a change", UNCHANGED),
        (asyncpg.ForeignKeyViolationError, "refuses a change", UNCHANGED),
        (asyncpg.LockNotAvailableError, "has locked a table", UNCHANGED),
        (asyncpg.QueryCanceledError, "ended a change", UNCHANGED),
        (asyncpg.ReadOnlySQLTransactionError, "is read-only", UNCHANGED),
        (asyncpg.DiskFullError, "has run out of", UNCHANGED),
        (asyncpg.AdminShutdownError, "closed the connection", UNCLEAR),
        (asyncpg.ConnectionDoesNotExistError, "closed the connection", UNCLEAR),
        (ConnectionResetError, "closed the connection", UNCLEAR),
        (TimeoutError, "did not answer a query in time", UNCLEAR),
        (asyncpg.InterfaceError, "could not be changed", UNCLEAR),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_error_of_this_kind_while_writing_is_said_in_these_words(
    kind: type[BaseException], words: str, step: str
) -> None:
    error = source_errors.database_error(made(kind), "db/shop", PLAIN, "writing")
    assert words in str(error)
    assert step in error.next_step


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("unsupported startup parameter: options", "refuses a parameter"),
        ("SSL required", "with TLS only"),
        ("no such database: shop", "does not exist"),
        ("SASL authentication failed", "refuses user or password"),
        ("Tenant or user not found", "refuses user or password"),
        ("no more connections allowed (max_client_conn)", "has no free connection"),
        ("server login has been failing, try again later", "behind a pooler"),
        ("query_wait_timeout", "behind a pooler"),
        ("something new", "does not speak as PostgreSQL does"),
    ],
)
def test_poolers_are_understood_by_their_words(said: str, words: str) -> None:
    error = asyncpg.ProtocolViolationError(said)
    assert words in str(source_errors.database_error(error, "db/shop", PLAIN))


@pytest.mark.parametrize("password", ["s3cr3t/pa:ss@w%rd", "pw", "ein Wört", "."])
@pytest.mark.parametrize("doing", DOING)
def test_what_the_server_quotes_is_escaped_and_never_the_password(password: str, doing: Doing) -> None:
    database = parse_database_url(f"postgresql://app:{quote(password, safe='')}@db/shop", {})
    encoded = quote(password, safe="")
    lower = re.sub("%..", lambda match: match[0].lower(), encoded)
    spelled = {password, encoded, quote(password), lower}
    for each in spelled:
        with pytest.raises(DatabaseError) as caught, source.translate_errors(database, doing):
            raise asyncpg.RaiseError(f"no '{each}' \x1b[31m\u202e here\nmore")
        assert "(secret)" in str(caught.value)
        assert f"'{each}'" not in str(caught.value)
        assert str(caught.value).endswith(r"\x1b[31m\u202e here")
    with pytest.raises(DatabaseError) as caught, source.translate_errors(database, doing, ["from a file"]):
        raise asyncpg.RaiseError("x" * 296 + " from a file")
    assert "from a file" not in str(caught.value)
    assert "from" not in str(caught.value).partition("x" * 296)[2]

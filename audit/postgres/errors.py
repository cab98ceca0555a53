"""Errors of asyncpg and PostgreSQL translated into `DatabaseError`, each with what to do about it.

One table by SQLSTATE, one by the words of poolers, one by Python type; each ends in a row for everything else. Server
messages are quoted (they may be in any language, so nothing is read from them but from poolers, who speak English).
"""

import os
import re
import socket
import ssl
from typing import NamedTuple

from audit.errors import DatabaseError
from audit.model.sql import place_in
from audit.model.tables import Tables
from audit.model.text import escape_controls, shortened

URL_SETTING = "--database-url (DATABASE_URL)"


class Message(NamedTuple):
    """The sentence is "database LABEL " + `what` + what the server or the system said."""

    what: str
    next_step: str


_UNREACHABLE = Message(
    "cannot be reached",
    f"Check host and port in {URL_SETTING}, and that the server runs and lets this machine in "
    "(firewall, VPN, allow list).",
)
_UNKNOWN_HOST = Message(
    "cannot be reached: its host name is not known", f"Check the host in {URL_SETTING} and this machine's DNS."
)
_TIMEOUT = Message(
    "did not answer in time",
    "Check that host and port are right and no firewall drops the packets; then try again, or raise "
    "--statement-timeout or the URL's connect_timeout.",
)
_PASSWORD = Message(
    "refuses user or password",
    f"Check user and password in {URL_SETTING}; special characters in them have to be percent-encoded.",
)
_NOT_LET_IN = Message(
    "does not let this user in from here",
    f"Check the user in {URL_SETTING}; where the server speaks of encryption or SSL, add sslmode=require to the URL.",
)
_NO_DATABASE = Message("does not exist", f"Check the name after the last slash of {URL_SETTING}.")
_NO_TLS = Message(
    "does not offer TLS, which sslmode demands",
    "Ask for the server's TLS to be turned on; only on a network you trust set sslmode=prefer in the URL.",
)
_NEEDS_TLS = Message(
    "takes connections with TLS only", "Add sslmode=require, or better sslmode=verify-full, to the URL."
)
_CERTIFICATE = Message(
    "shows a certificate that cannot be trusted",
    "Name the authority's certificate in the URL with sslrootcert=FILE (or sslrootcert=system for a public one), and "
    "use the very host name that the certificate is for.",
)
_TLS = Message("and this machine could not agree on TLS", "Check sslmode, sslrootcert, sslcert and sslkey in the URL.")
_FULL = Message("has no connection left", "Try again later, or use the pooler's URL; the audit needs one connection.")
_DENIED = Message(
    "does not let this role read what the audit needs",
    "Have an owner run: GRANT SELECT ON {tables} TO <role>; and GRANT USAGE on their schema.",
)
_ROW_SECURITY = Message(
    "would hide rows from this role: row-level security is on",
    "Use a role with BYPASSRLS, or the tables' owner; otherwise users would be missing from the report unnoticed.",
)
_CANCELED = Message(
    "ended a query, most often because it took too long",
    "Try again when the database is less busy, or raise --statement-timeout (SYNC_AUDIT_STATEMENT_TIMEOUT).",
)
_LOCKED = Message(
    "has locked a table that the audit needs",
    "Somebody changes the table right now (a migration?): try again when that is over.",
)
_NO_TABLE = Message(
    "has not the tables or columns that the audit needs",
    "Check that the URL names the right database; schema=NAME in the URL chooses another schema.",
)
_GONE = Message(
    "closed the connection", "Try again; if it happens again, ask what ends connections: restart, pooler, limit."
)
_NOT_NOW = Message(
    "does not take connections at the moment", "It is starting, stopping or failing over: try again soon."
)
_REPLICA = Message("dropped the query in favour of replication", "Try again, or use the primary server's URL.")
_POOLER = Message(
    "is behind a pooler that could not serve us",
    "Look at the pooler's log, or use the URL that leads to the server directly.",
)
_PARAMETER = Message(
    "is behind a pooler that refuses a parameter of the URL",
    f"Remove that parameter from {URL_SETTING}, or list it in the pooler's ignore_startup_parameters.",
)
_READ_ONLY = Message(
    "takes no changes: it is read-only",
    f"Name the primary server in {URL_SETTING}, and a role whose default_transaction_read_only is off.",
)
_REFUSED = Message(
    "refuses a change",
    "A constraint or trigger of the table, or the length of a column, stands against it: ask who looks after them.",
)
_RESOURCES = Message(
    "has run out of memory, disk space or another resource", "Try again later; tell who runs the server."
)
_SOCKET = Message(
    "cannot be reached through its socket",
    f"Check the directory in host=... of {URL_SETTING}, its permissions, and that the server runs.",
)
_ROOTS = Message(
    "cannot be used with these settings",
    f"Correct {URL_SETTING}; sslmode=verify-full needs sslrootcert=FILE, or sslrootcert=system for a public authority.",
)
_NOT_TEXT = Message(
    "holds or sent text that is not valid in its encoding",
    "Check the server's encoding (it should be UTF8), and the host in the URL.",
)
_PROTOCOL = Message("does not speak as PostgreSQL does", f"Check that host and port in {URL_SETTING} are PostgreSQL's.")
_OTHER = Message("could not be read", "Run `sync-audit doctor`; if this stays, report it with the text above.")
_BY_STATE = {
    "08": _GONE,
    "08001": _UNREACHABLE,
    "08004": _NOT_LET_IN,
    "08P01": _PROTOCOL,
    "22001": _REFUSED,
    "22021": _NOT_TEXT,
    "22P05": _NOT_TEXT,
    "23": _REFUSED,
    "25006": _READ_ONLY,
    "25P03": _GONE,
    "25P04": _GONE,
    "28": _NOT_LET_IN,
    "28P01": _PASSWORD,
    "3D000": _NO_DATABASE,
    "40001": _REPLICA,
    "42501": _DENIED,
    "42703": _NO_TABLE,
    "42P01": _NO_TABLE,
    "3F000": _NO_TABLE,
    "53": _RESOURCES,
    "53300": _FULL,
    "54": _RESOURCES,
    "55P03": _LOCKED,
    "57014": _CANCELED,
    "57P": _GONE,
    "57P03": _NOT_NOW,
    "P0001": _REFUSED,
}
"""SQLSTATE, or how it begins (the longest counts) -> message."""
# PgBouncer, Supavisor and Neon's proxy say everything with 08P01 or XX000.
_BY_WORDS = tuple(
    (re.compile(words, re.IGNORECASE), message)
    for words, message in (
        ("row-level security", _ROW_SECURITY),
        ("(unsupported|unknown|unrecognized) .*parameter", _PARAMETER),
        ("ssl required|tls required|connection is insecure", _NEEDS_TLS),
        ("no such database|database .* does not exist", _NO_DATABASE),
        ("auth.* failed|no such user|wrong password|tenant or user not found|password", _PASSWORD),
        ("no more connections|max.?client|too many|remaining connection slots|pool.* full", _FULL),
        ("shutting down|server login|cannot connect to server|server conn|query_wait_timeout", _POOLER),
        ("pgbouncer|pooler|client_login_timeout|endpoint", _POOLER),
    )
)
_WORDED = ("08P01", "XX000", "42501")
_BY_TYPE: tuple[tuple[type[BaseException], Message], ...] = (
    (ssl.SSLCertVerificationError, _CERTIFICATE),
    (ssl.SSLError, _TLS),
    (socket.gaierror, _UNKNOWN_HOST),
    (TimeoutError, _TIMEOUT),
    (ConnectionRefusedError, _UNREACHABLE),
    (ConnectionResetError, _GONE),
    (ConnectionAbortedError, _GONE),
    (BrokenPipeError, _GONE),
    (FileNotFoundError, _SOCKET),
    (PermissionError, _SOCKET),
    (OSError, _UNREACHABLE),
    (UnicodeError, _NOT_TEXT),
)
_BY_NAME = {
    "ClientConfigurationError": _ROOTS,
    "TargetServerAttributeNotMatched": Message(
        "has no server of the kind that target_session_attrs asks for", "Change or drop that parameter of the URL."
    ),
    "ProtocolError": _PROTOCOL,
    "UnsupportedServerFeatureError": _PROTOCOL,
}
"""asyncpg's own, which have no SQLSTATE; by name, so that asyncpg need not be imported here."""


def database_error(error: BaseException, label: str, tables: Tables) -> DatabaseError:
    """`error` in words for a person, to be raised `from` it."""
    quoted = _first_line(error)
    if (keys := tables.own_sql_keys) and _is_about_values(error):
        named = keys[0] if len(keys) == 1 else f"one of {', '.join(keys)}"
        return DatabaseError(f"database {label}: {named} fails for a row: {quoted}", OWN_SQL_STEP)
    message = _message(error)
    return DatabaseError(
        f"database {label} {message.what}{': ' if quoted else ''}{quoted}",
        message.next_step.replace("{tables}", f"{tables.users.sql}, {tables.user_models.sql}"),
    )


OWN_SQL_STEP = "Correct it in the config file: one SELECT, condition or expression that only reads."


def own_sql_error(error: BaseException, label: str, key: str, sql: str, before: int) -> DatabaseError:
    """`error` about the text `sql` of the config file's `key`, with `before` characters in front of it."""
    place = getattr(error, "position", None)
    where = ""
    if place is not None and 0 < int(place) - before <= len(sql):
        where = place_in(sql, int(place) - before - 1)
    hint = getattr(error, "hint", None)
    words = _first_line(error) + (f" ({shortened(escape_controls(str(hint)), 200)})" if hint else "")
    if getattr(error, "sqlstate", None) == "25006":
        words = f"it writes, and an audit only reads ({words})"
    return DatabaseError(f"database {label}: {key}{escape_controls(where)}: {words}", OWN_SQL_STEP)


def _is_about_values(error: BaseException) -> bool:
    """Whether an expression could not be made of what is in a row, or gave more than one value."""
    state = str(getattr(error, "sqlstate", None) or "")
    return state[:2] in {"21", "22", "25"} and state not in {"22001", "22021", "22P05", "25P03", "25P04"}


def is_about_a_row(error: BaseException | None) -> bool:
    """Whether the database refuses the values of one row, so that another row may do."""
    return str(getattr(error, "sqlstate", None) or "")[:2] in ("22", "23", "P0")


def is_about_bytes(error: BaseException | None) -> bool:
    """Whether there are bytes that are no text where the server, or the driver, has looked for one."""
    return isinstance(error, UnicodeDecodeError) or getattr(error, "sqlstate", None) == "22021"


def row_security_error(label: str, table: str) -> DatabaseError:
    """The error for a table whose row-level security would hide rows from this role."""
    return DatabaseError(f"database {label} {_ROW_SECURITY.what} for table {table}", _ROW_SECURITY.next_step)


def _message(error: BaseException) -> Message:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        if state in _WORDED:
            for words, message in _BY_WORDS:
                if words.search(_text(error)):
                    return message
        known = (state[:length] for length in (5, 3, 2) if state[:length] in _BY_STATE)
        return _BY_STATE.get(next(known, ""), _OTHER)
    # asyncpg's words where the server answers "N" to the request for TLS, and where it went away between two queries.
    if type(error) is ConnectionError and "SSL" in _text(error):
        return _NO_TLS
    if type(error).__name__ == "InterfaceError" and "closed" in _text(error):
        return _GONE
    if type(error).__name__ == "InternalClientError" and "cannot switch to state" in _text(error):
        return _GONE  # what asyncpg says where the connection is cut at the very moment at which it asks
    for kind in type(error).__mro__:
        if kind.__name__ in _BY_NAME and kind.__module__.startswith("asyncpg"):
            return _BY_NAME[kind.__name__]
    return next((message for kind, message in _BY_TYPE if isinstance(error, kind)), _OTHER)


def _first_line(error: BaseException) -> str:
    """The first line of the error's own text, without anything that acts on a terminal."""
    if isinstance(error, UnicodeError):
        return error.reason if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else ""
    if isinstance(error, OSError) and (error.errno or 0) > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno or 0).lower()  # `strerror` is a text of asyncio's, with the address once more
    text = getattr(error, "strerror", None) or _text(error)
    return shortened(escape_controls(str(text).strip().partition("\n")[0]), 300)


def _text(error: BaseException) -> str:
    """Without what `str` adds to it: asyncpg's advice on PgBouncer is not ours."""
    return str(error.args[0]) if error.args else ""

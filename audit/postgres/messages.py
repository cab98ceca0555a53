"""What PostgreSQL, its poolers and the system say, and what to do about it: tables of sentences.

By SQLSTATE, and by what was being done: the same error means one thing while rows are read and another while they are
changed. By the words of poolers, and by Python type. Each table ends in a row for everything else.
"""

import re
import socket
import ssl
from typing import Literal, NamedTuple

URL_SETTING = "--database-url (DATABASE_URL)"
Doing = Literal["connecting", "reading", "writing"]


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
PASSWORD = Message(
    "refuses user or password",
    f"Check user and password in {URL_SETTING}; special characters in them have to be percent-encoded.",
)
_NOT_LET_IN = Message(
    "does not let this user log in from this machine",
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
    "has a certificate that is not trusted",
    "Name the authority's certificate in the URL with sslrootcert=FILE (or sslrootcert=system for a public one), and "
    "use the very host name that the certificate is for.",
)
_TLS = Message("and this machine could not agree on TLS", "Check sslmode, sslrootcert, sslcert and sslkey in the URL.")
_FULL = Message(
    "has no free connection", "Try again later, or use the pooler's URL; the audit needs only one connection."
)
_NO_CONNECT = Message(
    "does not let this role connect to it", "Have an owner run: GRANT CONNECT ON DATABASE <name> TO <role>;"
)
_DENIED = Message(
    "does not let this role read what the audit needs",
    "Have an owner run: GRANT SELECT ON {tables} TO <role>; and GRANT USAGE on their schema. "
    "Where the text above names something else, that is behind a view, and needs a grant as well.",
)
_DENIED_TO_WRITE = Message(
    "does not let this role do what the change needs",
    "Have an owner grant what the text above names. Where that is another table or a function, a trigger needs it: "
    "grant it as well, or make the trigger's function SECURITY DEFINER.",
)
ROW_SECURITY = Message(
    "would hide rows from this role: row-level security is on",
    "Use a role with BYPASSRLS, or the tables' owner; otherwise users would be missing from the report unnoticed.",
)
_CANCELED = Message(
    "ended a query, most often because it took too long",
    "Try again when the database is less busy, or raise --statement-timeout (SYNC_AUDIT_STATEMENT_TIMEOUT).",
)
_CANCELED_WRITE = Message(
    "ended a change, most often because it took too long",
    "Try again when the database is less busy, or raise --statement-timeout (SYNC_AUDIT_STATEMENT_TIMEOUT).",
)
_DEADLOCK = Message(
    "ended a deadlock between this change and somebody else's", "Somebody else was changing the same rows."
)
_DEADLOCK_READ = Message("ended a deadlock, in which the audit's query was", "Try again.")
_CONFLICT = Message(
    "could not make the change, because somebody else was changing the same rows", "It will probably work next time."
)
_LOCKED = Message(
    "has locked a table that the audit needs",
    "Somebody is changing the table (a migration?): try again after that.",
)
_NO_TABLE = Message(
    "does not have the tables or columns that the audit needs",
    "Check that the URL names the right database; schema=NAME in the URL chooses another schema.",
)
_GONE = Message(
    "closed the connection", "Try again; if it happens again, ask what ends connections: restart, pooler, limit."
)
_NOT_NOW = Message(
    "does not take connections at the moment", "It is starting, stopping or failing over: try again soon."
)
_REPLICA = Message("cancelled the query because of replication", "Try again, or use the primary server's URL.")
_POOLER = Message(
    "is behind a pooler that could not serve us",
    "Look at the pooler's log, or use the URL that leads to the server directly.",
)
_PARAMETER = Message(
    "is behind a pooler that refuses a parameter of the URL",
    f"Remove that parameter from {URL_SETTING}, or list it in the pooler's ignore_startup_parameters.",
)
_WRITES = Message(
    "runs something that writes when it is read, and an audit only reads",
    "A view or a function behind the tables writes: have the audit read something that does not.",
)
_READ_ONLY = Message(
    "is read-only",
    f"Name the primary server in {URL_SETTING}, and a role whose default_transaction_read_only is off.",
)
_REFUSED = Message(
    "refuses a change",
    "A constraint or trigger of the table, or the length of a column, prevents it: ask its owner.",
)
_FAILS = Message(
    "cannot read a row",
    "A view, a function or a cast behind the tables fails for that row: ask its owner.",
)
_SYSTEM = Message(
    "has trouble with its own files or system", "Tell the server's administrator: disk, file system, or damaged data."
)
_INTERNAL = Message(
    "has an error of its own", "Try again; if the error stays, tell the server's administrator, with the text above."
)
_NO_EQUIVALENT = Message(
    "holds a character that UTF-8 lacks, or was asked for one that its encoding lacks",
    "The text above names the two encodings. A database in UTF8 has all characters.",
)
_FOREIGN_TABLE = Message("cannot read a foreign table", "Ask the administrator of the foreign server behind the table.")
_OLD_SNAPSHOT = Message(
    "has removed old row versions that the audit was still reading",
    "Try again, or raise the server's old_snapshot_threshold.",
)
_NOT_UNDERSTOOD = Message(
    "does not understand a query of the audit's, or cannot do what it asks for",
    "See with `sync-audit doctor` that the server is a PostgreSQL. If it is, report this with the text above.",
)
_TORN = Message(
    "has lost the audit's transaction between two queries",
    "A pooler that changes servers after each statement does that: have it pool transactions or sessions, or use the "
    "URL that leads to the server directly.",
)
_SILENT = Message(
    "did not answer a query in time",
    "Try again when database and network are less busy, or raise --statement-timeout (SYNC_AUDIT_STATEMENT_TIMEOUT).",
)
_RESOURCES = Message(
    "has run out of memory, disk space or another resource", "Try again later; tell the server's administrator."
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
_REPORT = "Run `sync-audit doctor`; if this stays, report it with the text above."
_OTHER: dict[Doing, Message] = {
    "connecting": Message("could not be connected to", _REPORT),
    "reading": Message("could not be read", _REPORT),
    "writing": Message("could not be changed", _REPORT),
}
_BY_STATE = {
    "08": _GONE,
    "08001": _UNREACHABLE,
    "08004": _NOT_LET_IN,
    "08P01": _PROTOCOL,
    "0A": _NOT_UNDERSTOOD,
    "20": _FAILS,
    "21": _FAILS,
    "22": _FAILS,
    "22021": _NOT_TEXT,
    "22P05": _NO_EQUIVALENT,
    "23": _FAILS,
    "24": _TORN,
    "25": _TORN,
    "25006": _WRITES,
    "25P03": _GONE,
    "25P04": _GONE,
    "26": _TORN,
    "28": _NOT_LET_IN,
    "28P01": PASSWORD,
    "2F": _FAILS,
    "34": _TORN,
    "38": _FAILS,
    "39": _FAILS,
    "3D000": _NO_DATABASE,
    "3F000": _NO_TABLE,
    "40001": _REPLICA,
    "40P01": _DEADLOCK_READ,
    "42": _NOT_UNDERSTOOD,
    "42501": _DENIED,
    "42703": _NO_TABLE,
    "42P01": _NO_TABLE,
    "53": _RESOURCES,
    "53300": _FULL,
    "54": _RESOURCES,
    "55P03": _LOCKED,
    "57": _GONE,
    "57014": _CANCELED,
    "57P03": _NOT_NOW,
    "57P04": _NO_DATABASE,
    "58": _SYSTEM,
    "72": _OLD_SNAPSHOT,
    "HV": _FOREIGN_TABLE,
    "P0": _FAILS,
    "XX": _INTERNAL,
    "XX001": _SYSTEM,
    "XX002": _SYSTEM,
}
"""SQLSTATE, or how it begins (the longest counts) -> message."""
_BY_STATE_TOO: dict[Doing, dict[str, Message]] = {
    "connecting": {"42501": _NO_CONNECT},
    "reading": {},
    "writing": {
        **dict.fromkeys(("09", "20", "21", "22", "23", "27", "2F", "38", "39", "42", "44", "55", "P0"), _REFUSED),
        **dict.fromkeys(("3F000", "42703", "42P01"), _REFUSED),  # a trigger's: what the audit needs was there
        "25006": _READ_ONLY,
        "40": _CONFLICT,
        "40001": _CONFLICT,
        "40P01": _DEADLOCK,
        "42501": _DENIED_TO_WRITE,
        "55P03": _LOCKED,
        "57014": _CANCELED_WRITE,
    },
}
"""What comes before `_BY_STATE`, where it is as long."""
# PgBouncer, Supavisor and Neon's proxy say everything with 08P01 or XX000.
_BY_WORDS = tuple(
    (re.compile(words, re.IGNORECASE), message)
    for words, message in (
        ("row-level security", ROW_SECURITY),
        ("(unsupported|unknown|unrecognized) .*parameter", _PARAMETER),
        ("ssl required|tls required|connection is insecure", _NEEDS_TLS),
        ("no such database|database .* does not exist", _NO_DATABASE),
        ("auth.* failed|no such user|wrong password|tenant or user not found|password", PASSWORD),
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
_UNCHANGED = "Nothing of this batch was changed: the same command goes on from there."
_UNCLEAR = "Whether this batch was changed is not known: the same command finds it out, and goes on from there."


def message_for(error: BaseException, text: str, doing: Doing) -> Message:
    """What is said of `error`, whose own text is `text`."""
    message = _message(error, text, doing)
    if doing != "writing":
        return message
    return message._replace(next_step=f"{message.next_step} {_UNCLEAR if is_unclear(error) else _UNCHANGED}")


def is_unclear(error: BaseException) -> bool:
    """Whether the server may have committed what it was doing: it did not say, or its end came in between."""
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str) or state in ("25P03", "25P04", "40003"):
        return True
    return state[:2] in ("08", "57") and state != "57014"


def _message(error: BaseException, text: str, doing: Doing) -> Message:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return _by_state(state, text, doing)
    # asyncpg's words where the server answers "N" to the request for TLS, and where it went away between two queries.
    if type(error) is ConnectionError and "SSL" in text:
        return _NO_TLS
    if type(error).__name__ == "InterfaceError" and "closed" in text:
        return _GONE
    if type(error).__name__ == "InternalClientError" and "cannot switch to state" in text:
        return _GONE  # what asyncpg says where the connection is cut at the very moment at which it asks
    for kind in type(error).__mro__:
        if kind.__name__ in _BY_NAME and kind.__module__.startswith("asyncpg"):
            return _BY_NAME[kind.__name__]
    if doing != "connecting" and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return _SILENT if isinstance(error, TimeoutError) else _GONE  # there was a connection
    return next((message for kind, message in _BY_TYPE if isinstance(error, kind)), _OTHER[doing])


def _by_state(state: str, text: str, doing: Doing) -> Message:
    if state in _WORDED:
        for words, message in _BY_WORDS:
            if words.search(text) and (state != "42501" or message is ROW_SECURITY):
                return message
    for length in (5, 3, 2):
        for table in (_BY_STATE_TOO[doing], _BY_STATE):
            if state[:length] in table:
                return table[state[:length]]
    return _OTHER[doing]

"""Errors of asyncpg and PostgreSQL translated into `DatabaseError`, each with what to do about it.

Server messages are quoted (they may be in any language, so nothing is read from them but from poolers, who speak
English); what they mean is said by `audit.postgres.messages`.
"""

import os
import ssl
from collections.abc import Iterable

from audit.errors import DatabaseError
from audit.model.secrecy import Secrecy
from audit.model.sql import place_in
from audit.model.tables import Tables
from audit.model.text import escape_controls, shortened
from audit.postgres.messages import PASSWORD, ROW_SECURITY, Doing, is_unclear, message_for


def database_error(
    error: BaseException, label: str, tables: Tables, doing: Doing = "reading", secrets: Iterable[str] = ()
) -> DatabaseError:
    """`error`, met while `doing` that, in words for a person, to be raised `from` it; without any of the `secrets`."""
    quoted = _first_line(error, secrets)
    if doing == "reading" and (keys := tables.own_sql_keys) and _is_about_values(error):
        named = keys[0] if len(keys) == 1 else f"one of {', '.join(keys)}"
        return DatabaseError(f"database {label}: {named} fails for a row: {quoted}", OWN_SQL_STEP)
    message = message_for(error, _text(error), doing)
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


def may_have_changed(error: DatabaseError) -> bool:
    """Whether a change in which `error` was met may have been made all the same."""
    return error.__cause__ is not None and is_unclear(error.__cause__)


_OF_ONE_ROW = ("09", "22", "23", "27", "44", "P0")


def is_about_a_row(error: BaseException | None) -> bool:
    """Whether the database refuses the values of one row, so that another row may do."""
    return str(getattr(error, "sqlstate", None) or "")[:2] in _OF_ONE_ROW


def is_about_bytes(error: BaseException | None) -> bool:
    """Whether there are bytes that are no text where the server, or the driver, has looked for one."""
    return isinstance(error, UnicodeDecodeError) or getattr(error, "sqlstate", None) == "22021"


def is_about_password(error: BaseException | None) -> bool:
    """Whether server or pooler has refused the password, while connecting."""
    return error is not None and message_for(error, _text(error), "connecting") == PASSWORD


def row_security_error(label: str, table: str) -> DatabaseError:
    """The error for a table whose row-level security would hide rows from this role."""
    return DatabaseError(f"database {label} {ROW_SECURITY.what} for table {table}", ROW_SECURITY.next_step)


def _first_line(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The first line of the error's own text, without anything that acts on a terminal, and without secrets."""
    if isinstance(error, UnicodeError):
        return error.reason if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else ""
    if isinstance(error, OSError) and (error.errno or 0) > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno or 0).lower()  # `strerror` is a text of asyncio's, with the address once more
    text = getattr(error, "strerror", None) or _text(error)
    line = str(text).strip().partition("\n")[0]
    return shortened(escape_controls(Secrecy(secrets).cut(line)), 300)


def _text(error: BaseException) -> str:
    """Without what `str` adds to it: asyncpg's advice on PgBouncer is not ours."""
    return str(error.args[0]) if error.args else ""

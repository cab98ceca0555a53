r"""Who logs in, and with which password, where URL and service do not say: as libpq finds it out.

The user is PGUSER's, else the one that the system knows this process by. The password is PGPASSWORD's, else that of the
first line `host:port:database:user:password` of the password file that fits, in which `\` makes the next character
one like any other and `*` stands for anything (fe-connect.c, passwordFromFile).
https://www.postgresql.org/docs/18/libpq-pgpass.html
"""

import logging
import os
import pwd
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from audit.errors import SettingsError
from audit.model.place import SOCKETS
from audit.model.text import escape_controls
from audit.postgres.home import home_directory
from audit.postgres.messages import URL_SETTING
from audit.postgres.url import Database

log = logging.getLogger(__name__)


class Login(NamedTuple):
    """What `asyncpg.connect` is told, so that it looks for nothing itself."""

    user: str
    passwords: tuple[str, ...]
    """One for each host; "" where there is none."""
    file: str | None = None
    """Where they are from, where it is a password file."""

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


def find_login(database: Database, environ: Mapping[str, str] = os.environ) -> Login:
    """For each host of `database`. Raises SettingsError where there is no user, or a password cannot be sent."""
    user = database.user or environ.get("PGUSER") or _own_name()
    password = database.password or environ.get("PGPASSWORD")
    if password:
        return Login(user, (password,) * len(database.hosts))
    path = _password_file(database, environ)
    lines = list(_lines(path)) if path else []
    wanted = zip(database.hosts, database.ports, strict=True)
    found = [_password(lines, (host, str(port), database.name, user)) for host, port in wanted]
    try:
        passwords = tuple((each or b"").decode() for each in found)
    except UnicodeDecodeError:
        raise SettingsError(
            f"the password in {_shown(path)} is not UTF-8 text, and is sent as such",
            "Write the file in UTF-8, or set a password of ASCII.",
        ) from None  # the error quotes what it could not decode
    return Login(user, passwords, _shown(path) if any(found) else None)


def _own_name() -> str:
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        raise SettingsError(
            f"{URL_SETTING} names no user, and local user with ID {number} does not exist",
            "Name the user in the URL (postgresql://USER@host/name) or in PGUSER.",
        ) from None


def _password_file(database: Database, environ: Mapping[str, str]) -> Path | None:
    given = dict(database.others).get("passfile") or environ.get("PGPASSFILE")
    if given:
        return Path(given)
    home = home_directory(environ)
    return home and home / ".pgpass"


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of the file; none, as in libpq, where it cannot be read or others can read it as well."""
    with suppress(OSError, ValueError):  # ValueError: a NUL in the name
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            log.warning("the password file %s is not used: it is not a plain file", _shown(path))
        elif kind & (stat.S_IRWXG | stat.S_IRWXO):
            log.warning("the password file %s is not used: group or others may access it (chmod 600 it)", _shown(path))
        else:
            yield from (line.rstrip(b"\r\n") for line in path.read_bytes().split(b"\n"))


def _password(lines: Sequence[bytes], wanted: tuple[str, str, str, str]) -> bytes | None:
    host, *rest = (text.encode("utf-8", "surrogateescape") for text in wanted)
    hosts = {host, b"localhost"} if wanted[0] in SOCKETS else {host}  # as in libpq, for no other directory
    for line in lines:
        if line.startswith(b"#"):
            continue
        fields = list(_fields(line))
        if len(fields) > len(wanted) and all(
            raw == b"*" or meant in ({each} if number else hosts)
            for number, ((raw, meant), each) in enumerate(zip(fields, (host, *rest), strict=False))
        ):
            return fields[len(wanted)][1]
    return None


def _fields(line: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What stands between colons, as it is written and as it is meant."""
    start, meant, place = 0, bytearray(), 0
    while place < len(line):
        if line[place : place + 1] == b":":
            yield line[start:place], bytes(meant)
            start, meant = place + 1, bytearray()
        else:
            place += line[place : place + 1] == b"\\" and place + 1 < len(line)
            meant += line[place : place + 1]
        place += 1
    yield line[start:], bytes(meant)


def _shown(path: Path | None) -> str:
    return escape_controls(str(path))

"""Connection services: parameters of libpq's in `pg_service.conf`, by the name in `service=` or PGSERVICE.

Read as libpq reads them (fe-connect.c, parseServiceInfo and parseServiceFile): the user's file before the system's,
what was said before wins over what the file says, and of a name twice in a service the first.
https://www.postgresql.org/docs/18/libpq-pgservice.html
"""

import errno
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from audit.errors import SettingsError
from audit.files import foreign_text
from audit.model.text import escape_controls, os_cause
from audit.postgres.home import home_directory

_SYSTEM = ("/etc/postgresql-common", "/etc/sysconfig/pgsql", "/usr/local/pgsql/etc")
"""Where the libpq of Debian, of Red Hat and of PostgreSQL's own sources looks without PGSYSCONFDIR."""

_LONGEST = 1 << 20
"""Bytes. A longer file holds no services."""


def service_parameters(
    explicit: Mapping[str, str], environ: Mapping[str, str], known: Collection[str]
) -> dict[str, str]:
    """Parameters of the service that `explicit` or PGSERVICE names; none without a service.

    Raises SettingsError where there is no such service, or a line of it is not to be used. No line is ever quoted: it
    may be a password.
    """
    name = explicit.get("service") or environ.get("PGSERVICE")
    if not name:
        return {}
    files = list(_files(explicit.get("servicefile") or environ.get("PGSERVICEFILE"), environ))
    for path, is_needed in files:
        if not is_needed and not _is_there(path):
            continue
        try:
            text = _text(path, may_be_pipe=is_needed)
        except (OSError, ValueError) as error:
            cause = os_cause(error).lower() if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(
                f"service {_shown(name)}: cannot read {_shown(str(path))}: {cause}",
                "Check PGSERVICEFILE, and the rights of the file.",
            ) from None  # an error of decoding quotes what it could not decode
        found = _section(text, name, str(path), known)
        if found is not None:
            return found
    looked = ", ".join(dict.fromkeys(_shown(str(path)) for path, _ in files))
    raise SettingsError(
        f"service {_shown(name)} is in none of the files that were looked at: {looked}",
        "Check the name in PGSERVICE or in service= of the URL; PGSERVICEFILE names another file.",
    )


def _text(path: Path, *, may_be_pipe: bool) -> str:
    text = foreign_text(path, _LONGEST, pipes=may_be_pipe)
    if text is None:
        raise OSError(errno.EFBIG, f"it has more than {_LONGEST:,} bytes")
    return text


def _is_there(path: Path) -> bool:
    """As far as can be seen: in a home directory of somebody else's nothing can."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _shown(text: str) -> str:
    return escape_controls(text)


def _files(given: str | None, environ: Mapping[str, str]) -> Iterator[tuple[Path, bool]]:
    """Where services are looked for, and whether the file has to be there."""
    if given:
        yield Path(given), True
    elif home := home_directory(environ):
        yield home / ".pg_service.conf", False
    system = environ.get("PGSYSCONFDIR")
    for folder in (system,) if system else _SYSTEM:
        yield Path(folder, "pg_service.conf"), False


def _section(text: str, name: str, path: str, known: Collection[str]) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r\v\f")
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                break
            if line.startswith(f"[{name}]"):
                found = {}
        elif found is not None:
            key, value = _parameter(line, known, f"service {_shown(name)} in {_shown(path)}, line {number}")
            found.setdefault(key, value)
    return found


def _parameter(line: str, known: Collection[str], place: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if line.startswith("ldap"):
        _refuse(place, "is looked up in LDAP, which the audit cannot do", "Write host, port and dbname there.")
    if not equals:
        _refuse(place, "has no = in it", "Write NAME=VALUE, without blanks around the =.")
    if key in ("service", "servicefile"):
        _refuse(place, "names another service, which libpq does not take either", "Remove that line.")
    if key not in known:
        _refuse(place, "has a name that is no parameter of libpq", "Write NAME=VALUE, without blanks around the =.")
    return key, value


def _refuse(place: str, problem: str, next_step: str) -> NoReturn:
    raise SettingsError(f"{place}: {problem}", next_step)

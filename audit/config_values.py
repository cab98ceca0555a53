"""Values in a config file: what TOML gives -> what the option of that name would give."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from audit.dsn import parse
from audit.errors import SettingsError

Kind = Literal["text", "texts", "url", "number", "flag", "count", "path", "outputs"]
Keys = Mapping[str, Kind | tuple[str, ...]]
"""What kind of value each key takes; or one of these words."""

SHARED = "Config files are shared and committed. Set REPLICATE_API_TOKEN, or name a file in token-file."
"""Why there is no secret in them, and what to do instead."""

_TOKEN = re.compile(r"\br8_[A-Za-z0-9]{8}")

_WANTED: Mapping[Kind, str] = {
    "text": "a text in quotes",
    "texts": "a text in quotes or a list of them",
    "url": "a text in quotes",
    "number": "a number",
    "flag": "true or false",
    "count": "0, 1 or 2",
    "path": "a path in quotes",
    "outputs": "[FORMAT=]PATH in quotes or a list of them",
}


def read(key: str, kind: Kind | tuple[str, ...], value: object, folder: Path | None) -> object:
    """`value` as the option called `key` would give it; relative paths are below `folder`, where there is one.

    Raises SettingsError, which names the key and never shows a value: it might be a secret.
    """
    given: object
    if isinstance(kind, tuple):
        given, wanted = value if value in kind else None, " or ".join(f'"{word}"' for word in kind)
    else:
        given, wanted = _READ[kind](value, folder), _WANTED[kind]
    if given is None:
        raise SettingsError(f"{key} must be {wanted}{_instead(value)}")
    if any(_TOKEN.search(str(each)) for each in (given if isinstance(given, tuple) else (given,))):
        raise SettingsError(f"{key} holds an API token, which has no place in a config file", SHARED)
    return given


def _instead(value: object) -> str:
    """What kind of value it is. Never the value itself: it may be a secret."""
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    kind = names.get(type(value), "" if isinstance(value, str) else "a date or time")
    return f", not {kind}" if kind else ""


def _text(value: object, folder: Path | None = None) -> str | None:  # noqa: ARG001 - one of `_READ`
    return value if isinstance(value, str) else None


def _texts(value: object, folder: Path | None = None) -> tuple[str, ...] | None:  # noqa: ARG001 - one of `_READ`
    listed = value if isinstance(value, list) else [value]
    texts = tuple(each for each in listed if isinstance(each, str))
    return texts if len(texts) == len(listed) else None


def _url(value: object, _folder: Path | None) -> str | None:
    """Raises SettingsError where it holds a password; whether it is right is found out when it is used."""
    if not isinstance(value, str):
        return None
    database = parse(value)
    if database.password is not None or "sslpassword" in dict(database.tls):
        raise SettingsError(
            "database-url holds a password, which has no place in a config file",
            "Config files are shared and committed. Leave it out and set PGPASSWORD or a ~/.pgpass, or set the whole "
            "URL in DATABASE_URL.",
        )
    return value


def _number(value: object, _folder: Path | None) -> str | None:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _flag(value: object, _folder: Path | None) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object, _folder: Path | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2 else None


def _path(value: object, folder: Path | None) -> str | None:
    """There is no shell to see to a ~, so it is seen to here."""
    if not isinstance(value, str):
        return None
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # there is no such user, so it may as well be a name
        path = Path(value)
    return str(folder / path) if folder and value else str(path) if value else ""


def _outputs(value: object, folder: Path | None) -> tuple[str, ...] | None:
    listed = _texts(value)
    return None if listed is None else tuple(_output(each, folder) for each in listed)


def _output(given: str, folder: Path | None) -> str:
    name, equals, path = given.partition("=")
    if not equals or re.search(r"[/.\\]", name):
        return str(_path(given, folder)) if given != "-" else given
    return f"{name}={_path(path, folder) if path != '-' else path}"


_READ: Mapping[Kind, Callable[[object, Path | None], object]] = {
    "text": _text,
    "texts": _texts,
    "url": _url,
    "number": _number,
    "flag": _flag,
    "count": _count,
    "path": _path,
    "outputs": _outputs,
}

"""Files in TOML that hold for a directory: looked for in it and above it, and read."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.errors import SettingsError

LARGEST = 1_000_000
"""Bytes. A larger file is something else."""

_WHERE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is called in messages, and the options about it."""

    what: str
    option: str
    """Names another one."""
    without: str
    """Goes on without any."""

    @property
    def step(self) -> str:
        """What to do about one that is wrong."""
        return f"Correct it, name another one with {self.option}, or go on without: {self.without}"


def above(start: Path) -> Iterator[tuple[Path, Path]]:
    """`start` and the directories above it, each also as it is called from `start`; one with `.git` is the last."""
    for depth, folder in enumerate((start, *start.parents)):
        yield folder, Path(*[".."] * depth)
        if (folder / ".git").exists():
            return


def is_there(path: Path) -> bool:
    """Whether there is such a file, for all that can be seen."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parsed(path: Path, kind: Kind) -> Mapping[str, object]:
    """What the file says. Raises SettingsError, which names it and, where TOML is broken, the line."""
    return parsed_text(content(path, kind), path, kind)


def content(path: Path, kind: Kind) -> str:
    """The text of the file. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise SettingsError(f"{kind.what} {path} is larger than {LARGEST:,} bytes", kind.step)
        return raw.decode("utf-8")
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise SettingsError(f"{kind.what} {path} cannot be read: {cause}", kind.step) from error
    except UnicodeError as error:
        raise SettingsError(f"{kind.what} {path} is no text in UTF-8", kind.step) from error


def parsed_text(text: str, path: Path, kind: Kind) -> Mapping[str, object]:
    """The same for what stands in it."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError(f"{kind.what} {path} is nested too deeply", kind.step) from error
    except ValueError as error:  # also for a number of more digits than Python reads
        where = _WHERE.search(str(error))
        place = f", line {where[1]}, column {where[2]}" if where else ""
        raise SettingsError(f"{kind.what} {path}{place}: {_WHERE.sub('', str(error))}", kind.step) from error


def check_owner(path: Path, kind: Kind) -> None:
    """A file that was found counts only if not anybody may have put it there; one that is named always does."""
    shared = path.parent.stat().st_mode & 0o002
    if shared and path.stat().st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{kind.what} {path} belongs to another user, and everybody may write into its directory",
            f"If you trust it: {kind.option} {path}; else go on without: {kind.without}",
        )

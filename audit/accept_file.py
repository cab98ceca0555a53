"""Finds, reads and writes the file of acceptances.

`sync-audit-accept.toml` in the working directory or the nearest one above it; a directory with `.git` is the last one
that is looked at.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from audit.accept_edit import block, edited
from audit.accept_entries import entries
from audit.errors import AuditError, SettingsError
from audit.models import Acceptance, Acceptances
from audit.toml_file import Kind, above, check_owner, content, is_there, parsed_text

NAME = "sync-audit-accept.toml"
KIND = Kind("file of acceptances", "--accept", "--no-accept")


def read(path: Path) -> Acceptances:
    """What the file accepts. Raises SettingsError, which names file, entry and key, or the line."""
    return Acceptances(file=str(path), entries=_entries(content(path, KIND), path))


def find(start: Path) -> Path | None:
    """The file that holds for the directory `start`, as it is called from there. Raises SettingsError."""
    for folder, called in above(start):
        path = folder / NAME
        if is_there(path):
            check_owner(path, KIND)  # it could hide anything
            return called / NAME
    return None


def write(path: Path, entry: Acceptance, names: frozenset[str]) -> Acceptance | None:
    """Put `entry` into the file, in the place of one for the same reason and one of `names`, which is returned.

    The rest of the file stays as it is, comments and order too. Raises SettingsError, with the file as it was, where
    it cannot be read as `read` does, and AuditError where it cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        before = content(target, KIND) if target.exists() else None
        there = _entries(before, path) if before is not None else ()
    except SettingsError as error:
        if error.next_step == KIND.step:
            error.next_step = "Correct it, or name another one with --file."
        raise
    after, wanted, replaced = edited(before, there, entry, names)
    if _entries(after, path) != wanted:
        raise SettingsError(
            f"{path} is written in a way that this command cannot edit", f"Add by hand:\n{block(entry)}"
        )
    try:
        _replace(target, after)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise AuditError(f"{path} cannot be written: {cause}", "Name another file with --file.") from error
    return replaced


def _entries(text: str, path: Path) -> tuple[Acceptance, ...]:
    document = parsed_text(text, path, KIND)
    try:
        return entries(document)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}", error.next_step or KIND.step) from error


def _replace(target: Path, text: str) -> None:
    """All of it or nothing; who may read it stays the same."""
    fd, name = tempfile.mkstemp(prefix=".sync-audit-", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _mode(target: Path) -> int:
    """That of the file, or what a new one would have."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

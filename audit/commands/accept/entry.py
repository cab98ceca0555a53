"""The entry that `sync-audit accept` writes: what was typed, and what that leaves open from a run file."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from audit.commands.accept import file as accept_file
from audit.errors import SettingsError
from audit.findings.acceptance import ACCEPTABLE, folded, running_version
from audit.model.codes import LatestPer, Reason
from audit.model.findings import Acceptance, AuditedUser
from audit.model.ids import model_key
from audit.model.lines import told_apart
from audit.model.text import escape_controls
from audit.model.users import TRIMMED
from audit.model.who import KEPT, matching_users
from audit.runfile import RunFile

_LISTED = 5
"""Ids of users among whom one has to be chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was typed; None where an option was not."""

    who: str
    because: str
    until: date
    model: str | None = None
    """Which of the user's models it is about."""
    reasons: tuple[Reason, ...] = ()
    """Two where the completed row needs attention beside a newer one."""
    version: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenEntry:
    """An entry that is in the file now."""

    entry: Acceptance
    replaced: Acceptance | None
    """The entry whose place it has taken."""
    new_file: bool


def write_entry(arguments: Arguments, run: Path | None, file: Path) -> WrittenEntry:
    """Accept the finding on one user in `file`; the reason and the version are those of `run` unless they were typed.

    Raises SettingsError where there is nothing to accept, RunFileError where the run file cannot be read, and what
    `file.write` raises.
    """
    found = _found(run, arguments) if run else None
    user = found.user if found else None
    if user and run:
        _check(user, arguments.reasons, run)
    reasons = user.finding.reasons if user else arguments.reasons
    if not reasons:
        raise SettingsError(
            "no reason: --reason is not given, and there is no run file to look it up in",
            "Add --run RUN, or --reason CODE; all reasons: sync-audit explain",
        )
    recorded = running_version(user) if user else None
    training = user.record.training_id if user and user.finding.unfinished else None
    entry = Acceptance(
        user=_user(user, arguments.who),
        model=arguments.model or (found.model if found else None),
        reason=reasons[0],
        also=reasons[1] if len(reasons) > 1 else None,
        training=(training or "").strip() or None,
        version=arguments.version or ((recorded or "").strip() or None),
        because=arguments.because,
        until=arguments.until.isoformat(),
        author=arguments.author,
    )
    names = {arguments.who, *((user.record.user_id, user.record.email or "") if user else ())}
    new = not os.path.lexists(file)
    return WrittenEntry(entry, accept_file.write(file, entry, frozenset(map(folded, filter(None, names)))), new)


class _Found(NamedTuple):
    """The line of the run that was meant."""

    user: AuditedUser
    model: str | None
    """Where each model or row has a line: the model's id, trimmed."""


def _found(run: Path, arguments: Arguments) -> _Found:
    who = arguments.who
    with RunFile.open(run) as run_file:
        run_file.check_integrity()
        latest_per, shard = run_file.info.latest_per, run_file.info.shard
        users = matching_users(run_file.users(), who, latest_per)
    ids = {user.record.user_id for user in users}
    if arguments.model is not None and len(ids) == 1:
        users = _with_model(users, arguments.model, run)
    if len(ids) == 1 and (len(users) == 1 or _alike(users)):
        model = (users[0].record.replicate_model_id or "").strip(TRIMMED) if latest_per != "user" else ""
        return _Found(users[0], model or None)
    if len(ids) == 1:
        raise _several_lines(users, latest_per, run)
    if not users and shard:
        raise SettingsError(
            f"nobody in {run}, which is only {shard.label}, matches {who!r}", "Name the merged run file with --run."
        )
    if not users:
        raise SettingsError(f"nobody in {run} matches {who!r}", "Name another run file with --run.")
    several = list(dict.fromkeys(escape_controls(user.record.user_id) for user in users))
    listed = ", ".join(several[:_LISTED]) + (", …" if len(several) > _LISTED else "")
    count = f"{len(several)} users or more" if len(users) > KEPT else f"{len(several)} users"
    raise SettingsError(f"{who!r} matches {count} of {run}", f"Name one of them by id: {listed}")


def _with_model(users: list[AuditedUser], model: str, run: Path) -> list[AuditedUser]:
    """Those of the user's lines that are about `model`. Raises SettingsError where none is."""
    wanted = [user for user in users if model_key(user.record.replicate_model_id) == model_key(model)]
    if wanted:
        return wanted
    has = ", ".join(
        dict.fromkeys(escape_controls((user.record.replicate_model_id or "none").strip()) for user in users)
    )
    raise SettingsError(f"--model {model!r} is no model of {users[0].record.user_id} in {run}", f"There is: {has}")


def _alike(users: list[AuditedUser]) -> bool:
    """Whether one entry would hold for all of these lines of a user."""
    said = {
        (
            model_key(user.record.replicate_model_id),
            user.finding.reasons,
            running_version(user),
            user.record.training_id if user.finding.unfinished else None,
        )
        for user in users
    }
    return len(said) == 1


def _several_lines(users: list[AuditedUser], latest_per: LatestPer, run: Path) -> SettingsError:
    who = escape_controls(users[0].record.user_id)
    models = list(dict.fromkeys((user.record.replicate_model_id or "").strip(TRIMMED) for user in users))
    if len(models) > 1:
        more = ", …" if len(models) > _LISTED else ""
        listed = ", ".join(escape_controls(model) or "(none)" for model in models[:_LISTED])
        return SettingsError(
            f"{who} has {len(models)} models in {run}", f"Add --model with one of them: {listed}{more}"
        )
    rows = [told_apart(None, escape_controls(user.record.model_row_id), latest_per) for user in users]
    listed = ", ".join(rows[:_LISTED]) + (", …" if len(rows) > _LISTED else "")
    return SettingsError(
        f"{who} has {len(rows)} rows with that model in {run}, in which other things were found",
        f"Name the row in the place of the user: {listed}",
    )


def _check(user: AuditedUser, reasons: tuple[Reason, ...], run: Path) -> None:
    """Raises SettingsError where the run has nothing to accept for this user, or other reasons than were typed."""
    found, who = user.finding.reasons, user.record.user_id
    if found == (Reason.LATEST_VERSION,):
        raise SettingsError(f"{who} is up to date in {run}: there is nothing to accept")
    if not set(found) <= set(ACCEPTABLE):
        raise SettingsError(
            f"{who} was not reached in {run}, so there is nothing to accept",
            f"Finish that run first: sync-audit run --resume {run}",
        )
    if reasons and set(reasons) != set(found):
        both = "" if len(found) == 1 else ": an entry has to name both, that of the newer row and of the completed one"
        raise SettingsError(
            f"--reason is {', '.join(reasons)}, and {who} has {' and '.join(found)} in {run}{both}",
            "Leave --reason out, or name another run file.",
        )


def _user(user: AuditedUser | None, who: str) -> str:
    """The id, as the file is shared; the e-mail only for somebody who has typed it."""
    if user is None or (user.record.email and folded(user.record.email) == folded(who)):
        return who
    return user.record.user_id

"""Composition root of `sync-audit accept`: a run file and what somebody says -> an entry in the file of acceptances."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from audit.commands.accept import file as accept_file
from audit.errors import SettingsError
from audit.findings.acceptance import ACCEPTABLE, folded
from audit.model.codes import Reason
from audit.model.findings import Acceptance, AuditedUser
from audit.model.text import escape_controls
from audit.model.who import KEPT, matching_users
from audit.runfile import RunFile

RUN_FILES = "sync-audit-*.sqlite"
"""What `run` calls run files unless told otherwise: the last of them by name is the newest."""
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be accepted, as it was said; None where nothing was."""

    who: str
    because: str
    until: date
    reason: Reason | None = None
    version: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was done."""

    entry: Acceptance
    replaced: Acceptance | None
    """The entry whose place it has taken."""
    new_file: bool


def newest_run(folder: Path) -> Path | None:
    """The newest run file in `folder`."""
    return max(folder.glob(RUN_FILES), default=None, key=lambda path: path.name)


def accept(wish: Wish, run: Path | None, file: Path) -> Written:
    """Write down that the finding on one user is accepted; what `wish` leaves open, the run says.

    Raises SettingsError where there is nothing to accept, RunFileError where the run file cannot be read.
    """
    user = _found(run, wish.who) if run else None
    if user and run:
        _check(user, wish, run)
        reason = user.finding.reason
    elif wish.reason:
        reason = wish.reason
    else:
        raise SettingsError(
            "no reason: --reason is not given, and there is no run file to look it up in",
            "Add --run RUN, or --reason CODE; all reasons: sync-audit explain",
        )
    recorded = user.record.replicate_version_id if user else None
    entry = Acceptance(
        user=_name(user, wish.who),
        reason=reason,
        version=wish.version or ((recorded or "").strip() or None),
        because=wish.because,
        until=wish.until.isoformat(),
        author=wish.author,
    )
    names = {folded(each) for each in (wish.who, user and user.record.user_id, user and user.record.email) if each}
    new = not file.exists()
    return Written(entry, accept_file.write(file, entry, frozenset(names)), new)


def _found(run: Path, who: str) -> AuditedUser:
    with RunFile.open(run) as run_file:
        users, shard = matching_users(run_file.users(), who), run_file.info.shard
    if len(users) == 1:
        return users[0]
    if not users and shard:
        raise SettingsError(
            f"nobody in {run}, which is only {shard.label}, matches {who!r}", "Name the merged run file with --run."
        )
    if not users:
        raise SettingsError(f"nobody in {run} matches {who!r}", "Name another run file with --run.")
    ids = ", ".join(escape_controls(user.record.user_id) for user in users[:_NAMED]) + (
        ", …" if len(users) > _NAMED else ""
    )
    count = f"{KEPT} users or more" if len(users) > KEPT else f"{len(users)} users"
    raise SettingsError(f"{who!r} matches {count} of {run}", f"Name one of them by id: {ids}")


def _check(user: AuditedUser, wish: Wish, run: Path) -> None:
    """Raises SettingsError where the run does not say of the user what is to be accepted."""
    found, who = user.finding.reason, user.record.user_id
    if found is Reason.LATEST_VERSION:
        raise SettingsError(f"{who} is up to date in {run}: there is nothing to accept")
    if found not in ACCEPTABLE:
        raise SettingsError(
            f"{who} was not reached in {run}, so nobody knows what there is to accept",
            f"Finish that run first: sync-audit run --resume {run}",
        )
    if wish.reason not in {None, found}:
        raise SettingsError(
            f"--reason is {wish.reason}, and {who} has {found} in {run}",
            "Leave --reason out, or name another run file.",
        )


def _name(user: AuditedUser | None, who: str) -> str:
    """As the file has it: the id, as files are shared; the e-mail for somebody who has written that."""
    if user is None or (user.record.email and folded(user.record.email) == folded(who)):
        return who
    return user.record.user_id

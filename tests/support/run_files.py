"""Run files made without a run."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.replies import Account
from audit.model.users import Population
from audit.runfile import RunFile, checksums
from audit.runfile.sqlite import Storage
from tests.support.samples import NEW, finding, record, run_info


def population(users: int) -> Population:
    """Everybody has one model."""
    return Population(
        users=users,
        users_with_completed_model=users,
        completed_models=users,
        users_with_several_completed_models=0,
        completed_models_hidden=0,
        completed_without_model_id=0,
        test_models_left_out=0,
        models_without_user=0,
        training_status={"completed": users},
    )


def edited(path: Path, *statements: str) -> None:
    """Change the run file at `path` behind the program's back, and have the checksums of its rows changed with it."""
    storage = Storage.connect(path)
    for statement in statements:
        if statement.startswith("UPDATE"):
            checksums.keep(storage.connection)
        storage.connection.execute(statement)
    storage.connection.close()


def finished_run_file(path: Path, users: int, base_url: str, account: Account | None = None) -> None:
    """A complete run in which so many users are up to date."""
    info = run_info(base_url=base_url, account=account)
    run_file = RunFile.create(path, info)
    with run_file, run_file.loading():
        for i in range(users):
            who = record(user_id=f"u{i}", email=f"user{i}@example.com", replicate_model_id=f"acme/m{i}")
            run_file.add(who, who.replicate_model_id, finding(Reason.STOPPED))
        run_file.save_population(population(users))
    with RunFile.resume(path) as run_file:
        good = finding(Reason.LATEST_VERSION, latest_version=NEW, versions_behind=0, total_versions=1)
        run_file.record_findings(((row_id, good) for row_id in range(1, users + 1)), None, 0)
        run_file.finish(msgspec.structs.replace(info, state="complete", finished_at=info.started_at))


def run_file_of(path: Path, users: Iterable[AuditedUser], in_all: int | None = None, **changes: Any) -> Path:
    """The run file of a run, complete unless `changes` say otherwise, that found `users`, given in report order.

    There are `in_all` users in the database, by default only these.
    """
    info = run_info(**({"state": "complete", "finished_at": "2026-03-01T12:01:00Z"} | changes))
    count = 0
    with RunFile.create(path, info) as run_file:
        with run_file.loading():
            for user in users:
                run_file.add(user.record, None, user.finding)
                count += 1
            run_file.save_population(population(count if in_all is None else in_all))
        run_file.finish(info)
    return path

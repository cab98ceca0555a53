"""What `sync` does where the database of the run is not where it was: nothing, until it is told of the move."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from audit.model.exit_status import NEEDS_SYNC, OK
from audit.model.place import Address
from audit.postgres.url import parse_database_url
from audit.runfile import RunFile
from tests.support.audits import Ended, Shell
from tests.support.database_rows import execute
from tests.support.shops import Shop, opened

APPLY = ("sync", "run.sqlite", "--apply", "--yes")
UNDO = ("sync", "--undo", "run-undo.sql", "--yes")
BOTH = pytest.mark.parametrize("command", [APPLY, UNDO], ids=["apply", "undo"])


class MovingShop(Shop):
    """One whose database gets another name."""

    @property
    def address(self) -> Address:
        """Where it is now."""
        return parse_database_url(self.dsn, {}).address

    def move(self) -> None:
        """Give the database another name; the shell's DATABASE_URL names it."""
        asyncio.run(execute(self.server, "ALTER DATABASE moving RENAME TO moved"))
        self.dsn = self.dsn.replace("/moving?", "/moved?")
        self.shell.environ["DATABASE_URL"] = self.dsn

    def make_older(self) -> None:
        """Let the run file be one of a version that kept no place."""
        with RunFile.resume(self.shell.folder / "run.sqlite") as run_file:
            run_file.save_info(msgspec.structs.replace(run_file.info, place=None))


@pytest.fixture
def shop(postgres_server: str, shell: Shell) -> Iterator[MovingShop]:
    asyncio.run(execute(postgres_server, "DROP DATABASE IF EXISTS moved"))
    with opened(postgres_server, "moving", shell) as shop:
        assert shop("sync", "run.sqlite").code == NEEDS_SYNC
        yield MovingShop(shop.server, shop.dsn, shop.shell)


def option_in(ended: Ended) -> list[str]:
    """The `--moved-from PLACE` that the error advises."""
    found = re.search(r"--moved-from (?:'[^']+'|\S+?)(?=[;\s])", ended.err)
    assert found, ended.err
    return shlex.split(found[0])


def test_database_that_has_moved_is_repaired_when_that_is_said_and_the_advice_does_it(shop: MovingShop) -> None:
    before, was = shop.digest, shop.address.named
    shop.move()
    for command in (APPLY, UNDO):
        refused = shop(*command)
        assert refused.code == 2
        assert f"is {shop.address.named} now, and was {was} (public.user_models) in the run" in refused.err
        assert shop.digest == before
        moved = option_in(refused)
        assert moved == ["--moved-from", was]
    done = shop(*APPLY, *moved)
    assert done.code == OK, done.err
    assert f"--moved-from: the run was made in {was}, and its database is {shop.address.named} now" in done.err
    assert f"sync-audit sync --undo run-undo.sql --moved-from {shlex.quote(was)}" in done.err
    assert shop.digest != before
    undone = shop(*UNDO, *moved)
    assert undone.code == OK, undone.err
    assert f"--moved-from: the run was made in {was}, and" in undone.err
    assert shop.digest == before


@BOTH
def test_place_of_another_run_opens_nothing(shop: MovingShop, command: tuple[str, ...]) -> None:
    before, was = shop.digest, shop.address
    shop.move()
    for wrong in ("db.example.com:5432/moving", f"{was.host}:5433/moving", f"{was.host}:5432/moved"):
        refused = shop(*command, "--moved-from", wrong)
        assert refused.code == 2
        assert f"--moved-from: the run is of {was.named}" in refused.err
        assert option_in(refused) == ["--moved-from", was.named]
    assert shop.digest == before


@BOTH
def test_tables_of_another_schema_are_refused_however_the_database_has_moved(
    shop: MovingShop, command: tuple[str, ...]
) -> None:
    was = shop.address
    copies = (f"CREATE TABLE tb.{name} AS TABLE {name}" for name in ("users", "user_models"))
    asyncio.run(execute(shop.dsn, "CREATE SCHEMA tb", *copies))
    before = shop.digest
    shop.move()
    refused = shop(*command, "--moved-from", was.named, DATABASE_URL=f"{shop.dsn}&schema=tb")
    assert refused.code == 2
    assert "(tb.user_models) now, and was" in refused.err
    assert "the table is public.users and tb.users" in refused.err
    assert "if it has moved" not in refused.err
    assert shop.digest == before


@BOTH
def test_run_file_of_an_older_version_is_written_from_when_its_place_is_named(
    shop: MovingShop, command: tuple[str, ...]
) -> None:
    if command is UNDO:
        assert shop(*APPLY).code == OK
    shop.make_older()
    before, was = shop.digest, shop.address
    refused = shop(*command)
    assert refused.code == 2
    assert "the run file does not say where it was made, only socket/moving" in refused.err
    assert "--moved-from socket:PORT/moving" in refused.err
    for wrong in ("db.example.com:5432/moving", f"{was.host}:5432/moved", "socket:5432/mov"):
        refused = shop(*command, "--moved-from", wrong)
        assert refused.code == 2
        assert "--moved-from: the run is of socket/moving" in refused.err
    assert shop.digest == before
    assert shop(*command, "--moved-from", was.named).code == OK
    assert shop.digest != before


def test_plan_of_an_older_run_file_needs_no_place(shop: MovingShop) -> None:
    shop.make_older()
    assert shop("sync", "run.sqlite").code == NEEDS_SYNC
    refused = shop("sync", "run.sqlite", "--moved-from", "db.example.com:5432/shop")
    assert refused.code == 2
    assert "--moved-from: the run is of socket/moving" in refused.err


def test_undo_file_without_its_run_knows_its_place_itself(shop: MovingShop) -> None:
    before, was = shop.digest, shop.address.named
    assert shop(*APPLY).code == OK
    (shop.shell.folder / "run.sqlite").unlink()
    shop.move()
    refused = shop(*UNDO)
    assert refused.code == 2
    assert f"is {shop.address.named} now, and was {was} (public.user_models)" in refused.err
    assert shop(*UNDO, "--moved-from", was).code == OK
    assert shop.digest == before


@pytest.mark.parametrize("text", ["db.example.com/shop", "postgresql://u:hunter2@db.example.com/shop", ":5432/", ""])
def test_what_is_no_place_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    refused = Shell(tmp_path)(*APPLY, "--moved-from", text)
    assert refused.code == 2
    assert "--moved-from: must be HOST:PORT/DATABASE" in refused.err
    assert "hunter2" not in refused.err

"""`sync RUN --apply` and `sync --undo FILE` on a real database that others use: nothing of theirs is ever lost."""

import asyncio
import contextlib
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from audit.demo.database import load
from audit.demo.fake_replicate.faults import Fault, Refused
from audit.demo.fake_replicate.server import in_thread
from audit.model.exit_status import INCOMPLETE, INTERRUPTED, NEEDS_SYNC, OK, PLAN, REPAIR, ExitStatus
from audit.model.repair import ChangeOutcome, ChangeState
from audit.model.replies import Version
from audit.runfile import JournalEntry, RunFile
from tests.support import psql
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.audits import audit as audited
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers
from tests.support.terminals import terminal

INCLUDE = ("--include", "unknown_version", "--include", "malformed_version")
APPLY = ("sync", "run.sqlite", *INCLUDE, "--apply", "--yes")
UNDO = ("sync", "--undo", "run-undo.sql", "--yes")
LINE = r"""^\('{"row":"(\d+)","""
"""A row in either file for psql."""
CHANGES = 264
"""Of the users below: three batches."""
KEEP = """
UPDATE user_models SET lora_weights_url = 'https://replicate.delivery/old.tar' WHERE id % 8 = 1;
UPDATE user_models SET updated_at = NULL WHERE id % 50 = 1;
CREATE TABLE kept (LIKE user_models INCLUDING ALL);
INSERT INTO kept SELECT * FROM user_models;
"""
RESTORE = """
DROP TABLE user_models CASCADE;
DROP FUNCTION IF EXISTS on_update CASCADE;
CREATE TABLE user_models (LIKE kept INCLUDING ALL);
INSERT INTO user_models SELECT * FROM kept ORDER BY id;
ANALYZE user_models;
"""
TRIGGER = """
CREATE FUNCTION on_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$;
CREATE TRIGGER on_update BEFORE UPDATE ON user_models FOR EACH ROW EXECUTE FUNCTION on_update();
"""
SLOW = TRIGGER.format(does="IF current_setting('application_name') = 'sync-audit' THEN PERFORM pg_sleep(0.004); END IF")
DATING = TRIGGER.format(does="NEW.updated_at = clock_timestamp()")


class Moving(SyntheticUsers):
    """Synthetic users of whom some have just been trained again."""

    def __init__(self, n: int) -> None:
        super().__init__(n, oddities=0.5)
        self.retrained: set[int] = set()

    def versions(self, i: int) -> tuple[Version, ...]:
        """A newer one in front for those."""
        newest = (Version(self.hash(i, 77), "2026-06-01T00:00:00Z"),) if i in self.retrained else ()
        return (*newest, *super().versions(i))


@dataclass
class Product:
    """A database, Replicate, and a finished run of it in the shell's folder."""

    place: Servers
    synthetic_users: Moving
    shell: Shell
    rows: list[int]
    """Ids of the rows that the plan changes, in its order."""

    def __call__(self, *arguments: str, **environ: str) -> Ended:
        return self.shell(*arguments, **environ)

    def sql(self, query: str, *values: Any) -> Any:
        """The rows that `query` gives."""

        async def fetch() -> Any:
            connection = await asyncpg.connect(self.place.dsn)
            try:
                return await (connection.fetch(query, *values) if values else self._all(connection, query))
            finally:
                await connection.close()

        return asyncio.run(fetch())

    @staticmethod
    async def _all(connection: Any, query: str) -> Any:
        return await (connection.execute if ";" in query else connection.fetch)(query)

    @property
    def digest(self) -> str:
        """Of the whole table, byte for byte."""
        return str(self.sql("SELECT md5(string_agg(t::text, E'\\n' ORDER BY id)) AS md5 FROM user_models t")[0]["md5"])

    def table(self) -> dict[int, dict[str, Any]]:
        """All rows by their ids."""
        return {row["id"]: dict(row) for row in self.sql("SELECT * FROM user_models")}

    def states(self) -> dict[int, ChangeState]:
        """The journal."""
        with RunFile.open(self.shell.folder / "run.sqlite") as run_file:
            return {int(entry.change.model_row_id): entry.state for entry in run_file.journal.entries()}

    def alone(self) -> None:
        """Wait until the server has noticed that nobody is there any more."""
        query = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'sync-audit'"
        wait_until(lambda: self.sql(query)[0]["n"] == 0)


@pytest.fixture(scope="module")
def place(postgres_server: str) -> Iterator[tuple[Servers, Moving]]:
    synthetic_users = Moving(900)
    dsn = asyncio.run(new_database(postgres_server, "product"))

    async def fill() -> None:
        await load(dsn, synthetic_users)
        connection = await asyncpg.connect(dsn)
        await connection.execute(KEEP)
        await connection.close()

    asyncio.run(fill())
    with in_thread(InstrumentedReplicate(synthetic_users)) as fake:
        yield Servers(dsn, fake), synthetic_users


@pytest.fixture(scope="module")
def planned(place: tuple[Servers, Moving], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the audit of them, trainings read, and the files of its plan."""
    folder = tmp_path_factory.mktemp("planned")
    audited(place[0].settings(folder, timeout=10.0, outputs=())).close()
    assert Shell(folder)("sync", "run.sqlite", *INCLUDE).code == NEEDS_SYNC
    return folder


@pytest.fixture
def product(place: tuple[Servers, Moving], planned: Path, shell: Shell) -> Product:
    """The table as it was when it was audited, and its plan."""
    for file in ("run.sqlite", "run-apply.sql", "run-undo.sql"):
        shutil.copy(planned / file, shell.folder)
    shell.environ = place[0].environ | {"SYNC_AUDIT_TIMEOUT": "10"}
    place[1].retrained.clear()
    rows = re.findall(LINE, (planned / "run-apply.sql").read_text(), re.MULTILINE)
    made = Product(place[0], place[1], shell, [int(row_id) for row_id in rows])
    assert len(made.rows) == CHANGES
    made.sql(RESTORE)
    return made


def wait_until(true: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert process is None or process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)


_UNFINISHED = (
    r"(\d+ of \d+ rows? not done|\d+ rows? of an earlier command not known|\d+ users? (is|are) not up to date"
    r"|not all users were checked again|the journal does not know what was put back)"
)


def ends(ended: Ended, status: ExitStatus) -> Ended:
    assert ended.code == status.code, ended.err
    if status == REPAIR[INCOMPLETE]:  # the cause names what is left
        assert re.fullmatch(f"{_UNFINISHED}(; {_UNFINISHED})* \\(exit 4\\)", ended.last_line), ended.last_line
    elif status == PLAN[NEEDS_SYNC]:
        assert re.fullmatch(r"planned, nothing changed yet: \d+ rows? would change \(exit 3\)", ended.last_line)
    else:
        assert ended.last_line == str(status)
    assert "Traceback" not in ended.err
    return ended


def named(ended: Ended, state: ChangeState) -> dict[int, str]:
    """Rows that were not changed, with the reason."""
    found = re.findall(rf"^{state.value} +\S+, row (\d+): (.*)$", ended.err, re.MULTILINE)
    return {int(row_id): why for row_id, why in found}


def test_all_are_changed_and_up_to_date_and_all_is_put_back_byte_for_byte(product: Product) -> None:
    before, old = product.digest, product.table()
    done = ends(product(*APPLY), REPAIR[OK])
    assert f"{CHANGES} rows changed\n" in done.err
    assert f"Checked again: {CHANGES} of {CHANGES} users are up to date now" in done.err
    for row_id, row in product.table().items():
        changed = {name for name, value in row.items() if old[row_id][name] != value}
        assert changed <= {"replicate_version_id", "lora_weights_url"}
        assert ("replicate_version_id" in changed) == (row_id in product.rows)
    assert ends(product(*APPLY), PLAN[OK]).err.count(f"{CHANGES} more already changed") == 1
    undone = ends(product(*UNDO), REPAIR[OK])
    assert f"{CHANGES} rows put back\n" in undone.err
    assert product.digest == before
    assert set(product.states().values()) == {ChangeState.UNDONE}
    assert f"0 rows put back, {CHANGES} put back already" in ends(product(*UNDO), REPAIR[OK]).err
    ends(product("sync", "run.sqlite"), PLAN[NEEDS_SYNC])


def test_psql_does_and_undoes_the_same(product: Product) -> None:
    before = product.digest
    product(*APPLY)
    applied = product.digest
    product.sql(RESTORE)
    shutil.copy(product.shell.folder / "run-undo.sql", product.shell.folder / "after-undo.sql")
    assert psql.run(product.place.dsn, product.shell.folder / "run-apply.sql").returncode == 0
    assert product.digest == applied
    assert psql.run(product.place.dsn, product.shell.folder / "after-undo.sql").returncode == 0
    assert product.digest == before
    psql.run(product.place.dsn, product.shell.folder / "run-apply.sql")
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


EDITS = (
    "replicate_version_id = 'edited'",
    "lora_weights_url = 'https://example.com/edited.tar'",
    "trigger_word = 'EDITED', updated_at = now()",
    "training_status = 'training', updated_at = now()",
)


def edit_of(row_id: int) -> str:
    return f"UPDATE user_models SET {EDITS[row_id % len(EDITS)]} WHERE id = {row_id}"


def is_edited(row_id: int, row: dict[str, Any]) -> bool:
    name, _, value = EDITS[row_id % len(EDITS)].partition(",")[0].partition(" = ")
    return bool(row[name] == value.strip("'"))


def test_no_edit_of_others_is_lost_and_all_rows_they_kept_are_named(product: Product) -> None:
    edited = product.rows[::3]
    before, during = edited[::2], edited[1::2]
    gone = before.pop()
    product.sql(";".join([*map(edit_of, before), f"DELETE FROM user_models WHERE id = {gone};", SLOW]))
    process = product.shell.start(*APPLY)
    wait_until(lambda: product.table()[product.rows[1]]["replicate_version_id"] != "edited" and begun(product), process)
    for row_id in reversed(during):
        product.sql(edit_of(row_id))
    out, err = process.communicate(timeout=60)
    done = ends(Ended(process.returncode, out.decode(), err.decode()), REPAIR[INCOMPLETE])
    table, states, skipped = product.table(), product.states(), named(done, ChangeState.SKIPPED)
    assert [row_id for row_id in (*before, *during) if not is_edited(row_id, table[row_id])] == []
    assert gone not in table
    assert skipped[gone] == "the row is gone"
    assert set(skipped) == {row_id for row_id, state in states.items() if state is ChangeState.SKIPPED}
    assert {*before, gone} <= set(skipped) <= {*edited}
    assert {state for row_id, state in states.items() if row_id not in edited} == {ChangeState.DONE}
    assert f"{CHANGES - len(skipped)} rows changed, {len(skipped)} skipped" in done.err
    # And undoing leaves them alone as well.
    undone = ends(product(*UNDO), REPAIR[INCOMPLETE])
    table = product.table()
    assert [row_id for row_id in (*before, *during) if not is_edited(row_id, table[row_id])] == []
    assert set(named(undone, ChangeState.SKIPPED)) == {
        row_id for row_id in during if states[row_id] is ChangeState.DONE
    }


def begun(product: Product) -> bool:
    """Whether the first rows have been changed for everybody to see."""
    query = "SELECT count(*) AS n FROM user_models JOIN kept USING (id) WHERE id = ANY($1) AND "
    differs = "user_models.replicate_version_id IS DISTINCT FROM kept.replicate_version_id"
    return bool(product.sql(query + differs, product.rows[:100])[0]["n"] > 50)


def kill_in_the_middle(product: Product, seed: int) -> None:
    """An `--apply` that gets a signal at any moment of its work; its exit code."""
    process = product.shell.start(*APPLY)
    query = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'sync-audit'"
    wait_until(lambda: process.poll() is not None or product.sql(query)[0]["n"])
    delay = random.Random(seed).uniform(0.0, 1.3)
    print(f"killed after {delay:.3f} s")  # noqa: T201 - shown where the test fails
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    process.kill()
    process.communicate(timeout=30)
    product.alone()


def check_killed(product: Product, seed: int, *more: str) -> None:
    before = product.digest
    product.sql(SLOW)
    for again in range(2):
        kill_in_the_middle(product, seed * 2 + again)
    product(*APPLY, *more)
    assert Counter(product.states().values()) == {ChangeState.DONE: CHANGES}
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


def test_after_kills_in_the_middle_the_same_command_goes_on_and_undo_takes_back_all(product: Product) -> None:
    check_killed(product, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 12))
def test_after_kills_at_more_moments_the_same_command_goes_on_and_undo_takes_back_all(
    product: Product, seed: int
) -> None:
    check_killed(product, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_undo_right_after_a_kill_takes_back_what_was_done(product: Product, seed: int) -> None:
    before = product.digest
    product.sql(SLOW)
    kill_in_the_middle(product, 100 + seed)
    assert product(*UNDO).code == OK
    assert product.digest == before


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGTERM, signal.SIGHUP))],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_a_signal_ends_it_between_two_batches_with_everything_known(product: Product, number: signal.Signals) -> None:
    before = product.digest
    product.sql(SLOW)
    process = product.shell.start(*APPLY)
    wait_until(lambda: begun(product), process)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    ended = Ended(process.returncode, out.decode(), err.decode())
    ends(ended, REPAIR[128 + number])
    done = list(product.states().values())
    assert set(done) == {ChangeState.DONE}
    assert f"{len(done)} rows changed, {CHANGES - len(done)} not reached" in ended.err
    assert f"It ended early: stopped by {number.name}" in ended.err
    undo_file = (product.shell.folder / "run-undo.sql").read_text()
    assert len(re.findall(LINE, undo_file, re.MULTILINE)) == CHANGES
    assert undo_file.count('","is":{') == len(done)
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


def test_a_database_that_goes_away_leaves_what_was_done_and_the_same_command_goes_on(product: Product) -> None:
    before = product.digest
    product.sql(SLOW)
    process = product.shell.start(*APPLY)
    wait_until(lambda: begun(product), process)
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sync-audit'"
    wait_until(lambda: product.sql(f"{query} AND wait_event = 'PgSleep'"), process)
    out, err = process.communicate(timeout=30)
    ended = ends(Ended(process.returncode, out.decode(), err.decode()), REPAIR[INCOMPLETE])
    assert "closed the connection" in ended.err
    assert "What is done stays done. To continue:\n  sync-audit sync run.sqlite" in ended.err
    states = Counter(product.states().values())
    assert states[ChangeState.BEGUN] == 100
    assert f"{states[ChangeState.DONE]} rows changed, 100 not known" in ended.err
    ends(product(*APPLY), REPAIR[OK])
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


def test_a_trigger_that_dates_every_change_does_not_stand_against_undoing(product: Product) -> None:
    old = product.table()
    product.sql(DATING)
    ends(product(*APPLY), REPAIR[OK])
    ends(product(*UNDO), REPAIR[OK])
    for row_id, row in product.table().items():
        assert {**row, "updated_at": None} == {**old[row_id], "updated_at": None}


def test_touch_dates_all_rows_alike_and_undo_puts_the_old_dates_back(product: Product) -> None:
    before = product.digest
    ends(product(*APPLY, "--touch"), REPAIR[OK])
    table = product.table()
    assert len({table[row_id]["updated_at"] for row_id in product.rows}) == 1
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


@pytest.mark.slow
def test_touched_rows_are_put_back_after_kills(product: Product) -> None:
    check_killed(product, 50, "--touch")


def test_rows_whose_model_was_trained_meanwhile_are_skipped_unless_that_is_not_wanted(product: Product) -> None:
    users = [row["user_id"] for row in map(product.table().get, product.rows[:3]) if row]
    product.synthetic_users.retrained = {int(user_id[:8]) for user_id in users}
    done = ends(product(*APPLY), REPAIR[INCOMPLETE])
    skipped = named(done, ChangeState.SKIPPED)
    assert set(skipped) == set(product.rows[:3])
    assert all(why.startswith("another version is the latest now") for why in skipped.values())
    assert f"{CHANGES - 3} of {CHANGES - 3} users are up to date now" in done.err
    done = ends(product(*APPLY, "--no-recheck"), REPAIR[INCOMPLETE])
    assert f"Checked again: {CHANGES - 3} of {CHANGES} users are up to date now" in done.err
    assert "outdated_version: 1 newer version on Replicate" in done.err


def test_rows_about_which_replicate_says_nothing_certain_have_failed_and_are_tried_again(product: Product) -> None:
    with injected(product.place.fake, Refused(status=500, times=2)):
        done = ends(product(*APPLY, "--retries", "0"), REPAIR[INCOMPLETE])
    failed = named(done, ChangeState.FAILED)
    assert len(failed) == 2
    assert all("Replicate could not be checked again" in why for why in failed.values())
    assert "2 rows changed" in ends(product(*APPLY), REPAIR[OK]).err


@contextlib.contextmanager
def injected(fake: InstrumentedReplicate, fault: Fault) -> Iterator[None]:
    """Every request meets the fault within the block."""
    fake.inject(fault)
    try:
        yield
    finally:
        fake.inject()


def test_a_service_that_is_down_ends_it_with_nothing_tried(product: Product) -> None:
    digest = product.digest
    with injected(product.place.fake, Refused(status=500)):
        done = ends(product(*APPLY, "--retries", "0"), REPAIR[INCOMPLETE])
    assert "Replicate does not answer" in done.err
    assert f"0 rows changed, {CHANGES} not reached" in done.err
    assert product.digest == digest


def test_a_role_that_may_not_update_can_plan_and_is_told_before_the_first_batch(product: Product) -> None:
    with contextlib.suppress(asyncpg.UndefinedObjectError):
        product.sql("DROP OWNED BY looker; DROP ROLE looker;")
    product.sql("CREATE ROLE looker LOGIN; GRANT SELECT ON users, user_models TO looker;")
    before = product.digest
    url = urlsplit(product.place.dsn)._replace(netloc="looker@").geturl()
    assert product("sync", "run.sqlite", DATABASE_URL=url).code == NEEDS_SYNC
    for command in (APPLY, UNDO):
        ended = product(*command, DATABASE_URL=url)
        assert ended.code == 5
        assert "GRANT UPDATE (replicate_version_id, lora_weights_url) ON user_models TO looker;" in ended.err
    assert product.states() == {}
    assert product.digest == before
    product.sql("GRANT UPDATE (replicate_version_id, lora_weights_url) ON user_models TO looker;")
    ends(product(*APPLY, DATABASE_URL=url), REPAIR[OK])
    ends(product(*UNDO, DATABASE_URL=url), REPAIR[OK])
    assert product.digest == before
    product.sql("DROP OWNED BY looker; DROP ROLE looker;")


def test_limit_and_user_narrow_it_and_what_is_left_can_be_done_later(product: Product) -> None:
    assert "2 rows changed\n" in ends(product(*APPLY, "--limit", "2"), REPAIR[OK]).err
    row = product.table()[product.rows[9]]
    one = ends(product(*APPLY, "--user", row["user_id"]), REPAIR[OK])
    assert "1 row changed\n" in one.err
    assert list(product.states()) == sorted(product.states(), key=str)
    assert set(product.states()) == {*product.rows[:2], product.rows[9]}
    assert f"{CHANGES - 3} rows changed\n" in ends(product(*APPLY), REPAIR[OK]).err


def test_what_psql_has_done_by_an_earlier_plan_can_still_be_undone(product: Product) -> None:
    before = product.digest
    first, second = (product.table()[row_id]["user_id"] for row_id in product.rows[:2])
    (product.shell.folder / "run-undo.sql").unlink()
    ends(product("sync", "run.sqlite", *INCLUDE, "--user", first), PLAN[NEEDS_SYNC])
    assert psql.run(product.place.dsn, product.shell.folder / "run-apply.sql").returncode == 0
    ends(product(*APPLY, "--user", second), REPAIR[OK])
    assert "2 rows put back\n" in ends(product(*UNDO), REPAIR[OK]).err
    assert product.digest == before


def applied_again_by_the_product(product: Product, applied: dict[int, dict[str, Any]]) -> str:
    """The product writes what the repair had written; the digest after that."""
    for row_id in product.rows[:3]:
        new = applied[row_id]
        query = "UPDATE user_models SET replicate_version_id = $1, lora_weights_url = $2 WHERE id = $3 RETURNING 1"
        product.sql(query, new["replicate_version_id"], new["lora_weights_url"], row_id)
    return product.digest


def test_what_psql_has_put_back_is_not_put_back_again(product: Product) -> None:
    ends(product(*APPLY), REPAIR[OK])
    applied = product.table()
    assert psql.run(product.place.dsn, product.shell.folder / "run-undo.sql").returncode == 0
    digest = applied_again_by_the_product(product, applied)
    assert f"0 rows put back, {CHANGES} put back already" in ends(product(*UNDO), REPAIR[OK]).err
    assert product.digest == digest


def test_what_undo_has_put_back_psql_does_not_put_back_again(product: Product) -> None:
    ends(product(*APPLY), REPAIR[OK])
    applied = product.table()
    ends(product(*UNDO), REPAIR[OK])
    digest = applied_again_by_the_product(product, applied)
    done = psql.run(product.place.dsn, product.shell.folder / "run-undo.sql")
    assert done.stdout.startswith("rows put back: 0, skipped: 0\n")
    assert product.digest == digest


@pytest.mark.parametrize("by", ["command", "psql"])
def test_of_two_deeds_of_one_row_the_later_is_undone(product: Product, by: str) -> None:
    before = product.digest
    ends(product(*APPLY, "--touch"), REPAIR[OK])
    for purpose in ("undo", "apply"):
        assert psql.run(product.place.dsn, product.shell.folder / f"run-{purpose}.sql").returncode == 0
    if by == "psql":
        assert psql.run(product.place.dsn, product.shell.folder / "run-undo.sql").returncode == 0
    else:
        ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


def test_an_undo_of_psql_that_was_not_committed_is_none(product: Product) -> None:
    before = product.digest
    ends(product("sync", "run.sqlite", *INCLUDE), PLAN[NEEDS_SYNC])
    assert psql.run(product.place.dsn, product.shell.folder / "run-apply.sql").returncode == 0
    undo = product.shell.folder / "run-undo.sql"
    text = undo.read_text()
    undo.write_text(text.replace("\nCOMMIT;\n", "\nROLLBACK;\n\\quit\n"))
    assert psql.run(product.place.dsn, undo).returncode == 0
    assert product.digest != before
    undo.write_text(text)
    assert f"{CHANGES} rows put back\n" in ends(product(*UNDO), REPAIR[OK]).err
    assert product.digest == before


def test_undo_works_without_the_run_file_and_from_a_part_of_the_file(product: Product) -> None:
    before = product.digest
    ends(product(*APPLY), REPAIR[OK])
    elsewhere = product.shell.folder / "mine.sql"
    lines = (product.shell.folder / "run-undo.sql").read_text().splitlines(keepends=True)
    updates = [line for line in lines if re.match(LINE, line)]
    elsewhere.write_text("".join(line for line in lines if line not in updates[:3]))
    (product.shell.folder / "run.sqlite").unlink()
    done = ends(product("sync", "--undo", "mine.sql", "--yes"), REPAIR[OK])
    assert f"{CHANGES - 3} rows put back\n" in done.err
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


def test_somebody_is_asked_on_a_terminal_and_may_say_no(product: Product) -> None:
    before = product.digest
    label = "socket/product"
    for answer, code in ((b"n\r", NEEDS_SYNC), (b"y\r", OK)):
        with terminal(product.shell, *APPLY[:-1]) as screen:
            seen = screen.until(lambda lines: lines and lines[-1].endswith("[y/N]:"))
            assert seen[-1] == f"Change {CHANGES} rows of user_models in {label}? [y/N]:"
            screen.type(answer)
            assert screen.to_the_end() == code
    assert product.digest != before
    with terminal(product.shell, *UNDO[:-1]) as screen:
        screen.until(lambda lines: lines and lines[-1].endswith("[y/N]:"))
        assert screen.interrupt() == INTERRUPTED
        assert screen.lines[-1] == str(REPAIR[INTERRUPTED])
    with terminal(product.shell, *UNDO[:-1]) as screen:
        screen.until(lambda lines: lines and lines[-1] == f"Put back {CHANGES} rows of user_models in {label}? [y/N]:")
        screen.type(b"y\r")
        assert screen.to_the_end() == OK
    assert product.digest == before


USAGE = {
    "nobody to ask": (APPLY[:-1], {}, "there is no terminal to ask"),
    "nobody to ask about undoing": (UNDO[:-1], {}, "there is no terminal to ask"),
    "no run": (("sync",), {}, "no whole run in reports/"),
    "both": (("sync", "run.sqlite", "--undo", "run-undo.sql"), {}, "neither RUN nor --apply"),
    "yes to nothing": (("sync", "run.sqlite", "--yes"), {}, "--yes has no meaning without --apply"),
    "touch nothing": (("sync", "run.sqlite", "--touch"), {}, "--touch has no meaning without --apply"),
    "a plan's option": ((*UNDO, "--limit", "3"), {}, "--limit has no meaning with --undo"),
    "no undo file": (("sync", "--undo", "none.sql", "--yes"), {}, "none.sql cannot be read: no such file"),
    "a run to undo": (("sync", "--undo", "run.sqlite", "--yes"), {}, "run.sqlite cannot be read: it is not text"),
    "the wrong file": (("sync", "--undo", "run-apply.sql", "--yes"), {}, "is no undo file of sync-audit"),
    "other database": (APPLY, {"DATABASE_URL": "postgresql://h/shop"}, "is h:5432/shop now, and was /"),
    "other database to undo": (UNDO, {"DATABASE_URL": "postgresql://h/shop"}, "is h:5432/shop now, and was /"),
    "other Replicate": (APPLY, {"REPLICATE_BASE_URL": "https://example.com"}, "is https://example.com/v1 now"),
    "no token": (APPLY, {"REPLICATE_API_TOKEN": ""}, "REPLICATE_API_TOKEN is not set"),
}


@pytest.mark.parametrize(("command", "environ", "words"), USAGE.values(), ids=USAGE)
def test_what_makes_no_sense_is_a_usage_error_that_says_so(
    place: tuple[Servers, Moving], planned: Path, command: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    ended = Shell(planned, place[0].environ)(*command, **environ)
    assert ended.code == 2
    assert words in ended.err


@pytest.mark.parametrize("command", [APPLY, UNDO], ids=["apply", "undo"])
def test_the_same_tables_in_another_schema_are_another_place(product: Product, command: tuple[str, ...]) -> None:
    product.sql(
        "CREATE SCHEMA IF NOT EXISTS tb; CREATE TABLE IF NOT EXISTS tb.users AS TABLE users; "
        "CREATE TABLE IF NOT EXISTS tb.user_models AS TABLE user_models"
    )
    before = product.digest
    ended = product(*command, DATABASE_URL=f"{product.place.dsn}&schema=tb")
    assert ended.code == 2
    assert "(tb.user_models) now, and was" in ended.err
    assert "the table is public.user" in ended.err
    assert (product.digest, product.states()) == (before, {})


def test_a_database_that_cannot_be_reached_is_said_to_be(product: Product) -> None:
    url = "postgresql://postgres@/product?host=" + str(product.shell.folder)
    for command in (APPLY, UNDO):
        ended = product(*command, DATABASE_URL=url)
        assert ended.code == 5
        assert "database socket/product cannot be reached" in ended.err
    assert product.states() == {}


def test_another_account_s_token_repairs_nothing(product: Product) -> None:
    ended = product(*APPLY, REPLICATE_API_TOKEN="r8_of_somebody_else")
    assert ended.code == 5
    assert "refuses the API token" in ended.err


def test_a_redacted_repair_names_no_e_mail(product: Product) -> None:
    product.sql(edit_of(product.rows[0]))
    ended = ends(product(*APPLY, "--redact"), REPAIR[INCOMPLETE])
    assert "@example.com" not in ended.err + ended.out
    assert product.rows[0] in named(ended, ChangeState.SKIPPED)


PUT_BACK = """
UPDATE user_models AS m SET replicate_version_id = k.replicate_version_id, lora_weights_url = k.lora_weights_url
FROM kept AS k WHERE k.id = m.id AND m.id = {};
"""


def test_what_an_older_version_has_left_open_stays_open_unless_the_row_is_as_it_was(product: Product) -> None:
    before = product.digest
    ends(product(*APPLY), REPAIR[OK])
    back, edited, *done = product.rows[:8]
    product.sql(PUT_BACK.format(back))
    product.sql(f"UPDATE user_models SET replicate_version_id = 'edited' WHERE id = {edited};")
    with RunFile.resume(product.shell.folder / "run.sqlite") as run_file:
        entries = [run_file.journal.entry(str(row_id)) for row_id in (back, edited, *done)]
        known = {each.change.model_row_id: each for each in entries if each}
        run_file.journal.write(
            [JournalEntry(each.change, ChangeState.BEGUN, ChangeOutcome()) for each in known.values()]
        )
    ended = ends(product(*APPLY), REPAIR[INCOMPLETE])
    assert "1 row changed, 1 skipped, 6 not known" in ended.err
    assert "Of these rows nobody knows yet whether an earlier command has changed them" in ended.err
    assert named(ended, ChangeState.SKIPPED) == {edited: "replicate_version_id is edited now"}
    ended = ends(product(*UNDO), REPAIR[INCOMPLETE])
    assert f"{CHANGES - 7} rows put back, 1 never changed, 6 not known" in ended.err
    with RunFile.resume(product.shell.folder / "run.sqlite") as run_file:
        run_file.journal.write([known[str(row_id)] for row_id in done])
    ends(product(*UNDO), REPAIR[OK])
    product.sql(PUT_BACK.format(edited))
    assert product.digest == before


REFUSING = TRIGGER.format(
    does="IF current_setting('application_name') = 'sync-audit' THEN PERFORM pg_sleep(0.004); "
    "IF OLD.id = {} THEN RAISE EXCEPTION 'not this one'; END IF; END IF"
)


@pytest.mark.parametrize("rows_seen", [1, *(pytest.param(rows, marks=pytest.mark.slow) for rows in (5, 40))])
def test_rows_that_are_changed_one_by_one_are_never_forgotten_by_a_kill(product: Product, rows_seen: int) -> None:
    before = product.digest
    product.sql(REFUSING.format(product.rows[99]))
    process = product.shell.start(*APPLY)
    changed = """
        SELECT id FROM user_models JOIN kept USING (id)
        WHERE user_models.replicate_version_id IS DISTINCT FROM kept.replicate_version_id
    """
    wait_until(lambda: len(product.sql(changed)) >= rows_seen, process)
    process.kill()
    process.communicate(timeout=30)
    product.alone()
    states = product.states()
    assert {states[row["id"]] for row in product.sql(changed)} <= {ChangeState.DONE, ChangeState.BEGUN}
    done = ends(product(*APPLY), REPAIR[INCOMPLETE])
    assert set(named(done, ChangeState.FAILED)) == {product.rows[99]}
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


def begin(product: Product, row_id: int, txid: int) -> None:
    """Leave the row in the journal as a process has that ended before it learned of its COMMIT."""
    with RunFile.resume(product.shell.folder / "run.sqlite") as run_file:
        done = run_file.journal.entry(str(row_id))
        assert done
        assert done.outcome.deed
        deed = msgspec.structs.replace(done.outcome.deed, txid=str(txid))
        run_file.journal.write([JournalEntry(done.change, ChangeState.BEGUN, ChangeOutcome(deed=deed))])


async def transaction(dsn: str, query: str, end: str) -> int:
    """The id of a transaction that has made `query` and ended so."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        await connection.execute(query)
        txid = int(await connection.fetchval("SELECT txid_current()"))
        await connection.execute(end)
    finally:
        await connection.close()
    return txid


def test_the_same_value_by_the_product_is_not_ours_where_our_own_transaction_was_never_committed(
    product: Product,
) -> None:
    ends(product(*APPLY, "--limit", "1"), REPAIR[OK])
    row_id = product.rows[0]
    product.sql(PUT_BACK.format(row_id))
    own = f"UPDATE user_models AS m SET trigger_word = trigger_word WHERE id = {row_id}"
    begin(product, row_id, asyncio.run(transaction(product.place.dsn, own, "ROLLBACK")))
    latest = product.sql("SELECT replicate_version_id AS v FROM kept WHERE id = $1", row_id)[0]["v"]
    with RunFile.open(product.shell.folder / "run.sqlite") as run_file:
        entry = run_file.journal.entry(str(row_id))
        assert entry
        new = entry.change.new_version
    assert new != latest
    product.sql(f"UPDATE user_models SET replicate_version_id = '{new}', updated_at = now() WHERE id = {row_id};")
    ended = ends(product(*APPLY, "--limit", "1"), REPAIR[INCOMPLETE])
    assert set(named(ended, ChangeState.SKIPPED)) == {row_id}
    assert "found to be" not in ended.err
    ends(product(*UNDO), REPAIR[OK])
    assert product.table()[row_id]["replicate_version_id"] == new


def test_a_commit_that_comes_late_is_waited_for_and_then_undone(product: Product) -> None:
    before = product.digest
    ends(product(*APPLY, "--limit", "1"), REPAIR[OK])
    row_id, applied = product.rows[0], product.digest
    late = asyncio.new_event_loop()
    connection = late.run_until_complete(asyncpg.connect(product.place.dsn))
    try:
        late.run_until_complete(connection.execute("BEGIN"))
        same = f"UPDATE user_models SET trigger_word = trigger_word WHERE id = {row_id}"
        late.run_until_complete(connection.execute(same))
        begin(product, row_id, late.run_until_complete(connection.fetchval("SELECT txid_current()")))
        for command in ((*APPLY, "--limit", "1", "--user", product.table()[row_id]["user_id"]), UNDO):
            ended = ends(product(*command), REPAIR[INCOMPLETE])
            assert "1 not known" in ended.err
            assert product.states()[row_id] is ChangeState.BEGUN
            assert product.digest == applied
        late.run_until_complete(connection.execute("COMMIT"))
    finally:
        late.run_until_complete(connection.close())
        late.close()
    assert "1 row put back" in ends(product(*UNDO), REPAIR[OK]).err
    assert product.digest == before


def test_an_audit_that_fails_afterwards_is_no_success_and_what_was_done_can_be_undone(product: Product) -> None:
    before = product.digest
    with injected(product.place.fake, Refused(status=500)):
        done = ends(product(*APPLY, "--no-recheck", "--retries", "0"), REPAIR[INCOMPLETE])
    assert f"Checked again: 0 of {CHANGES} users are up to date now" in done.err
    assert f"{CHANGES} rows changed" in done.err
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before


ENDING = TRIGGER.format(
    does="IF current_setting('application_name') = 'sync-audit' AND OLD.id = {row} THEN "
    "RAISE EXCEPTION 'as the server says' USING ERRCODE = '{state}'; END IF"
)


@pytest.mark.parametrize("state", ["40P01", pytest.param("42501", marks=pytest.mark.slow)])
def test_a_batch_that_the_server_takes_back_is_told_apart_from_one_of_which_nothing_is_known(
    product: Product, state: str
) -> None:
    before = product.digest
    product.sql(ENDING.format(row=product.rows[-1], state=state))
    ended = product(*APPLY)
    words = " ".join(ended.err.split())
    assert "It ended early: database" in words
    assert ": as the server says" in words
    assert "Nothing of this batch was changed" in words
    assert "could not be read" not in words
    assert not re.search(r"\d not known", words)
    product.sql("DROP FUNCTION on_update CASCADE;")
    ends(product(*APPLY), REPAIR[OK])
    product.sql(ENDING.format(row=product.rows[-1], state=state))
    ended = product(*UNDO)
    words = " ".join(ended.err.split())
    assert "It ended early: database" in words
    assert "Nothing of this batch was changed" in words
    product.sql("DROP FUNCTION on_update CASCADE;")
    ends(product(*UNDO), REPAIR[OK])
    assert product.digest == before

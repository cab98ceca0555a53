"""Repairs, kills, lost connections and a product that goes on meanwhile, in any order: only what is justified happens.

Each interleaving is a seed. What the table went through is told by a trigger, and judged by the plain rules of
`tests.support.repair_model`. A failure shows the seed and the steps; `INTERLEAVING_SEED=123` in the environment runs
that one alone.
"""

import asyncio
import json
import os
import random
import re
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import pytest

from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import FakeTraining, Model, weights_url
from audit.model.exit_status import COULD_NOT_RUN, INCOMPLETE, NEEDS_SYNC, OK
from audit.model.replies import Account, Version
from tests import ROOT
from tests.support import psql
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.database_rows import MODELS, USERS
from tests.support.forks import Forks
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.repair_model import (
    COMPLETED,
    UPDATED,
    VERSION,
    WEIGHTS,
    Deed,
    Latest,
    Row,
    Rows,
    Run,
    Undone,
    differences,
    guarded,
    model_key,
    up_to_date,
)
from tests.support.samples import digest
from tests.support.wire import Fall, Moment, Trap, Wire

T = TypeVar("T")
INCLUDE = (
    *("--include", "unknown_version"),
    *("--include", "malformed_version"),
    *("--include", "training_not_recorded"),
    *("--include", "version_lost"),
)
LINE = re.compile(r"""^\('{"row":"(\d+)","is":""", re.MULTILINE)
PEOPLE = (1, 2, 3, 4, 5, 6, 8)
LOST = (Fall.CUT, Fall.CUT_LATE)
HISTORY = """
CREATE TABLE history (seq bigserial, author text, row_id int, old jsonb, new jsonb);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.history (author, row_id, old, new) SELECT current_setting('application_name'),
        coalesce(OLD.id, NEW.id), to_jsonb(OLD), to_jsonb(NEW);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON user_models FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION dating() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.updated_at = clock_timestamp(); RETURN NEW;
END $$;
CREATE TRIGGER dating BEFORE UPDATE ON user_models FOR EACH ROW EXECUTE FUNCTION dating();
CREATE TABLE kept (LIKE user_models INCLUDING ALL);
"""
RESTORE = """
ALTER TABLE user_models DISABLE TRIGGER ALL;
TRUNCATE user_models, history;
ALTER TABLE user_models ALTER id RESTART WITH 100;
INSERT INTO user_models SELECT * FROM kept ORDER BY id;
ALTER TABLE user_models ENABLE TRIGGER note;
"""


INSERT = """
INSERT INTO user_models (user_id, training_status, replicate_model_id, replicate_version_id, is_test, created_at,
    updated_at, completed_at)
SELECT user_id, training_status, replicate_model_id, replicate_version_id, false, created_at, updated_at, completed_at
FROM json_populate_record(NULL::user_models, $1::text::json)
"""
_BACK = ("user_id", "training_status", "replicate_model_id", VERSION, WEIGHTS, "is_test", "training_id", UPDATED)
WRITE_BACK = f"""
UPDATE user_models AS m SET {", ".join(f"{name} = r.{name}" for name in _BACK)}
FROM json_populate_record(NULL::user_models, $1::text::json) AS r WHERE m.id = r.id
"""


class Moving:
    """A model for each person, which can be trained again."""

    def __init__(self) -> None:
        self.account = Account(type="organization", username="acme")
        self.public_models: tuple[Model, ...] = ()
        self.ages: dict[str, int] = {}

    def model(self, owner: str, name: str) -> Model | None:
        """See `World`. Case makes no difference."""
        if owner.lower() != "acme" or name.lower() not in {f"m{i}" for i in PEOPLE}:
            return None
        newest = self.ages.get(name.lower(), 0)
        made = [Version(digest(f"{name.lower()} {age}"), moment(age)) for age in range(newest, -3, -1)]
        return Model(owner=owner, name=name, versions=tuple(made))

    def latest(self) -> dict[str, Latest]:
        """Of each model now."""
        newest = {f"m{i}": digest(f"m{i} {self.ages.get(f'm{i}', 0)}") for i in PEOPLE}
        return {f"acme/{name}": Latest(version, weights_url(version)) for name, version in newest.items()}

    @property
    def trainings(self) -> list[FakeTraining]:
        """Those that made the versions of all but the fourth model."""
        made = [(age, f"m{i}") for i in PEOPLE if i != 4 for age in range(self.ages.get(f"m{i}", 0), -3, -1)]
        return [
            FakeTraining(
                id=f"t{name}x{age + 3}",
                destination=f"acme/{name}",
                status="succeeded",
                created_at=moment(age),
                completed_at=moment(age),
                output_version=digest(f"{name} {age}"),
            )
            for age, name in sorted(made, reverse=True)
        ]

    def training(self, training_id: str) -> FakeTraining | None:
        """See `World`."""
        return next((each for each in self.trainings if each.id == training_id), None)

    def weights(self, path: str) -> int:
        """See `World`."""
        return 404


def moment(age: int) -> str:
    return f"2026-02-{10 + age:02d}T00:00:00Z"


def first_rows() -> list[Row]:
    """Of person 3 the version is recorded that is the latest, of all others one that is not."""
    found = []
    for i in PEOPLE[:-1]:
        version = digest(f"m{i} {0 if i == 3 else -1}")
        row: Row = {
            "id": i,
            "user_id": f"u{i}",
            "training_status": "completed",
            "replicate_model_id": f"acme/m{i}",
            "replicate_version_id": f"acme/m{i}:{version}" if i == 5 else version,
            "training_id": f"t{i}",
            "trigger_word": "TOK",
            "lora_scale": "1",
            "lora_weights_url": None if i == 2 else weights_url(version),
            "is_test": False,
            "created_at": f"2026-01-{i:02d}T00:00:00Z",
            "updated_at": None if i == 6 else f"2026-01-{i:02d}T01:00:00Z",
            "completed_at": f"2026-01-{i:02d}T00:30:00Z",
        }
        found.append(row)
    # Nobody has written down that the training of person 1 has succeeded; the retraining of person 8 wiped the row.
    wiped = {VERSION: None, WEIGHTS: None, "completed_at": None}
    training = {"id": 8, "training_status": "training", "training_id": "tm1x3", "created_at": "2026-02-09T23:00:00Z"}
    lost = {"id": 9, "user_id": "u8", "training_status": "failed", "training_id": None, "replicate_model_id": "acme/m8"}
    found.append({**found[0], **wiped, **training, UPDATED: None})
    found.append({**found[0], **wiped, **lost, "created_at": "2026-02-15T00:00:00Z", UPDATED: None})
    return [*found, {**found[1], "id": 7, "created_at": "2025-12-01T00:00:00Z", "updated_at": "2025-12-01T01:00:00Z"}]


class Stage:
    """A database behind a wire, Replicate, and the first audit of it all."""

    def __init__(self, server: str, forks: Forks, folder: Path) -> None:
        self.folder = folder
        self.forks = forks
        self.world = Moving()
        self.judged: list[Rows] = []
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire and product", daemon=True)
        self._name = "interleavings"

    @contextmanager
    def open(self) -> Iterator["Stage"]:
        """Fill the database, audit it, and serve."""
        sockets = Path(unquote(urlsplit(self._server).query.removeprefix("host=")))
        direct = asyncio.run(new_database(self._server, self._name))
        with ExitStack() as cleanup:
            cleanup.callback(self._loop.close)
            self._thread.start()
            cleanup.callback(self._thread.join)
            cleanup.callback(self._loop.call_soon_threadsafe, self._loop.stop)
            wires = self.folder / "wire"
            wires.mkdir()
            self.wire = Wire(sockets, wires, self._judging)
            self.wait(self.wire.start())
            cleanup.callback(lambda: self.wait(self.wire.close()))
            settings = {"application_name": "product", "timezone": "UTC"}
            self._product = self.wait(asyncpg.connect(direct, server_settings=settings))
            cleanup.callback(lambda: self.wait(self._product.close()))
            self.wait(self._fill())
            self.dsn = f"postgresql://postgres@/{self._name}?host={quote(str(wires), safe='')}"
            self.address = f"{wires}:5432/{self._name}"
            fake = cleanup.enter_context(in_thread(InstrumentedReplicate(self.world)))
            self.environ = Shell(ROOT).all_environ(Servers(self.dsn, fake, 0).environ | {"SYNC_AUDIT_TIMEOUT": "20"})
            self.first = self.folder / "first"
            self.first.mkdir()
            self.restore(dating=False)
            self.seen = self.wait(self.rows())
            assert self.run(self.first, "run", "--run-file", "r1.sqlite", "-o", "json=r.json", "--trainings").code == 3
            yield self

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns, which is done where the wire is."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _fill(self) -> None:
        await self._product.execute(f"ALTER DATABASE {self._name} SET timezone = 'UTC'")
        await self._product.execute("SET lock_timeout = '30ms'")
        await self._product.execute(USERS + MODELS + HISTORY)
        for i in PEOPLE:
            await self._product.execute("INSERT INTO users VALUES ($1, $2, $1)", f"u{i}", f"u{i}@example.com")
        await self._product.execute(
            "INSERT INTO kept SELECT * FROM json_populate_recordset(NULL::kept, $1::text::json)",
            json.dumps(first_rows()),
        )

    def restore(self, *, dating: bool) -> None:
        """Everything as it was audited. `dating`: a trigger dates every change."""
        self.world.ages.clear()
        self.judged.clear()
        more = "ALTER TABLE user_models ENABLE TRIGGER dating" if dating else ""
        self.wait(self._product.execute(f"SET lock_timeout = '20s'; {RESTORE} {more}; SET lock_timeout = '30ms'"))

    async def rows(self) -> Rows:
        """The table as everybody sees it."""
        found = await self._product.fetch("SELECT to_jsonb(m) AS row FROM user_models AS m")
        return {row["id"]: row for row in (json.loads(each["row"]) for each in found)}

    async def _judging(self) -> None:
        self.judged.append(await self.rows())

    async def history(self) -> list[tuple[str, int, Row | None, Row | None]]:
        """Author, row, old and new of all changes since the last call."""
        found = await self._product.fetch("DELETE FROM history RETURNING *")
        rows = sorted(found, key=lambda row: row["seq"])
        return [(row["author"], row["row_id"], _row(row["old"]), _row(row["new"])) for row in rows]

    async def write(self, query: str, row: str | None) -> bool:
        """What the product does; False where it would have to wait for somebody who has a row locked."""
        try:
            await self._product.execute(query, *([] if row is None else [row]))
        except asyncpg.LockNotAvailableError:
            return False
        return True

    def run(self, folder: Path, *arguments: str) -> Ended:
        """`sync-audit`, forked."""
        code, out, err = self.forks.run(arguments, folder, self.environ, 60)
        return Ended(code, out.decode(), err.decode())


def _row(text: str | None) -> Row | None:
    return json.loads(text) if text else None


class Interleaving:
    """What one seed comes to."""

    def __init__(self, stage: Stage, seed: int, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.dice = random.Random(seed)
        self.steps = [f"seed {seed}"]
        self.dated = self.dice.random() < 0.15
        stage.restore(dating=self.dated)
        shutil.copy(stage.first / "r1.sqlite", folder)
        self.runs = [Run("r1", stage.seen, stage.world.latest())]
        self.late: list[tuple[Run, str, Rows, bool]] = []
        """Of each connection that is on its way: whose it is, what it does, what it has seen, `--touch`."""
        self.writes = 0
        self.changed = 0

    def play(self) -> None:
        """All steps, and everything taken back."""
        choices: list[tuple[float, Callable[[], None]]] = [
            (5, self.product),
            (1, self.retrain),
            (0.5, self.audit),
            (3, self.apply),
            (1, self.plan),
            (1.3, self.undo),
            (1.3, self.psql_apply),
            (1, self.psql_undo),
            (1, self.arrive),
            (0.15, self.move),
        ]
        for _ in range(self.dice.randint(3, 8)):
            weights, steps = zip(*choices, strict=True)
            self.dice.choices(steps, weights)[0]()
            self.check_history(None, "nothing", {}, touched=False)
        self.settle()

    def say(self, step: str) -> None:
        self.steps.append(step)

    # What the product does.

    def product(self) -> None:
        for _ in range(self.dice.randint(1, 3)):
            self.stage.wait(self.write())

    async def write(self) -> None:
        """One write of the product, anywhere; not where somebody else has the row locked."""
        rows = await self.stage.rows()
        row_id = self.dice.choice(sorted(rows) or [1])
        kinds: list[Callable[[], tuple[str, str | None]]] = [
            lambda: (f"UPDATE user_models SET {self._edit(rows.get(row_id))} WHERE id = {row_id}", None),
            lambda: (f"DELETE FROM user_models WHERE id = {row_id}", None),
            lambda: (INSERT, self._newer_row()),
            lambda: (WRITE_BACK, self._old_row(row_id)),
        ]
        [kind] = self.dice.choices(kinds, [10, 1, 2, 2])
        query, row = kind()
        done = await self.stage.write(query, row)
        self.writes += done
        self.say(f"  product: {query} {row or ''}{'' if done else ' -- locked'}")

    def _edit(self, row: Row | None) -> str:
        """What the product sets in a row."""
        dice, other = self.dice, self.dice.choice(PEOPLE)
        latest = self.stage.world.latest().get(model_key(row) if row else "", Latest("v", "w"))
        edit = dice.choice(
            (
                f"replicate_model_id = 'acme/m{other}'",
                f"replicate_model_id = 'ACME/M{other}'",
                f"replicate_version_id = '{latest.version}'",
                f"replicate_version_id = '{latest.version}', lora_weights_url = '{latest.weights}'",
                f"replicate_version_id = '{digest(str(dice.random()))}'",
                f"user_id = 'u{other}'",
                "is_test = NOT is_test",
                "is_test = false",
                f"lora_weights_url = 'https://example.com/{dice.randrange(9)}'",
                f"training_id = 'again{dice.randrange(9)}'",
                "training_status = 'training'",
                "training_status = 'completed'",
                "trigger_word = 'OTHER'",
            )
        )
        return edit + dice.choice(("", ", updated_at = now()"))

    def _newer_row(self) -> str:
        """Of a training that goes on, or has just ended."""
        person, now = self.dice.choice(PEOPLE), f"2026-03-01T00:00:{self.writes % 60:02d}Z"
        row = {
            "user_id": f"u{person}",
            "training_status": self.dice.choice(("training", "completed")),
            "replicate_model_id": f"acme/m{person}",
            VERSION: digest(f"m{person} {self.dice.choice((0, -1))}"),
        }
        return json.dumps(row | dict.fromkeys(("created_at", "updated_at", "completed_at"), now))

    def _old_row(self, row_id: int) -> str:
        """What was in a row when it was audited, or after a repair."""
        olds = [run.seen[row_id] for run in self.runs if row_id in run.seen]
        olds += [run.deeds[row_id].after for run in self.runs if row_id in run.deeds]
        return json.dumps(self.dice.choice(olds) if olds else {})

    def retrain(self) -> None:
        name = f"m{self.dice.choice(PEOPLE)}"
        self.stage.world.ages[name] = self.stage.world.ages.get(name, 0) + 1
        self.say(f"  {name} is trained again")

    # What somebody does who repairs.

    def audit(self) -> None:
        run = Run(f"r{len(self.runs) + 1}", self.stage.wait(self.stage.rows()), self.stage.world.latest())
        ended = self.command("run", "--run-file", f"{run.name}.sqlite", "-o", "json=r.json", "--trainings")
        assert ended.code in {OK, NEEDS_SYNC, INCOMPLETE}
        self.runs.append(run)
        self.writes = 0

    def plan(self) -> None:
        run = self.pick()
        ended = self.command("sync", f"{run.name}.sqlite", *INCLUDE, *self.moved_from(run))
        assert ended.code in {OK, NEEDS_SYNC}

    def move(self) -> None:
        """From now on somebody says that the database has moved, so that nobody can ask for transactions."""
        self.arrive_all()
        for run in self.runs:
            run.has_moved = True
            self.command("sync", f"{run.name}.sqlite", *INCLUDE, *self.moved_from(run))

    def moved_from(self, run: Run) -> tuple[str, ...]:
        return ("--moved-from", self.stage.address) if run.has_moved else ()

    def pick(self) -> Run:
        return self.dice.choice([*self.runs, self.runs[-1]])

    def apply(self) -> None:
        run, trap, latest = self.pick(), self.set_trap(), self.stage.world.latest()
        touched = self.dice.random() < 0.2
        late, writes, quiet = bool(self.late), self.writes, not run.deeds
        more = ("--touch",) if touched else ()
        ended = self.command("sync", f"{run.name}.sqlite", *INCLUDE, "--apply", "--yes", *more, *self.moved_from(run))
        fell = self.spring(trap, run, "apply", touched=touched)
        done = self.check_history(run, "apply", latest, touched=touched)
        if fell is Fall.KILL or fell is Fall.KILL_LATE:
            assert ended.code == -9
            return
        assert ended.code in {OK, NEEDS_SYNC, INCOMPLETE, *([COULD_NOT_RUN] if fell in LOST else [])}
        planned = self.planned(run)
        if fell in (None, Fall.WRITE) and not late:
            self.check_complete(run, planned, done, latest)
            if planned and planned == done and quiet and not (writes or trap.sprung or self.retrained(run)):
                assert ended.code == OK, "nothing stood against it"
        if ended.code == OK and planned:
            rows = self.stage.wait(self.stage.rows())
            users = {run.seen[row_id]["user_id"] for row_id in planned}
            assert planned <= done, "it says that all is done"
            assert up_to_date(rows, users, self.stage.world.latest()) == users, "it says that all are up to date"
            assert not any(each is run and does == "apply" for each, does, *_ in self.late), "it says that all is known"

    def psql_apply(self) -> None:
        run, latest = self.pick(), self.stage.world.latest()
        if not (self.folder / f"{run.name}-apply.sql").exists():
            self.plan()
        if not (self.folder / f"{run.name}-apply.sql").exists():
            return
        self.arrive_all()
        planned, trap = self.planned(run), self.set_trap()
        self.psql(run, "apply")
        fell = self.spring(trap, run, "psql apply", touched=False)
        done = self.check_history(run, "psql apply", latest, touched=False)
        if fell in (None, Fall.WRITE):
            self.check_complete(run, planned, done, None)

    def undo(self) -> None:
        run = self.pick()
        if (self.folder / f"{run.name}-undo.sql").exists():
            self.undo_run(run, self.set_trap(), alone=self.dice.random() < 0.15)

    def undo_run(self, run: Run, trap: Trap, *, alone: bool = False) -> Ended:
        """`alone`: without the run file."""
        unknown = bool(self.late) or run.has_moved or alone
        file = self.folder / f"{run.name}.sqlite"
        if alone:
            file.rename(file.with_suffix(".away"))
        ended = self.command("sync", "--undo", f"{run.name}-undo.sql", "--yes", *self.moved_from(run))
        if alone:
            file.with_suffix(".away").rename(file)
        fell = self.spring(trap, run, "undo", touched=False)
        self.check_history(run, "undo", {}, touched=False, fell=trap.sprung and trap.fall is not Fall.WRITE)
        if fell is Fall.KILL or fell is Fall.KILL_LATE:
            assert ended.code == -9
            return ended
        assert ended.code in {OK, INCOMPLETE, *([COULD_NOT_RUN] if fell in LOST else [])}
        rows = self.stage.wait(self.stage.rows())
        for row_id, deed in run.deeds.items():
            row = rows.get(row_id)
            if deed.undone is not Undone.NO:
                continue
            if fell is None and not unknown:
                assert guarded(row) != guarded(deed.after), f"row {row_id} could have been put back"
            if row and not differences(row, deed.before) & COMPLETED:
                deed.undone = Undone.MAYBE
            else:
                assert ended.code != OK or alone, f"it says that row {row_id} is put back"
        return ended

    def psql_undo(self) -> None:
        run = self.pick()
        if (self.folder / f"{run.name}-undo.sql").exists():
            self.arrive_all()
            trap = self.set_trap()
            self.psql(run, "undo")
            self.spring(trap, run, "psql undo", touched=False)
            self.check_history(run, "psql undo", {}, touched=False, fell=trap.sprung and trap.fall is not Fall.WRITE)

    def command(self, *arguments: str) -> Ended:
        self.stage.judged.clear()
        ended = self.stage.run(self.folder, *arguments)
        self.say(f"{' '.join(arguments)} -> {ended.code}\n{ended.err if arguments[0] == 'sync' else ''}")
        assert "Traceback" not in ended.err
        return ended

    def psql(self, run: Run, purpose: str) -> None:
        self.stage.judged.clear()
        ended = psql.run(self.stage.dsn, self.folder / f"{run.name}-{purpose}.sql")
        self.say(f"psql {run.name}-{purpose}.sql -> {ended.returncode}\n{ended.stdout}{ended.stderr}")
        assert ended.returncode in {0, 2, 3, -9}

    def planned(self, run: Run) -> set[int]:
        file = self.folder / f"{run.name}-apply.sql"
        return {int(row_id) for row_id in LINE.findall(file.read_text())} if file.exists() else set()

    def retrained(self, run: Run) -> bool:
        return self.stage.world.latest() != run.latest

    # What happens to those who do.

    def set_trap(self) -> Trap:
        moment = self.dice.choice(tuple(Moment))
        falls = [Fall.WRITE, Fall.WRITE, Fall.CUT, Fall.KILL]
        if moment is Moment.COMMIT:
            falls += [Fall.CUT_LATE, Fall.KILL_LATE]
        trap = Trap(moment, self.dice.choice(falls), self.meanwhile)
        self.stage.wire.trap = trap if self.dice.random() < 0.6 else None
        return trap

    async def meanwhile(self) -> None:
        self.say("  meanwhile:")
        for _ in range(self.dice.randint(1, 3)):
            await self.write()

    def spring(self, trap: Trap, run: Run, does: str, *, touched: bool) -> Fall | None:
        """How the command fell, if it did."""
        self.stage.wire.trap = None
        if not trap.sprung:
            return None
        self.say(f"  fell: {trap.moment}, {trap.fall}")
        if trap.fall in (Fall.CUT_LATE, Fall.KILL_LATE):
            self.late.append((run, does, self.stage.judged[-1], touched))
        return trap.fall

    def arrive(self) -> None:
        """What was on its way arrives, or never does."""
        if not self.late:
            return
        place = self.dice.randrange(len(self.late))
        run, does, judged, touched = self.late.pop(place)
        arrives = self.dice.random() < 0.6
        self.stage.wait(self.stage.wire.late.pop(place).end(arrives=arrives))
        self.say(f"  late: {does} of {run.name} {'arrives' if arrives else 'is lost'}")
        self.stage.judged[:] = [judged]
        self.check_history(run, does, None, touched=touched, fell=True)

    def arrive_all(self) -> None:
        while self.late:
            self.arrive()

    def settle(self) -> None:
        """Everything comes to an end, and is taken back."""
        self.say("settling")
        self.arrive_all()
        for run in reversed(self.runs):
            if (self.folder / f"{run.name}-undo.sql").exists():
                self.undo_run(run, Trap(Moment.LOCK, Fall.WRITE, self.meanwhile))
        rows = self.stage.wait(self.stage.rows())
        for run in self.runs:
            for row_id, deed in run.deeds.items():
                if deed.undone is Undone.NO and not run.has_moved:
                    assert guarded(rows.get(row_id)) != guarded(deed.after), f"row {row_id} was not put back"

    # What the table says of it.

    def check_history(self, run: Run | None, does: str, latest: Any, *, touched: bool, fell: bool = False) -> set[int]:
        """See that all that was written since was right to be; the rows that a repair has changed."""
        done = set[int]()
        for author, row_id, old, new in self.stage.wait(self.stage.history()):
            if author == "product":
                continue
            assert run, f"{author} writes row {row_id}, and nobody knows why"
            assert author == ("psql" if "psql" in does else "sync-audit")
            assert old, f"{does}: row {row_id} may not be made"
            assert new, f"{does}: row {row_id} may not be deleted"
            assert row_id not in done, f"{does}: row {row_id} is changed twice"
            done.add(row_id)
            self.say(f"  {does} of {run.name} changes row {row_id}: {sorted(differences(old, new))}")
            if "undo" in does:
                self._check_undone(run, row_id, old, new)
                run.deeds[row_id].undone = Undone.MAYBE if fell else Undone.YES
            else:
                self._check_applied(run, row_id, old, new, touched=touched)
                if latest and does == "apply" and old["training_status"] == "completed":
                    wanted = latest.get(model_key(old), Latest("none", ""))
                    assert new[VERSION].endswith(wanted.version), f"row {row_id} gets an old version"
        self.changed += len(done)
        return done

    def _check_applied(self, run: Run, row_id: int, old: Row, new: Row, *, touched: bool) -> None:
        judged = self.stage.judged[-1]
        if old["training_status"] != "completed":
            self._check_completed(run, row_id, old, new, touched=touched)
            return
        why = run.not_justified(row_id, judged)
        assert why is None, f"row {row_id} is changed, though {why}"
        assert old == judged[row_id], f"row {row_id} is changed, though it was not what was judged"
        version, weights = run.wanted(old) or ("", "")
        assert new[VERSION] == version, f"row {row_id} gets another version"
        assert new[WEIGHTS] in {old[WEIGHTS], weights}
        dates = {UPDATED} if self.dated or touched else set()
        assert differences(old, new) <= {VERSION, WEIGHTS, *dates}
        run.deeds[row_id] = Deed(old, new, touched)

    def _check_completed(self, run: Run, row_id: int, old: Row, new: Row, *, touched: bool) -> None:
        judged = self.stage.judged[-1]
        why = run.not_to_be_completed(row_id, judged, model_key(new))
        assert why is None, f"row {row_id} is made a completed one, though {why}"
        assert old == judged[row_id], f"row {row_id} is changed, though it was not what was judged"
        assert new["training_status"] == "completed"
        made = {digest(f"{model_key(new).removeprefix('acme/')} {age}") for age in range(-2, 20)}
        assert new[VERSION] in made, f"row {row_id} gets a version of another model"
        assert new[WEIGHTS] in {None, weights_url(new[VERSION])}, f"row {row_id} gets the weights of another version"
        assert differences(old, new) <= COMPLETED | {UPDATED}
        run.deeds[row_id] = Deed(old, new, touched or old[UPDATED] != new[UPDATED])

    def _check_undone(self, run: Run, row_id: int, old: Row, new: Row) -> None:
        deed = run.deeds.get(row_id)
        assert deed, f"row {row_id} is put back, and was never changed"
        assert deed.undone is not Undone.YES, f"row {row_id} is put back, which it was before"
        assert guarded(old) == guarded(deed.after), f"row {row_id} is put back, though it was changed since"
        assert not differences(deed.before, new) & COMPLETED, f"row {row_id} is put back to something else"
        dates = {UPDATED} if self.dated or deed.touched else set()
        assert differences(old, new) <= COMPLETED | dates
        if deed.touched and not self.dated:
            assert new[UPDATED] == deed.before[UPDATED], f"row {row_id} keeps the date of the repair"

    def check_complete(self, run: Run, planned: set[int], done: set[int], latest: Any) -> None:
        """See that nothing was left out that nothing stood against."""
        judged = self.stage.judged[-1] if self.stage.judged else {}
        for row_id in planned - done:
            if not judged or run.not_justified(row_id, judged):
                continue
            if latest and latest.get(model_key(judged[row_id])) != run.latest.get(model_key(judged[row_id])):
                continue
            raise AssertionError(f"row {row_id} could have been changed")


@pytest.fixture(scope="module")
def stage(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    with closing(Forks(Shell(ROOT).all_environ({}))) as forks, Stage(postgres_server, forks, folder).open() as made:
        yield made


def play(stage: Stage, seed: int, folder: Path) -> Interleaving:
    folder.mkdir()
    interleaving = Interleaving(stage, seed, folder)
    try:
        interleaving.play()
    except BaseException:
        print("\n".join(interleaving.steps))  # noqa: T201 - shown where the test fails
        raise
    finally:
        stage.wire.trap = None
        while stage.wire.late:
            stage.wait(stage.wire.late.pop().end(arrives=False))
    shutil.rmtree(folder)
    return interleaving


def play_all(stage: Stage, seeds: range, folder: Path) -> None:
    chosen = os.environ.get("INTERLEAVING_SEED")
    for seed in [int(chosen)] if chosen else seeds:
        play(stage, seed, folder / str(seed))


def test_a_few_interleavings_do_only_what_is_justified(stage: Stage, tmp_path: Path) -> None:
    play_all(stage, range(6), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(100))
def test_many_interleavings_do_only_what_is_justified(stage: Stage, tmp_path: Path, part: int) -> None:
    play_all(stage, range(1000 + part * 20, 1000 + part * 20 + 20), tmp_path)

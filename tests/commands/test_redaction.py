"""With --redact no e-mail and no name comes out of any command, wherever in the tables it stands."""

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest

from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld
from audit.model.replies import Account, Version
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.database_rows import MODELS, USERS, execute, insert, model
from tests.support.instrumented_replicate import InstrumentedReplicate

PEOPLE = {
    "anna.schmidt@example.com": "Anna Schmidt",
    "jose.garcia@example.com": "José García",
    "juergen.gross@example.com": unicodedata.normalize("NFD", "Jürgen Groß"),
}
NAMELESS = ("annaschmidt", "josegarcia", "jurgengross", "juergengross", "examplecom")
"""What no output may hold, whatever stands between its letters; no host of this test is an example's."""


def new(name: str) -> str:
    return hashlib.sha256(f"new {name}".encode()).hexdigest()


def old(name: str) -> str:
    return hashlib.sha256(f"old {name}".encode()).hexdigest()


SLUGS = ("anna-schmidt", "user_jose.garcia", "JuergenGross2")
WORLD = SmallWorld(
    account=Account(type="organization", username="acme"),
    models=tuple(
        Model(
            owner="acme",
            name=slug,
            versions=(Version(new(slug), "2026-03-01T00:00:00Z"), Version(old(slug), "2026-01-01T00:00:00Z")),
        )
        for slug in SLUGS
    ),
    trainings=tuple(
        FakeTraining(
            id=f"{'t' * 24}{number}q",
            destination=f"acme/{slug}",
            status="failed" if number == 1 else "succeeded",
            created_at="2026-02-28T00:00:00Z",
            completed_at="2026-03-01T00:00:00Z",
            output_version=None if number == 1 else new(slug),
            trigger_word=slug.upper(),
            error=f"no face of {slug}" if number == 1 else None,
        )
        for number, slug in enumerate(SLUGS)
    ),
)
"""Ids, trigger words and errors were made from the users' names; each model has a newer version than is recorded."""


@pytest.fixture
def redacting(shell: Shell, postgres_server: str) -> Iterator[Shell]:
    dsn = asyncio.run(new_database(postgres_server, "redacting"))
    asyncio.run(execute(dsn, USERS, MODELS))
    users = [{"id": email, "email": email, "display_name": name} for email, name in PEOPLE.items()]
    asyncio.run(insert(dsn, "users", users))
    rows = [
        model(
            user_id=email,
            replicate_model_id=f"acme/{slug}",
            replicate_version_id=old(slug),
            training_id=f"of {email}",
            trigger_word=slug.upper(),
            lora_weights_url=f"https://replicate.delivery/{email.replace('@', '%40')}/{slug}.tar",
            model_name=name,
            failure_reason=f"the photos of {name} <{email}>",
        )
        for (email, name), slug in zip(PEOPLE.items(), SLUGS, strict=True)
    ]
    rows += [{**row, "training_status": "failed", "updated_at": "2026-03-02T00:00:00Z"} for row in rows[:2]]
    asyncio.run(insert(dsn, "user_models", rows))
    with in_thread(InstrumentedReplicate(WORLD)) as fake:
        shell.environ = Servers(dsn, fake).environ
        yield shell


def letters(text: str) -> str:
    """`text` as somebody would read it who looks for a name in it."""
    plain = unicodedata.normalize("NFKD", unquote(unquote(text))).casefold()
    return re.sub(r"[\W_]+|[\u0300-\u036f]", "", plain)


def names_nobody(ended: Ended, folder: Path, *allowed: str) -> None:
    told = {"stdout": ended.out, "stderr": ended.err}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in {".sqlite", ".toml"} and path.name not in allowed:
            told[path.name] = path.read_text()
    assert "Traceback" not in ended.err
    for where, text in told.items():
        for each in NAMELESS:
            bare = letters(text)
            at = bare.find(each)
            assert at < 0, f"{where}: {each}: {bare[max(0, at - 60) : at + 60]}"


PLAIN = """
    ALTER TABLE user_models DROP COLUMN lora_weights_url, DROP COLUMN training_id;
    UPDATE users SET id = md5(id);
    UPDATE user_models SET user_id = md5(user_id)
"""
DIFFS = ("html", "csv", "json", "md")
REPORTS = tuple(f"-o{kind}=report.{kind}" for kind in ("html", "csv", "json", "md", "junit"))


@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.parametrize("more", [(), ("--trainings",), ("--mode", "trainings"), ("--latest-per", "model")], ids=str)
def test_a_run_names_nobody(redacting: Shell, more: tuple[str, ...], log: str) -> None:
    about = ("--redact", "-vv", "--log-format", log, "--run-file", "run.sqlite")
    ended = redacting("run", *about, *REPORTS, *more)
    assert ended.code in {3, 4}, ended.err
    names_nobody(ended, redacting.folder)


def test_what_is_made_of_a_run_names_nobody(redacting: Shell) -> None:
    assert redacting("run", "--run-file", "run.sqlite", "--trainings", "-ocsv=raw/report.csv").code in {3, 4}
    (redacting.folder / "raw/report.csv").unlink()
    named = "anna.schmidt@example.com-before.sqlite"
    (redacting.folder / named).write_bytes((redacting.folder / "run.sqlite").read_bytes())
    for command in (
        ("render", "run.sqlite", "--redact", *REPORTS),
        ("sync", "run.sqlite", "--redact", "-o", "plan.json", "--include", "unknown_version"),
        ("run", "--redact", "-vv", "--run-file", "next.sqlite", "--baseline", named, *REPORTS),
        ("run", "--redact", "-vv", "--run-file", "one.sqlite", "--user", "anna.schmidt@example.com", *REPORTS),
        ("run", "--redact", "-vv", "--resume", "next.sqlite"),
        (
            "diff",
            named,
            "next.sqlite",
            "--redact",
            *(f"-o{kind}=diff.{kind}" for kind in DIFFS),
        ),
        ("sync", "run.sqlite", "--redact", "--apply", "--yes"),
        ("sync", "run.sqlite", "--redact"),
        ("sync", "--undo", "run-undo.sql", "--redact", "--yes"),
    ):
        ended = redacting(*command)
        assert ended.code in {0, 3, 4}, ended.err
        names_nobody(ended, redacting.folder, named)


async def recorded(dsn: str) -> list[tuple[int, str]]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT id, replicate_version_id FROM user_models ORDER BY id")
    finally:
        await connection.close()
    return [(row["id"], row["replicate_version_id"]) for row in rows]


def test_what_a_redacted_plan_has_changed_is_put_back(redacting: Shell) -> None:
    dsn = redacting.environ["DATABASE_URL"]
    before = asyncio.run(recorded(dsn))
    assert redacting("run", "--run-file", "run.sqlite", "--redact", "-ocsv=report.csv").code == 3
    applied = redacting("sync", "run.sqlite", "--redact", "--version-only", "--apply", "--yes")
    assert applied.code == 0, applied.err
    changed = [new for new, old in zip(asyncio.run(recorded(dsn)), before, strict=True) if new != old]
    assert changed == [(number, new(slug)) for number, slug in enumerate(SLUGS, 1)]
    names_nobody(applied, redacting.folder)
    undone = redacting("sync", "--undo", "run-undo.sql", "--yes")
    assert undone.code == 0, undone.err
    assert asyncio.run(recorded(dsn)) == before


def test_names_in_the_paths_of_other_files_are_masked(redacting: Shell) -> None:
    accepted = redacting.folder / "José García, anna.schmidt@example.com.toml"
    accepted.write_text(
        f'[[accept]]\nuser = "{next(iter(PEOPLE))}"\nreason = "outdated_version"\nbecause = "x"\nuntil = 2099-01-01\n'
    )
    ended = redacting("run", "--redact", "--run-file", "run.sqlite", "--accept", str(accepted), *REPORTS)
    assert ended.code == 3, ended.err
    names_nobody(ended, redacting.folder, accepted.name)


def test_a_name_that_is_a_word_of_the_sql_leaves_nobody_out(redacting: Shell) -> None:
    dsn = redacting.environ["DATABASE_URL"]
    asyncio.run(execute(dsn, "UPDATE users SET display_name = 'Set', email = NULL", PLAIN))
    assert redacting("run", "--run-file", "run.sqlite", "--redact", "-ocsv=report.csv").code == 3
    planned = redacting("sync", "run.sqlite", "--redact", "--version-only")
    assert "--redact was given" not in planned.out
    assert (redacting.folder / "run-apply.sql").exists()

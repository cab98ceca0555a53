"""On a terminal `init` asks where two candidates are equally good; elsewhere it takes one, and says so."""

import asyncio
import tomllib

import asyncpg
import pytest

from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes import SHAPES
from tests.support.shapes.story import PEOPLE, TRAINED, rows
from tests.support.terminals import terminal

TABLE = """
CREATE TABLE {name} (
    id serial PRIMARY KEY, user_id integer REFERENCES users (id), model text, version text, status text,
    created_at timestamptz
);
"""


def twins() -> str:
    """Two tables that are alike."""
    made = "CREATE TABLE users (id serial PRIMARY KEY, email text);" + rows(
        "users", ({"email": p.email} for p in PEOPLE)
    )
    for name in ("portraits", "landscapes"):
        made += TABLE.format(name=name) + rows(
            name,
            (
                {
                    "user_id": row.person.number,
                    "model": row.model,
                    "version": row.hash,
                    "status": row.state,
                    "created_at": row.created,
                }
                for row in TRAINED
            ),
        )
    return made


@pytest.fixture
def shop(request: pytest.FixtureRequest, shell: Shell, postgres_server: str, replicate: InstrumentedReplicate) -> Shell:
    """A shell for a database made by the SQL that the test is parametrized with."""

    async def made() -> str:
        dsn = await new_database(postgres_server, "init_asks")
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(request.param)
        finally:
            await connection.close()
        return dsn

    shell.environ = Servers(asyncio.run(made()), replicate).environ
    return shell


def written(shop: Shell) -> dict[str, object]:
    database = tomllib.loads((shop.folder / "sync-audit.toml").read_text())["database"]
    assert isinstance(database, dict)
    return database


@pytest.mark.parametrize("shop", [twins()], ids=["twins"], indirect=True)
def test_a_person_chooses_between_two_tables_that_are_alike(shop: Shell) -> None:
    with terminal(shop, "init") as seen:
        lines = seen.until(lambda lines: any(line.startswith("Which one") for line in lines))
        assert "Where are the versions that the product runs?" in lines
        choice = next(line for line in lines if "portraits.version" in line).split(".")[0].strip()
        seen.type(f"{choice}\n".encode())
        assert seen.to_the_end() == 0
    assert written(shop)["tables"] == {"user_models": "portraits"}


@pytest.mark.parametrize("shop", [twins()], ids=["twins"], indirect=True)
def test_without_a_terminal_one_is_taken_and_the_other_named(shop: Shell) -> None:
    ended = shop("init")
    assert ended.code == 0
    said = " ".join(ended.out.split())
    assert "looks nearly as much like the versions that count" in said
    assert "portraits" in said
    assert "landscapes" in said


@pytest.mark.parametrize("shop", [SHAPES["owner_in_code"].sql], ids=["owner_in_code"], indirect=True)
def test_a_person_is_asked_whose_models_are_that_have_names_alone(shop: Shell) -> None:
    del shop.environ["REPLICATE_API_TOKEN"]
    with terminal(shop, "init") as seen:
        seen.until(lambda lines: any("Whose are they on Replicate" in line for line in lines))
        seen.type(b"no/name\n")
        seen.until(lambda lines: any("must be the name of an account" in line for line in lines))
        seen.type(b"acme\n")
        assert seen.to_the_end() == 0
    assert written(shop)["owner"] == "acme"


@pytest.mark.parametrize("shop", [twins()], ids=["twins"], indirect=True)
def test_ctrl_c_at_a_question_ends_without_a_file(shop: Shell) -> None:
    with terminal(shop, "init") as seen:
        seen.until(lambda lines: any(line.startswith("Which one") for line in lines))
        assert seen.interrupt() == 130
    assert not (shop.folder / "sync-audit.toml").exists()

"""Whose the rows are where no name and no foreign key says so, and which users are left out."""

import hashlib
import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from tests.commands.init.conftest import Make
from tests.support.audits import Shell
from tests.support.shapes.story import BEN, PEOPLE, TRAINED, Person, rows


def digits(person: Person) -> str:
    return hashlib.sha256(person.name.encode()).hexdigest()


def trainings(**more: Callable[[Person], object]) -> str:
    """A table of trainings with these columns of text more, each a function of the user."""
    columns = ", ".join(f"{name} text" for name in more)
    made = (
        {
            "model": row.model,
            "version": row.hash,
            "training": row.training,
            "status": row.state,
            "created_at": row.created,
            **{name: value(row.person) for name, value in more.items()},
        }
        for row in TRAINED
    )
    return f"""CREATE TABLE trainings (
        id serial PRIMARY KEY, model text, version text, training text, status text, created_at timestamptz, {columns}
    );""" + rows("trainings", made)


def said(shop: Shell) -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((shop.folder / "sync-audit.toml").read_text())["database"]
    return document


KEYS: dict[str, Callable[[Person], object]] = {
    "wallet": lambda person: f"0x{digits(person)[:40]}",
    "telegram_chat": lambda person: 10**9 + person.number,
    "phone": lambda person: f"+4917012345{person.number}",
    "discord": lambda person: 10**17 + person.number,
    "zzz": lambda person: digits(person)[:26],
    "whose": lambda person: person.uuid,
}


@pytest.mark.parametrize("name", KEYS)
def test_the_one_column_that_is_left_says_whose_a_row_is_and_is_called_a_guess(make: Make, name: str) -> None:
    shop = make(trainings(**{name: KEYS[name]}))
    ended = shop("init")
    assert ended.last_code == 0, ended.out + ended.err
    columns = said(shop)["columns"]
    assert (columns["user_id"], columns["training_id"]) == (name, "training")
    assert "# a guess" in (shop.folder / "sync-audit.toml").read_text()
    assert shop("run", "-o", "r.json").code == 3
    reasons = {user["user_id"]: user["reason"] for user in json.loads((shop.folder / "r.json").read_text())["users"]}
    assert reasons[str(KEYS[name](BEN))] == "outdated_version"


def test_two_columns_that_are_equally_good_guesses_are_named_and_left_to_a_person(make: Make) -> None:
    shop = make(trainings(aa=lambda person: digits(person)[:20], bb=lambda person: digits(person)[20:40]))
    ended = shop("init")
    assert ended.last_code == 3
    assert "whose the model is; it may be aa or bb" in (shop.folder / "sync-audit.toml").read_text()


def test_values_like_ids_of_trainings_that_are_keys_of_users_say_whose_a_row_is(make: Make) -> None:
    people = "CREATE TABLE people (id text PRIMARY KEY, email text);" + rows(
        "people", ({"id": digits(person)[:26], "email": person.email} for person in PEOPLE)
    )
    shop = make(people + trainings(belongs=lambda person: digits(person)[:26]) + "ALTER TABLE trainings DROP training;")
    assert shop("init").code == 0
    assert said(shop)["columns"]["user_id"] == "belongs"
    assert said(shop)["tables"]["users"] == "people"


USERS = "CREATE TABLE users (id serial PRIMARY KEY, data jsonb);" + rows(
    "users", ({"data": {"email": person.email, "name": person.name}} for person in PEOPLE)
)


def test_addresses_in_a_document_of_the_users_become_an_expression(make: Make) -> None:
    shop = make(USERS + trainings(user_id=lambda person: person.number).replace("user_id text", "user_id integer"))
    assert shop("init").code == 0
    assert said(shop)["columns"]["email"] == {"sql": "data->>'email'"}
    assert shop("user", BEN.email).code == 3


@pytest.mark.parametrize(
    ("column", "value", "condition"),
    [
        ("deleted_at timestamptz", "2025-01-01", "deleted_at IS NOT NULL"),
        ('"isDeleted" boolean NOT NULL DEFAULT false', "t", '"isDeleted"'),
        ("removed integer NOT NULL DEFAULT 0", "1", "removed <> 0"),
    ],
)
def test_rows_of_users_who_are_deleted_are_left_out_and_it_is_said(
    make: Make, column: str, value: str, condition: str
) -> None:
    name = column.split(maxsplit=1)[0]
    users = f"CREATE TABLE users (id uuid PRIMARY KEY, email text, {column});" + rows(
        "users", ({"id": person.uuid, "email": person.email} for person in PEOPLE)
    )
    users += f"UPDATE users SET {name} = '{value}' WHERE id = '{BEN.uuid}';"
    shop = make(users + trainings(user_id=lambda person: person.uuid))
    ended = shop("init")
    assert ended.code == 0, ended.out + ended.err
    assert said(shop)["where"] == f"user_id::text NOT IN (SELECT id::text FROM users WHERE {condition})"
    assert "leaves out rows of deleted users" in " ".join(ended.out.split())
    shop("run", "--run-file", "r.sqlite", "-o", "r.json")
    assert BEN.uuid not in (shop.folder / "r.json").read_text()
    assert shop("sync", "r.sqlite", "--include", "training_not_recorded", "--apply", "--yes").code == 0


def test_users_who_are_deleted_are_not_asked_about_where_rows_say_it_themselves(make: Make) -> None:
    users = "CREATE TABLE users (id serial PRIMARY KEY, email text, deleted_at timestamptz);" + rows(
        "users", ({"email": person.email} for person in PEOPLE)
    )
    more = "ALTER TABLE trainings ADD deleted_at timestamptz;"
    shop = make(users + trainings(user_id=lambda p: p.number).replace("user_id text", "user_id integer") + more)
    assert shop("init").code == 0
    assert said(shop)["where"] == "deleted_at IS NULL"

"""The demo's two tables: rows with every column that the audit reads, in the order of COPY, and how they are made."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

import asyncpg


class UserRow(NamedTuple):
    """A row of `users`."""

    id: str
    email: str | None
    display_name: str | None


class ModelRow(NamedTuple):
    """A row of `user_models`."""

    id: int
    user_id: str
    training_status: str
    replicate_model_id: str | None
    replicate_version_id: str | None
    updated_at: datetime | None
    completed_at: datetime | None
    created_at: datetime | None
    training_id: str | None
    trigger_word: str | None
    lora_scale: Decimal | None
    lora_weights_url: str | None
    is_test: bool | None = False
    model_name: str | None = None
    failure_reason: str | None = None
    display_name: str | None = None
    started_at: datetime | None = None


class DemoTables(Protocol):
    """What `load` puts into a database. Both may be made while they are read."""

    @property
    def users(self) -> Iterable[UserRow]:
        """Every user, each id once."""

    @property
    def rows(self) -> Iterable[ModelRow]:
        """Every training row; its user is among `users`."""


SCHEMA = """
CREATE TABLE users (
    id           text PRIMARY KEY,
    email        text UNIQUE,
    display_name text
);
CREATE TABLE user_models (
    id                   serial PRIMARY KEY,
    user_id              text NOT NULL REFERENCES users (id),
    training_status      text,
    replicate_model_id   text,
    replicate_version_id text,
    updated_at           timestamptz,
    completed_at         timestamptz,
    created_at           timestamptz DEFAULT now(),
    training_id          text,
    trigger_word         text,
    lora_scale           numeric,
    lora_weights_url     text,
    is_test              boolean DEFAULT false,
    model_name           text,
    failure_reason       text,
    display_name         text,
    started_at           timestamptz
);
"""
INDEX = "CREATE INDEX user_models_user_id ON user_models (user_id);"
"""Made after the rows are in: an index that grows with every row costs more."""
_NEXT_ID = "SELECT setval('user_models_id_seq', coalesce((SELECT max(id) FROM user_models), 0) + 1, false)"


async def load(dsn: str, tables: DemoTables) -> None:
    """Make both tables in an empty database and fill them by COPY, in one transaction. `tables` is read once.

    asyncpg's own errors come through: a demo and tests load, nobody else does.
    """
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(SCHEMA)
            await connection.copy_records_to_table("users", records=tables.users, columns=UserRow._fields)
            await connection.copy_records_to_table("user_models", records=tables.rows, columns=ModelRow._fields)
            await connection.execute(INDEX)
            await connection.execute(_NEXT_ID)
        await connection.execute("ANALYZE users, user_models")
    finally:
        await connection.close()

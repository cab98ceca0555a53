"""The SQL that finds one user and reads all training rows of that user, fitted to the tables. Text only.

The forms that name somebody exactly compare bare columns with a parameter of the column's own type, so that an index
serves where there is one. Nothing joins the two tables: with nested loops off, a join reads one of them whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from audit.models import OrderBy
from audit.source_columns import Columns
from audit.source_sql import (
    dates_as_texts,
    latest_first,
    models_as_read,
    person_of_model,
    person_of_user,
    users_as_read,
)

AT_MOST = 101
"""Persons that a search returns: more than anybody reads."""

_TEXT_TYPES = frozenset(("text", "varchar", "bpchar", "citext", "name"))
_WHOLE_TYPES = frozenset(("int2", "int4", "int8", "numeric"))
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_SHARING = """
SELECT DISTINCT {person}::text AS person FROM {table}
WHERE {model_id} = ANY($1::text[]::{kind}[])
"""

_ROWS = """
SELECT m.id::text AS model_row_id, m.status AS training_status, m.replicate_model_id, m.replicate_version_id,
    m.training_id, m.trigger_word, m.lora_scale, m.lora_weights_url, m.test AS is_test, m.failure_reason, {dates}
FROM {models} AS m ORDER BY {order}
"""


@dataclass(frozen=True)
class UserStatements:
    """What to run. A person is what joins the two tables, as text."""

    searches: tuple[str, ...]
    """To be tried in this order with $1, what was typed, until one finds persons: those that name somebody exactly
    come first, and of them those that an index can serve."""
    people: str
    """The users among the persons $1: `person` and the fields of `Person`."""
    sharing: str
    """Persons with a row whose model id is one of the texts $1."""
    rows: str
    """All training rows of the persons $1, the latest first: the fields of `TrainingRow`."""


def user_statements(users: Columns, models: Columns, order_by: OrderBy, typed: str) -> UserStatements:
    """The SQL for tables of these columns. `typed` only decides which searches make sense: it is no part of them."""
    words = {
        "person": person_of_model(users, models),
        "table": models.table.sql,
        "model_id": models.sql("replicate_model_id"),
        "kind": _kind(models["replicate_model_id"]),
        "dates": dates_as_texts("m"),
        "models": models_as_read(users, models, include_tests=False, persons="$1"),
        "order": latest_first(order_by),
    }
    return UserStatements(
        searches=tuple(_searches(users, models, typed)),
        people=f"SELECT person::text AS person, user_id, email, display_name FROM {users_as_read(users, models, '$1')} AS u",  # noqa: S608, E501 - names and expressions of `source_sql`
        sharing=_SHARING.format_map(words),
        rows=_ROWS.format_map(words),
    )


def _searches(users: Columns, models: Columns, typed: str) -> Iterator[str]:
    user, model = person_of_user(users, models), person_of_model(users, models)
    user_id, email = users.sql("id"), users.sql("email")
    owner, model_id = models.sql("user_id"), models.sql("replicate_model_id")
    from_users = f"SELECT {user}::text AS person FROM {users.table.sql}"  # noqa: S608 - names of `tables`
    from_models = f"SELECT {model}::text AS person FROM {models.table.sql}"  # noqa: S608 - the same
    limit = f"ORDER BY person LIMIT {AT_MOST}"
    if _castable(users["id"], typed):
        yield f"{from_users} WHERE {user_id} = $1::text::{_kind(users['id'])}"
    yield f"{from_users} WHERE {email} = ANY(ARRAY[$1::text, lower($1::text)]::{_kind(users['email'])}[])"
    if _castable(models["user_id"], typed):
        yield f"{from_models} WHERE {owner} = $1::text::{_kind(models['user_id'])} LIMIT 1"
    yield f"{from_models} WHERE {model_id} = $1::text::{_kind(models['replicate_model_id'])} GROUP BY 1 {limit}"
    yield f"{from_users} WHERE lower({email}::text) = lower($1::text) {limit}"
    parts = " OR ".join(f"position(lower($1::text) IN lower({column}::text)) > 0" for column in (email, user_id))
    part_of_model = f"position(lower($1::text) IN lower({model_id}::text)) > 0"
    yield f"{from_users} WHERE {parts} UNION {from_models} WHERE {part_of_model} AND {owner} IS NOT NULL {limit}"


def _kind(kind: str) -> str:
    """The type that `kind` is compared in; a type of the user's own is compared as what it is."""
    return kind if kind in _TEXT_TYPES | _WHOLE_TYPES | {"uuid"} else "text"


def _castable(kind: str, typed: str) -> bool:
    """Whether `typed` can be a value of the type `kind`, so that a comparison with it is no error."""
    if kind == "uuid":
        return _UUID.fullmatch(typed) is not None
    if kind in _WHOLE_TYPES:
        return re.fullmatch("[0-9]{1,18}", typed) is not None
    return kind in _TEXT_TYPES

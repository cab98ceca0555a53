"""How products keep their fine-tunes: a dozen and more kinds of tables, each with what an audit must say of it.

In every shape the same has happened (`story`); what differs is how it was written down. `toml` is a config file with
which the audit works; `sync-audit init` has to come to one that means the same by looking alone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from audit.model.codes import Reason
from tests.support.shapes import json_columns, one_table, several_tables
from tests.support.shapes.shape import Shape, Write
from tests.support.shapes.story import PEOPLE, TRAINED, rows

__all__ = ["SHAPES", "UNFIT", "Reason", "Shape", "Write", "each_shape"]
SHAPES: Mapping[str, Shape] = {
    shape.name: shape for shape in (*one_table.SHAPES, *json_columns.SHAPES, *several_tables.SHAPES)
}
"""Those that can be audited, by name."""
_EVERYDAY = ("plain", "owner_in_code", "qualified_version", "whole_answer", "models_and_versions", "all_in_use")


def each_shape() -> list[Any]:
    """All of them, as parameters of a test that takes long: some in the everyday tests, the others in CI."""
    return [
        pytest.param(shape, id=name, marks=() if name in _EVERYDAY else pytest.mark.slow)
        for name, shape in SHAPES.items()
    ]


class Unfit(NamedTuple):
    """Tables in which there is nothing to audit."""

    name: str
    sql: str

    def __repr__(self) -> str:
        """The name."""
        return self.name


UNFIT = (
    Unfit(
        "runs_the_latest",
        """
CREATE TABLE users (id serial PRIMARY KEY, email text);
CREATE TABLE loras (
    id serial PRIMARY KEY, user_id integer REFERENCES users (id), replicate_model text, status text,
    created_at timestamptz
);
"""
        + rows("users", ({"email": it.email} for it in PEOPLE))
        + rows(
            "loras",
            (
                {
                    "user_id": it.person.number,
                    "replicate_model": it.model,
                    "status": it.state,
                    "created_at": it.created,
                }
                for it in TRAINED
            ),
        ),
    ),
    Unfit("nothing_of_the_kind", "CREATE TABLE invoices (id serial PRIMARY KEY, customer text, total numeric);"),
)

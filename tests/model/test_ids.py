"""Ids of models: what makes two of them one, in Python and in PostgreSQL."""

import asyncio

import asyncpg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audit.model.ids import model_key
from audit.model.users import TRIMMED
from audit.postgres.columns import key_of_model


def test_ids_that_differ_in_case_or_in_blanks_around_are_one_model() -> None:
    assert model_key("Acme/M1") == model_key(" acme/m1\n") == "acme/m1"
    assert model_key("acme/m1") != model_key("acme/m2")


def test_only_a_to_z_have_another_case_and_only_ascii_blanks_are_trimmed() -> None:
    assert model_key("\u00a0\u0130\u212aÄÖ") == "\u00a0\u0130\u212aÄÖ"


def test_no_model_has_no_key() -> None:
    assert model_key(None) == model_key("") == model_key(" \t\n\r\f\v") == ""


async def in_sql(dsn: str, texts: list[str]) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        ids = "unnest($2::text[]) WITH ORDINALITY AS t (id, place)"
        query = f"SELECT {key_of_model('id')} AS key FROM {ids} ORDER BY place"
        return [row["key"] for row in await connection.fetch(query, TRIMMED, texts)]
    finally:
        await connection.close()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=30))
@example(["\u0130", "\u0131", "I", "\u212a", "ǅ", "ẞ", "Ä", " Acme/M1\t", "\u00a0A"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_and_python_agree(postgres_server: str, texts: list[str]) -> None:
    assert asyncio.run(in_sql(postgres_server, texts)) == [model_key(text) for text in texts]

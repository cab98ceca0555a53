"""Texts that a database holds in another encoding than UTF-8, or in none."""

import asyncpg
import pytest

from audit.findings.classify import RunContext, classify
from audit.model.codes import Reason, Status
from audit.model.replies import NotAsked
from audit.model.users import ModelRecord
from audit.postgres.encoding import WITHOUT_CHARACTER, as_sent
from audit.postgres.url import parse_database_url
from audit.postgres.user import OneUser, find_user
from tests.support.database_rows import read
from tests.support.encodings import encoded_database


def reason(record: ModelRecord) -> Reason:
    return classify(record, NotAsked(), RunContext()).reason


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "UTF8", "LATIN1", "LATIN9", "EUC_JIS_2004"])
async def test_texts_of_every_encoding_are_read(postgres_server: str, encoding: str) -> None:
    dsn = await encoded_database(postgres_server, encoding)
    records, _ = await read(dsn)
    assert [record.display_name for record in records] == ["Anna", "Zoë"]
    assert not any(record.unreadable for record in records)


COLUMNS = {
    "users.id": "user_id",
    "users.email": "email",
    "users.display_name": "display_name",
    "user_models.replicate_model_id": "replicate_model_id",
    "user_models.replicate_version_id": "replicate_version_id",
    "user_models.training_id": "training_id",
    "user_models.trigger_word": "trigger_word",
    "user_models.lora_weights_url": "lora_weights_url",
    "user_models.model_name": "model_name",
    "user_models.failure_reason": "failure_reason",
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(("encoding", "byte"), [("SQL_ASCII", r"\xe9"), ("WIN1252", r"\x81")])
async def test_a_row_with_bytes_that_are_no_text_is_an_error_that_names_row_and_column(
    postgres_server: str, encoding: str, byte: str, column: str
) -> None:
    table, _, name = column.partition(".")
    change = f"UPDATE {table} SET {name} = E'ab{byte}c' WHERE '{column}' <> '' AND "
    change += "id = 'u2'" if table == "users" else "user_id = 'u2'"
    follow = f"UPDATE user_models SET user_id = E'ab{byte}c' WHERE user_id = 'u2' AND '{column}' = 'users.id'"
    dsn = await encoded_database(postgres_server, encoding, change, follow)
    records, population = await read(dsn)
    assert population.users_with_completed_model == 2
    found = {reason(record): record for record in records}
    assert len(records) == len(found) == 2
    bad = found[Reason.UNREADABLE_ROW]
    assert bad.unreadable == (COLUMNS[column],)
    assert getattr(bad, COLUMNS[column]).startswith(r"(no text) ab\2" if byte == r"\x81" else r"(no text) ab\351")
    finding = classify(bad, NotAsked(), RunContext())
    assert finding.status is Status.ERROR
    assert finding.detail == f"row 2: no text in the database's encoding: {name}"
    database = parse_database_url(dsn)
    one = await find_user(database, "acme/anna", order_by="updated_at", include_tests=False, statement_timeout=20)
    assert isinstance(one, OneUser)
    assert one.person.user_id == "u1"
    two = await find_user(database, "2", order_by="updated_at", include_tests=False, statement_timeout=20)
    assert not isinstance(two, OneUser) or two.record is None or two.record.unreadable


async def test_a_status_that_is_no_text_is_counted_and_is_not_completed(postgres_server: str) -> None:
    change = r"UPDATE user_models SET training_status = E'fertig\xe9' WHERE user_id = 'u2'"
    dsn = await encoded_database(postgres_server, "SQL_ASCII", change)
    records, population = await read(dsn)
    assert population.training_status == {"completed": 1, r"(no text) fertig\351": 1}
    assert [record.user_id for record in records if not record.unfinished] == ["u1"]


# A thousand queries each: one of all texts, and one encoding of those that lack characters, are enough for every day.
@pytest.mark.parametrize(
    "encoding",
    [
        "SQL_ASCII",
        *(pytest.param(each, marks=[pytest.mark.slow] * (n > 0)) for n, each in enumerate(WITHOUT_CHARACTER)),
    ],
)
async def test_exactly_those_texts_that_the_server_would_not_send_are_told_apart(
    postgres_server: str, encoding: str
) -> None:
    texts = [
        bytes([first, *rest]) for first in range(1, 256) for rest in ((), (0x80,), (0xBF, 0x80), (0x90, 0x80, 0x80))
    ]
    dsn = await encoded_database(postgres_server, encoding)
    connection = await asyncpg.connect(dsn)
    wrong = []
    for text in texts:
        made = f"convert_from('\\x{text.hex()}'::bytea, '{encoding}')"
        read = await connection.fetchval(f"SELECT {as_sent(f'({made})', encoding)}")
        try:
            sent = await connection.fetchval(f"SELECT {made}")
        except asyncpg.PostgresError:
            sent = None
        if read.startswith("(no text) ") is not (sent is None) or (sent is not None and sent != read):
            wrong.append(text)
    await connection.close()
    assert wrong == []


async def test_a_database_in_utf8_is_read_by_the_same_sql_as_ever() -> None:
    assert as_sent("email::text", "UTF8") == as_sent("email::text", "LATIN1") == "email::text"

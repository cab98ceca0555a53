"""Which users are in which shard, in Python and in PostgreSQL, and what `--shard` takes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.errors import SettingsError
from audit.model.shard import Shard, parse, shard_number
from audit.model.users import TRIMMED
from audit.postgres.columns import key_of_model
from audit.postgres.snapshot_sql import in_shard
from tests.support.command_lines import begun
from tests.support.database_rows import execute
from tests.support.samples import record
from tests.support.synthetic_users import SyntheticUsers

ENVIRON = {"DATABASE_URL": "postgresql://db.example.com/shop", "REPLICATE_API_TOKEN": "r8_" + "x" * 37}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
C_LOCALE = "LOCALE_PROVIDER libc LOCALE 'C'"
# What a column of type text can hold.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@pytest.mark.parametrize(
    ("text", "shard"), [("1/1", Shard(1, 1)), ("2/4", Shard(2, 4)), (" 100/100 ", Shard(100, 100))]
)
def test_a_shard_is_said_as_k_of_n(text: str, shard: Shard) -> None:
    assert parse(text) == shard


@pytest.mark.parametrize(
    "text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/101", "1/2/3", "a/b", "1.0/2", "²/4", "1 / 2"]
)
def test_what_is_no_shard_is_refused_and_shown(text: str) -> None:
    with pytest.raises(SettingsError, match="must be K/N") as caught:
        parse(text)
    assert repr(text) in str(caught.value)


def test_who_counts_from_0_is_told_to_add_1() -> None:
    with pytest.raises(SettingsError) as caught:
        parse("0/4")
    assert "add 1" in caught.value.next_step


@pytest.mark.parametrize(
    ("model", "user", "number"),
    [
        ("acme/ann", "u1", 89),
        (" acme/ann\n", "u2", 89),
        ("Acme/Ann", "u1", 89),
        (None, "u1", 86),
        (" \t", "u1", 86),
        ("ä/Ω😀", "u1", 67),
    ],
)
def test_the_shard_of_a_user_never_changes_between_releases(model: str | None, user: str, number: int) -> None:
    assert shard_number(record(user_id=user, replicate_model_id=model), 97) == number


def test_shards_of_older_versions_minded_case() -> None:
    for model, number in {"acme/ann": 89, " acme/ann\n": 89, "acme/Ann": 16}.items():
        assert shard_number(record(replicate_model_id=model), 97, by_key=False) == number


@pytest.mark.parametrize("of", [2, 4, 7, 100])
def test_shards_are_about_equally_large(of: int) -> None:
    synthetic_users = SyntheticUsers(20_000)
    ids = [f"synthetic-photos/{synthetic_users.model_name(i)}" for i in range(synthetic_users.n)]
    sizes = Counter(shard_number(record(replicate_model_id=model), of) for model in ids)
    assert sorted(sizes) == list(range(1, of + 1))
    even = synthetic_users.n / of
    assert all(abs(size - even) < 5 * even**0.5 for size in sizes.values())


async def numbers(dsn: str, people: Sequence[tuple[str | None, str]], of: int) -> list[int]:
    """As PostgreSQL has it."""
    query = f"""
        WITH given AS (
            SELECT place, user_id, {key_of_model("model")} AS model
            FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS each (model, user_id, place)
        )
        SELECT (
            SELECT k + 1 FROM generate_series(0, $5::bigint - 1) AS k WHERE {in_shard("c.model", "c.user_id")}
        ) AS number
        FROM given AS c ORDER BY c.place
    """.replace("$4::bigint", "k").replace("$5", "$4")
    models, users = zip(*people, strict=True)
    connection = await asyncpg.connect(dsn)
    try:
        return [row["number"] for row in await connection.fetch(query, TRIMMED, models, users, of)]
    finally:
        await connection.close()


def expected(people: Sequence[tuple[str | None, str]], of: int) -> list[int]:
    return [shard_number(record(user_id=user, replicate_model_id=model), of) for model, user in people]


@given(st.lists(st.tuples(st.none() | TEXTS | st.text(TRIMMED), TEXTS.filter(bool)), min_size=1), st.integers(1, 100))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_and_python_agree(postgres_server: str, people: list[tuple[str | None, str]], of: int) -> None:
    assert asyncio.run(numbers(postgres_server, people, of)) == expected(people, of)


async def test_they_agree_in_a_database_of_another_encoding(postgres_server: str) -> None:
    name = "of_latin_1"
    await execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' {C_LOCALE}")
    dsn = urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    people = [("müller/gesicht", "u1"), (None, "Zoë")]
    assert await numbers(dsn, people, 100) == expected(people, 100)


def test_words_for_people() -> None:
    assert Shard(2, 4).label == "shard 2 of 4"
    assert [Shard(1, of).share for of in (1, 2, 3, 4, 5)] == [
        "all of the models",
        "about half of the models",
        "about a third of the models",
        "about a quarter of the models",
        "about one in 5 of the models",
    ]


@pytest.mark.parametrize(
    ("options", "environ", "rate"),
    [
        ({"shard": "2/4"}, {}, 600),
        ({}, {"SYNC_AUDIT_SHARD": "3/7"}, 342),
        ({"shard": "2/4", "rate": "900"}, {}, 900),
        ({"shard": "2/4"}, {"SYNC_AUDIT_RATE": "2400"}, 2400),
        ({}, {}, 2400),
    ],
)
def test_a_shard_makes_its_part_of_the_default_rate_unless_told(
    options: dict[str, object], environ: dict[str, str], rate: int
) -> None:
    assert begun(options, ENVIRON | environ, NOW).choices.per_minute == rate


def test_a_rate_of_the_config_file_is_that_of_each_shard(tmp_path: Path) -> None:
    (tmp_path / "sync-audit.toml").write_text('shard = "1/2"\nrate = 50')
    assert begun({}, ENVIRON, NOW, tmp_path / "sync-audit.toml").choices.per_minute == 50


def test_files_of_shards_that_begin_together_have_different_names() -> None:
    one, two = (begun({"shard": shard}, ENVIRON, NOW) for shard in ("1/2", "2/2"))
    assert str(one.run_file) == "reports/sync-audit-20260301T120000Z-shard-1-of-2.sqlite"
    assert not {one.run_file, *one.choices.outputs} & {two.run_file, *two.choices.outputs}


def test_limit_and_shard_exclude_each_other_wherever_they_are_said() -> None:
    with pytest.raises(SettingsError, match=r"--limit and --shard \(SYNC_AUDIT_SHARD\) can't be used together"):
        begun({"limit": "5"}, ENVIRON | {"SYNC_AUDIT_SHARD": "1/2"}, NOW)


def test_a_wrong_shard_in_a_config_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "sync-audit.toml").write_text('shard = "3/2"')
    with pytest.raises(SettingsError, match=r"sync-audit.toml: --shard .*'3/2'"):
        begun({}, ENVIRON, NOW, tmp_path / "sync-audit.toml")

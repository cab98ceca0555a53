"""The plain shape, called and typed otherwise: what it means does not change."""

import asyncio
import string
import tomllib
from dataclasses import dataclass, replace

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.cli import config_file
from audit.commands.init.draft import draft
from audit.commands.init.recognise import recognise
from audit.commands.init.survey import survey
from audit.commands.init.text import config_text
from audit.model.run import Filters
from audit.model.sql import quoted
from audit.postgres.snapshot import snapshot
from audit.postgres.url import parse_database_url
from tests.support.audits import new_database
from tests.support.shapes.story import OWNER, PEOPLE, TRAINED, rows

COLUMNS = ("id", "user", "model", "version", "status", "created", "changed", "training")
# Without vowels there are no words: a date of updates that is called "ended" says what isn't so.
ALPHABET = "".join(sorted({*string.ascii_letters} - {*"aeiouAEIOU"})) + string.digits + " _-.'\"$%&()[]{}\\/:;#äß東"
NAMES = st.one_of(
    st.text(ALPHABET, min_size=1, max_size=20).filter(lambda name: name == name.strip()),
    st.sampled_from(["select", "table", "ORDER", "from", "All"]),
)
PLAUSIBLE = {
    "users": ("users", "accounts", "Member", "auth_user", "AppUsers", "customers", "people"),
    "models": ("user_models", "trainings", "LoraModel", "fine_tunes", "ai_models", "Character", "avatar_models"),
    "id": ("id", "ID", "uuid", "pk"),
    "user": ("user_id", "userId", "accountId", "owner_id", "member", "customer_id", "profileId"),
    "model": ("model", "replicateModel", "destination", "model_ref", "lora"),
    "version": ("version", "versionId", "replicate_version", "model_version_hash", "weights_version"),
    "status": ("status", "state", "trainingStatus", "phase"),
    "created": ("created_at", "createdAt", "inserted_at", "created"),
    "changed": ("updated_at", "updatedAt", "modified", "changed_at"),
    "training": ("training_id", "replicateTrainingId", "external_id", "job_ref"),
}


@dataclass(frozen=True)
class Renaming:
    """How the plain shape is called and typed."""

    schema: str
    users: str
    models: str
    columns: tuple[str, ...]
    user_columns: tuple[str, str]
    key: str
    word: str
    declared: bool
    qualified: bool
    text: str
    date: str

    def sql(self) -> str:
        """Makes it, with rows."""
        named = dict(zip(COLUMNS, map(quoted, self.columns), strict=True))
        key, email = map(quoted, self.user_columns)
        place = f"{quoted(self.schema)}." if self.schema else ""
        users, models = place + quoted(self.users), place + quoted(self.models)
        kind = {"number": "integer", "uuid": "uuid", "key": "text"}[self.key]
        reference = f" REFERENCES {users} ({key})" if self.declared else ""
        words = {"succeeded": self.word, "processing": "processing", "failed": "failed"}
        made = f"CREATE SCHEMA {quoted(self.schema)};" if self.schema else ""
        made += f"""
CREATE TABLE {users} ({key} {kind} PRIMARY KEY, {email} {self.text});
CREATE TABLE {models} (
    {named["id"]} serial PRIMARY KEY, {named["user"]} {kind} NOT NULL{reference}, {named["model"]} {self.text},
    {named["version"]} {self.text}, {named["status"]} {self.text}, {named["created"]} {self.date} NOT NULL,
    {named["changed"]} {self.date} NOT NULL, {named["training"]} {self.text}
);
"""
        made += rows(
            users, ({self.user_columns[0]: getattr(p, self.key), self.user_columns[1]: p.email} for p in PEOPLE)
        )
        return made + rows(
            models,
            (
                dict(
                    zip(
                        self.columns[1:],
                        (
                            getattr(row.person, self.key),
                            row.model,
                            row.version if self.qualified else row.hash,
                            words[row.state],
                            row.created,
                            row.ended or row.created,
                            row.training,
                        ),
                        strict=True,
                    )
                )
                for row in TRAINED
            ),
        )


def renamings(*, plausible: bool) -> st.SearchStrategy[Renaming]:
    def names(of: str) -> st.SearchStrategy[str]:
        return st.sampled_from(PLAUSIBLE[of]) if plausible else NAMES

    columns = st.tuples(*map(names, COLUMNS)).filter(lambda listed: len(set(listed)) == len(listed))
    return st.builds(
        Renaming,
        schema=st.one_of(st.just(""), NAMES.filter(lambda name: not name.startswith("pg_") and name != "public")),
        users=names("users"),
        models=names("models"),
        columns=columns,
        user_columns=st.tuples(names("id"), st.sampled_from(["email", "mail", "eMail"]) if plausible else NAMES).filter(
            lambda listed: listed[0] != listed[1]
        ),
        key=st.sampled_from(["number", "uuid", "key"]),
        word=st.sampled_from(["completed", "succeeded", "READY", "Done"]),
        # Numbers without names and keys say nothing: 1 to 6 are keys of everything.
        declared=st.booleans(),
        qualified=st.booleans(),
        text=st.sampled_from(["text", "varchar(200)"]),
        date=st.sampled_from(["timestamptz", "timestamp(3)"]),
    ).filter(lambda it: it.users != it.models and (plausible or it.declared or it.key != "number"))


async def audited(server: str, renaming: Renaming) -> dict[str | None, tuple[str | None, str | None]]:
    """By e-mail, model and version of the record that an audit would judge with the file that `init` writes."""
    dsn = await new_database(server, "init_renamed")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(renaming.sql())
    finally:
        await connection.close()
    database = parse_database_url(dsn)
    reading = recognise(await survey(database), OWNER).reading
    assert reading
    assert not reading.open
    text = config_text(draft(reading, OWNER, None).entries)
    document = tomllib.loads(text)
    tables = config_file.mapping(document.get("database", {}))
    there = replace(database, tables=tables)
    async with snapshot(there, order_by="updated_at", filters=Filters(), statement_timeout=20) as taken:
        return {
            record.email: (record.replicate_model_id, (record.replicate_version_id or "").rpartition(":")[2])
            async for record in taken.records()
            if not record.unfinished
        }


LATEST = {row.person: row for row in TRAINED if row.done}
TRUTH = {person.email: (row.model, row.hash) for person, row in LATEST.items()}


PLAIN = Renaming(
    schema="",
    users="people",
    models="models",
    columns=("id", "person", "model", "version", "status", "created_at", "updated_at", "training"),
    user_columns=("id", "email"),
    key="uuid",
    word="completed",
    declared=True,
    qualified=False,
    text="text",
    date="timestamptz",
)


@pytest.mark.parametrize("dates", [("q", "start"), ("start", "q"), ("q1", "q2"), ("made", "q"), ("q", "changed")])
def test_one_date_whose_name_says_something_does_not_hide_the_other(
    postgres_server: str, dates: tuple[str, str]
) -> None:
    renaming = replace(PLAIN, columns=(*PLAIN.columns[:5], *dates, PLAIN.columns[7]))
    assert asyncio.run(audited(postgres_server, renaming)) == TRUTH


@pytest.mark.parametrize(
    "plausible", [pytest.param(True, id="plausible names"), pytest.param(False, marks=pytest.mark.slow, id="any names")]
)
def test_a_plain_shape_fits_however_it_is_called_and_typed(postgres_server: str, *, plausible: bool) -> None:
    @settings(max_examples=25, suppress_health_check=list(HealthCheck), database=None)
    @given(renaming=renamings(plausible=plausible))
    def fits(renaming: Renaming) -> None:
        assert asyncio.run(audited(postgres_server, renaming)) == TRUTH

    fits()

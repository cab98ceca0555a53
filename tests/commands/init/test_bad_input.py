"""What `init` says where the database, the role or Replicate give it little."""

import time
import tomllib

import pytest

from audit.demo.fake_replicate.world import TRAINER
from tests.commands.init.conftest import Make
from tests.support.audits import Ended, Shell
from tests.support.shapes import SHAPES
from tests.support.shapes.story import PEOPLE, TRAINED, rows

USERS = "CREATE TABLE users (id serial PRIMARY KEY, email text);\n" + rows(
    "users", ({"email": p.email} for p in PEOPLE)
)
TRAININGS = """
CREATE TABLE trainings (
    id serial PRIMARY KEY, user_id integer REFERENCES users (id), model text, version text, status text,
    created_at timestamptz
);
"""
ROWS = rows(
    "trainings",
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
PLAIN = USERS + TRAININGS + ROWS


def words(ended: Ended) -> str:
    """All that it said, on one line."""
    assert "Traceback" not in ended.err, ended.err
    return " ".join((ended.out + ended.err).split())


def role(name: str, rights: str) -> str:
    """SQL that makes a role anew; those of other databases are the same server's."""
    return f"""
DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
{rights}
"""


def test_tables_without_rows_are_recognised_by_their_names_and_left_to_be_looked_at_again(make: Make) -> None:
    shop = make(USERS + TRAININGS)
    ended = shop("init")
    assert ended.last_code == 3
    assert "An audit would cover nobody yet: no row with a version is there." in words(ended)
    document = tomllib.loads((shop.folder / "sync-audit.toml").read_text())
    assert document["database"]["columns"]["replicate_version_id"] == "version"


def test_without_a_token_it_says_what_was_not_asked(make: Make) -> None:
    shop = make(PLAIN)
    del shop.environ["REPLICATE_API_TOKEN"]
    ended = shop("init")
    assert ended.last_code == 0
    assert "Replicate was not asked: there is no token (REPLICATE_API_TOKEN)." in words(ended)


def test_names_without_an_owner_are_left_open_where_nobody_says_whose_they_are(make: Make) -> None:
    shop = make(SHAPES["owner_in_code"].sql)
    del shop.environ["REPLICATE_API_TOKEN"]
    ended = shop("init")
    assert ended.last_code == 3
    assert "Left to decide, in comments of the file: owner." in words(ended)
    assert '# owner = "…"  # to complete' in (shop.folder / "sync-audit.toml").read_text()
    assert shop("init", "--owner", "acme", "--force").code == 0
    assert 'owner = "acme"' in (shop.folder / "sync-audit.toml").read_text()


@pytest.mark.parametrize(
    "environ", [{"REPLICATE_BASE_URL": "http://127.0.0.1:9"}, {"REPLICATE_API_TOKEN": "r8_of_somebody_else"}], ids=str
)
def test_an_api_that_is_dead_or_refuses_keeps_nothing_from_being_found(make: Make, environ: dict[str, str]) -> None:
    ended = make(PLAIN)("init", **environ)
    assert ended.code == 0
    assert "Replicate was not asked: " in words(ended)
    assert "somebody_else" not in words(ended)


def test_a_role_that_may_read_nothing_is_told_which_rights_to_ask_for(make: Make) -> None:
    ended = make(PLAIN + role("init_none", ""), "init_none")("init")
    assert ended.last_code == 5
    assert "GRANT SELECT ON trainings, users TO init_none;" in words(ended)


def test_a_role_that_sees_few_tables_gets_a_file_for_these(make: Make) -> None:
    shop = make(PLAIN + role("init_few", "GRANT SELECT ON trainings TO init_few;"), "init_few")
    ended = shop("init")
    assert ended.code == 0, ended.out + ended.err
    assert "public.users can't be read by this role" in words(ended)
    assert "users = false" in (shop.folder / "sync-audit.toml").read_text()


def test_a_role_that_sees_nothing_but_a_view_audits_by_that(make: Make) -> None:
    view = "CREATE VIEW v AS SELECT t.*, u.email FROM trainings t JOIN users u ON u.id = t.user_id;"
    shop = make(PLAIN + view + role("init_view", "GRANT SELECT ON v TO init_view;"), "init_view")
    assert shop("init").code == 0
    assert shop("run", "-o", "r.json").code == 3
    assert '"ben@example.com"' in (shop.folder / "r.json").read_text()


def test_row_level_security_on_the_users_costs_their_addresses_alone(make: Make) -> None:
    rights = "ALTER TABLE users ENABLE ROW LEVEL SECURITY; GRANT SELECT ON users, trainings TO init_rls;"
    shop = make(PLAIN + role("init_rls", rights), "init_rls")
    ended = shop("init")
    assert ended.code == 0, ended.out + ended.err
    assert "public.users (row-level security hides its rows from this role)" in words(ended)
    assert shop("run", "-o", "r.json").code == 3


def test_row_level_security_on_the_models_is_said_with_the_right_that_is_needed(make: Make) -> None:
    rights = "ALTER TABLE trainings ENABLE ROW LEVEL SECURITY; GRANT SELECT ON users, trainings TO init_rls;"
    ended = make(PLAIN + role("init_rls", rights), "init_rls")("init")
    assert ended.last_code == 3
    assert "Use a role with BYPASSRLS" in words(ended)


def test_one_of_two_thousand_tables_is_found_by_what_is_in_it_and_what_was_not_looked_at_is_said(make: Make) -> None:
    others = "".join(f"CREATE TABLE data_{n} (id integer, label text, amount numeric);" for n in range(2000))
    begun = time.monotonic()
    ended = make(others + PLAIN.replace("trainings", "odd"))("init")
    assert ended.code == 0, ended.out + ended.err
    assert "user_models odd: versions are recorded there" in words(ended)
    assert "of 2,002 tables were not looked into" in words(ended)
    assert time.monotonic() - begun < 60  # mostly for making them


def test_a_table_of_200_columns_is_no_trouble(make: Make) -> None:
    more = "".join(f", extra_{n} text DEFAULT 'abc'" for n in range(200))
    ended = make(USERS + TRAININGS.replace("timestamptz", f"timestamptz{more}") + ROWS)("init")
    assert ended.code == 0, ended.out + ended.err


def test_a_table_that_is_slow_costs_itself_and_is_named(make: Make) -> None:
    slow = "CREATE VIEW lora_versions AS SELECT id, version, pg_sleep(60)::text AS waited FROM trainings;"
    begun = time.monotonic()
    ended = make(PLAIN + slow)("init")
    assert ended.code == 0, ended.out + ended.err
    assert "Could not be looked into: public.lora_versions (it took too long)." in words(ended)
    assert time.monotonic() - begun < 30


def test_of_50_million_rows_a_sample_is_read_and_nobody_is_counted(make: Make) -> None:
    ended = make(PLAIN + "UPDATE pg_class SET reltuples = 50000000 WHERE relname = 'trainings';")("init")
    assert ended.code == 0, ended.out + ended.err
    assert "nothing was counted" in words(ended)


def test_names_that_would_break_out_of_the_file_or_the_sql_are_nothing_but_names(make: Make) -> None:
    odd = {"trainings": 'tr"ain. ings\n[database]', "model": "mo'del ]\n", "version": ' ver"sion', "status": "sta$1tus"}
    sql = PLAIN
    for plain, hostile in odd.items():
        sql = sql.replace(f'"{plain}"', plain)
        doubled = hostile.replace('"', '""')
        sql = sql.replace(f" {plain} ", f' "{doubled}" ').replace(f" {plain},", f' "{doubled}",')
    sql += "COMMENT ON COLUMN users.email IS E'x\\n[database]\\nowner = \"evil\"';"
    shop = make(sql)
    ended = shop("init")
    assert ended.code == 0, ended.out + ended.err
    assert tomllib.loads((shop.folder / "sync-audit.toml").read_text())["database"].keys() <= {"completed", "queries"}
    assert shop("run", "-o", "r.json").code == 3


def test_a_trainer_in_the_place_of_every_model_is_passed_over_where_versions_name_the_model(make: Make) -> None:
    sql = TRAININGS.replace("model text", "replicate_model_id text") + rows(
        "trainings",
        (
            {
                "user_id": row.person.number,
                "replicate_model_id": TRAINER,
                "version": row.version,
                "status": row.state,
                "created_at": row.created,
            }
            for row in TRAINED
        ),
    )
    shop = make(USERS + sql)
    assert shop("init").code == 0
    assert shop("run", "--run-file", "r.sqlite", "-o", "r.json").code == 3
    report = (shop.folder / "r.json").read_text()
    assert '"outdated_version"' in report
    assert '"trainer_recorded"' not in report
    assert shop("sync", "r.sqlite", "--apply", "--yes").code == 0


def test_an_existing_file_is_not_touched_without_force_and_keeps_what_is_not_about_the_database(make: Make) -> None:
    shop = make(PLAIN)
    path = shop.folder / "sync-audit.toml"
    before = 'rate = 700 # of ours\n[database]\ncompleted = "x"\n[demo]\nkeep = true\n'
    path.write_text(before)
    ended = shop("init")
    assert ended.last_code == 2
    assert path.read_text() == before
    assert shop("init", "--force").code == 0
    document = tomllib.loads(path.read_text())
    assert document["rate"] == 700
    assert document["demo"] == {"keep": True}
    assert document["database"]["completed"] == "succeeded"
    assert "# of ours" in path.read_text()


def test_print_writes_the_file_to_stdout_and_nothing_else(make: Make) -> None:
    shop = make(PLAIN)
    printed = shop("init", "--print")
    assert printed.code == 0
    assert list(shop.folder.iterdir()) == []
    assert shop("init").code == 0
    assert printed.out == (shop.folder / "sync-audit.toml").read_text()


def test_a_database_that_is_not_there_ends_in_5(shell: Shell) -> None:
    ended = shell("init", DATABASE_URL="postgresql://127.0.0.1:9/shop")
    assert ended.last_code == 5
    assert list(shell.folder.iterdir()) == []


def test_nothing_of_a_row_but_words_of_states_gets_into_file_and_screen(make: Make) -> None:
    shop = make(PLAIN)
    said = words(shop("init")) + (shop.folder / "sync-audit.toml").read_text()
    for row in TRAINED:
        for value in (row.model, row.name, row.hash, row.training, row.person.email, row.person.name):
            assert value is None or value not in said

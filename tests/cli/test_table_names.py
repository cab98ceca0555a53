"""`[database]` of a config file, read into names."""

import tomllib

import pytest
from msgspec.structs import replace

from audit.cli.config_file import LONGEST, mapping
from audit.errors import SettingsError
from audit.model.tables import COLUMNS, PLAIN, TABLES, Table, Tables, TrainingState


def mapped(text: str) -> Tables:
    return mapping(tomllib.loads(text))


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        mapped(text)
    assert caught.value.next_step
    return f"{caught.value} {caught.value.next_step}"


def test_nothing_said_leaves_everything_as_the_audit_calls_it() -> None:
    assert mapped("") == PLAIN
    same = 'completed = "completed"\n[tables]\nusers = "users"\n[columns]\nuser_id = "user_id"'
    assert mapped(same) == PLAIN


def test_a_column_that_one_table_has_needs_no_table() -> None:
    tables = mapped('[columns]\nreplicate_version_id = "version_hash"\nemail = "mail"')
    assert tables.user_models == Table("user_models", (), (("replicate_version_id", "version_hash"),))
    assert tables.users.column("email") == '"mail"'


def test_a_column_that_both_tables_have_is_said_of_one_of_them() -> None:
    tables = mapped('[columns.users]\nid = "uid"\n[columns.user_models]\nid = "mid"')
    assert (tables.users.called("id"), tables.user_models.called("id")) == ("uid", "mid")
    assert "[database.columns.users] or [database.columns.user_models]" in refusal('[columns]\nid = "x"')


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("accounts", ("accounts",)),
        ("app.Trainings", ("app", "Trainings")),
        ('"my.schema"."a ""b"""', ("my.schema", 'a "b"')),
        ("My App.User Accounts", ("My App", "User Accounts")),
        ("ü" * 31, ("ü" * 31,)),
    ],
)
def test_a_table_is_written_as_in_sql_and_keeps_its_case(written: str, path: tuple[str, ...]) -> None:
    tables = mapping({"tables": {"users": written}})
    assert tables.users.path == path


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a.b.c",
        'a"b',
        '"a',
        '""',
        '"a"b',
        " a",
        "a\n",
        "a\0",
        "x" * (LONGEST + 1),
        "ü" * 32,
    ],
)
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match=r"^database\.tables\.users"):
        mapping({"tables": {"users": written}})
    with pytest.raises(SettingsError, match=r"^database\.columns\.email"):
        mapping({"columns": {"email": written}})


def test_a_column_has_no_schema() -> None:
    assert "must be the name of a column" in refusal('[columns]\nemail = "a.b"')
    assert mapped("[columns]\nemail = '\"a.b\"'").users.called("email") == "a.b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("table = 1", "unknown key database.table Did you mean tables?"),
        ('[tables]\nuser_model = "x"', "unknown key database.tables.user_model Did you mean user_models?"),
        ('[columns]\nversion_id = "x"', "unknown key database.columns.version_id Did you mean replicate_version_id?"),
        ('[columns.users]\nmail = "x"', "unknown key database.columns.users.mail Did you mean email?"),
        ('[columns]\nzzz = "x"', "There are id, email"),
        ("tables = 3", "database.tables must be a table"),
        ("[columns]\nusers = 3", "database.columns.users must be a table"),
        ("[columns]\nemail = 3", "database.columns.email must be a name in quotes, not 3"),
        ('[columns]\nemail = "a"\nusers.email = "b"', "database.columns.users.email says again"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("written", "words"), [('"succeeded"', ("succeeded",)), ('["ready", "done", "ready"]', ("ready", "done"))]
)
def test_other_words_may_mean_completed(written: str, words: tuple[str, ...]) -> None:
    assert mapped(f"completed = {written}").completed == words


@pytest.mark.parametrize("written", ["[]", '""', "3", "[3]", '"a\\n"', '["failed"]', '"training"'])
def test_words_that_cannot_mean_completed_are_refused(written: str) -> None:
    assert refusal(f"completed = {written}").startswith("database.completed")


@pytest.mark.parametrize("key", ["in_progress", "failed"])
def test_other_words_may_mean_in_progress_and_failed(key: str) -> None:
    assert mapped(f'{key} = "Half-way"') == replace(PLAIN, **{key: ("Half-way",)})
    assert mapped(f'{key} = ["Ü", "half way"]') == replace(PLAIN, **{key: ("Ü", "half way")})


@pytest.mark.parametrize("key", ["in_progress", "failed"])
@pytest.mark.parametrize("written", ["[]", '" "', "3", "[3]", '"a\\n"', "{}"])
def test_what_is_no_list_of_words_is_refused(key: str, written: str) -> None:
    assert refusal(f"{key} = {written}").startswith(f"database.{key} must be a word or a list of words")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('completed = "Starting"', "database.completed and database.in_progress both have the word 'Starting'"),
        ('in_progress = "error"', "database.in_progress and database.failed both have the word 'error'"),
        (
            'in_progress = ["a", "b"]\nfailed = [" B"]',
            "database.in_progress and database.failed both have the word 'b'",
        ),
    ],
)
def test_a_word_that_would_mean_two_states_is_refused_and_named(text: str, words: str) -> None:
    assert words in refusal(text)


def test_a_word_can_be_moved_from_one_state_to_another() -> None:
    tables = mapped('completed = "ready"\nin_progress = "error"\nfailed = "running"')
    states = {word: tables.state(word) for word in ("ready", "Error", " running\n", "failed", "Ready", None)}
    assert states == {
        "ready": TrainingState.COMPLETED,
        "Error": TrainingState.IN_PROGRESS,
        " running\n": TrainingState.FAILED,
        "failed": None,
        "Ready": None,
        None: None,
    }


def test_every_column_can_be_mapped() -> None:
    for name in TABLES:
        tables = mapping({"columns": {name: {column: f"x {column}" for column in COLUMNS[name]}}})
        assert {tables[name].column(column) for column in COLUMNS[name]} == {f'"x {each}"' for each in COLUMNS[name]}


@pytest.mark.parametrize("form", ["hash", "qualified"])
def test_how_a_repair_writes_versions_may_be_said(form: str) -> None:
    assert mapped(f'version_form = "{form}"') == replace(PLAIN, version_form=form)


def test_weights_may_be_none_of_the_audits_business() -> None:
    assert mapped('weights = "ignore"') == replace(PLAIN, weights="ignore")
    assert mapped('weights = "judge"') == PLAIN


@pytest.mark.parametrize("written", ['"bare"', "true", '["hash"]', '""'])
def test_only_the_words_that_there_are_may_be_said(written: str) -> None:
    said = refusal(f"version_form = {written}")
    assert said.startswith('database.version_form must be "hash" or "qualified", not ')

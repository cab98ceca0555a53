"""Which of those who say something is heard."""

from typing import Any

import pytest

from audit.cli.config_file import Config
from audit.cli.settings import VARIABLES, Said
from audit.errors import SettingsError
from audit.model.tables import PLAIN, Table, Tables

FILE = Config("sync-audit.toml", {"rate": "3", "redact": True, "user": ("c",), "token_file": "t"})


@pytest.mark.parametrize(
    ("options", "environ", "config", "heard"),
    [
        ({"rate": "1"}, {"SYNC_AUDIT_RATE": "2"}, FILE, ("1", "option", "--rate")),
        ({"rate": None}, {"SYNC_AUDIT_RATE": "2"}, FILE, ("2", "environment", "SYNC_AUDIT_RATE")),
        ({"rate": None}, {"SYNC_AUDIT_RATE": ""}, FILE, ("3", "config", "config sync-audit.toml")),
        ({"rate": None}, {}, Config("x.toml"), None),
        ({}, {}, None, None),
        ({"rate": ""}, {"SYNC_AUDIT_RATE": "2"}, FILE, ("", "option", "--rate")),
    ],
    ids=["option", "environment", "config", "empty config", "nobody", "an empty option is one"],
)
def test_option_before_environment_before_config(
    options: dict[str, Any], environ: dict[str, str], config: Config | None, heard: object
) -> None:
    assert Said(options, environ, config).told("rate") == heard


def test_flags_counts_and_repeated_options_that_are_not_given_leave_the_word_to_the_config() -> None:
    said = Said({"redact": False, "user": (), "verbose": 0}, {}, FILE)
    assert said.flag("redact")
    assert said.texts("user") == ("c",)
    assert not said.flag("verbose")
    assert Said({"redact": True, "user": ("a", "b"), "verbose": 2}, {}, FILE).texts("user") == ("a", "b")


def test_a_flag_that_the_config_denies_is_not_set() -> None:
    assert not Said(config=Config("x", {"redact": False})).flag("redact")


def test_a_mistake_of_the_config_file_is_blamed_on_it_and_that_of_others_is_not() -> None:
    for said, blamed in ((Said(config=FILE), True), (Said({"rate": "1"}, config=FILE), False), (Said(), False)):
        with pytest.raises(SettingsError) as caught, said.blaming("rate"):
            raise SettingsError("too many", "Take fewer.")
        assert str(caught.value) == ("sync-audit.toml: too many" if blamed else "too many")
        assert caught.value.next_step == "Take fewer."


def test_the_config_can_be_heard_about_some_settings_only() -> None:
    tables = Tables(users=Table("users", ("a",)))
    said = Said(config=Config("x", FILE.values, tables)).asked_of_config("redact")
    assert said.flag("redact")
    assert said.told("rate") is None
    assert said.tables == tables
    assert Said().asked_of_config("redact").tables == PLAIN


def test_no_secret_shows() -> None:
    assert "hunter2" not in repr(Said({"database_url": "hunter2"}, {"REPLICATE_API_TOKEN": "hunter2"}))


def test_no_two_options_share_a_variable() -> None:
    assert len(set(VARIABLES.values())) == len(VARIABLES)

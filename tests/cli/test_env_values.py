"""Values as env files and hasty copying leave them."""

from pathlib import Path

import pytest

from audit.cli.env_values import alone, why_no_token
from audit.errors import SettingsError
from tests.support.audits import Servers, Shell

SECRET = "hunter2hunter2"
TOKEN = f"r8_{SECRET}"
URL = f"postgresql://app:{SECRET}@db.example.com/shop"
BASE = "https://api.replicate.com/v1"
AROUND = {
    "double quotes": ('"{}"', "has quotes around the value"),
    "single quotes": ("'{}'", "has quotes around the value"),
    "backticks": ("`{}`", "has quotes around the value"),
    "typographic quotes": ("\u201c{}\u201d", "has quotes around the value"),
    "blanks and quotes": (' "{}" \n', "has quotes around the value"),
    "an opening quote": ('"{}', "has quotes around the value"),
    "a line": ("SOME_NAME={}", "a whole line, NAME=value"),
    "an exported line": ('export SOME_NAME="{}"', "a whole line, NAME=value"),
    "a variable": ("${{SOME_NAME}}", "a variable that was not filled in"),
    "a variable without braces": ("$SOME_NAME", "a variable that was not filled in"),
}
VARIABLES = {"DATABASE_URL": URL, "REPLICATE_API_TOKEN": TOKEN, "REPLICATE_BASE_URL": BASE}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(("around", "words"), AROUND.values(), ids=AROUND)
def test_what_stands_around_a_value_is_told_and_the_value_is_not(
    shell: Shell, variable: str, around: str, words: str
) -> None:
    ended = shell("run", **VARIABLES | {variable: around.format(VARIABLES[variable])})
    assert ended.code == 2, ended.err
    told = " ".join(ended.err.split())
    assert words in told
    assert f"({variable})" in told
    assert SECRET not in ended.err + ended.out


HEADERS = {
    f"Bearer {TOKEN}": "a word of the Authorization header in front",
    f"bearer\t{TOKEN}": "a word of the Authorization header in front",
    f"Token {TOKEN}": "a word of the Authorization header in front",
    f"Authorization: Bearer {TOKEN}": "a word of the Authorization header in front",
    f"r8_ {SECRET}": "blanks",
    f"r8_\t{SECRET}": "blanks",
    f"r8_{SECRET}\nr8_{SECRET}": "several lines",
    f"r8_{SECRET}\r\n# a comment": "several lines",
    f"r8_{SECRET}\u200b": "outside ASCII",
    f"r8_\u00e9{SECRET}": "outside ASCII",
    f"r8_\u00a0{SECRET}": "outside ASCII",
    f'r8_{SECRET}"': "ends with a quote",
    f"r8_\x1b{SECRET}": "control characters",
}


@pytest.mark.parametrize(("text", "words"), HEADERS.items(), ids=range(len(HEADERS)))
@pytest.mark.parametrize("where", ["variable", "file"])
def test_what_no_header_can_have_is_refused_before_anything_is_asked(
    shell: Shell, text: str, words: str, where: str
) -> None:
    (shell.folder / "token").write_text(text, "utf-8")
    variables = {"DATABASE_URL": URL}
    if where == "variable":
        ended = shell("run", **variables, REPLICATE_API_TOKEN=text)
    else:
        ended = shell("run", "--token-file", "token", **variables)
    assert ended.code == 2, ended.err
    assert words in " ".join(ended.err.split())
    assert SECRET not in ended.err + ended.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"REPLICATE_API_TOKEN={TOKEN}\n", "holds a whole line, NAME=value"),
        (f'"{TOKEN}"\n', "has quotes around the value"),
        ("", "is empty"),
    ],
)
def test_a_token_file_is_named_and_holds_the_token_alone(shell: Shell, text: str, words: str) -> None:
    (shell.folder / "mine").write_text(text)
    ended = shell("doctor", "--token-file", "mine", DATABASE_URL=URL)
    told = " ".join((ended.out + ended.err).split())
    assert f"mine {words}" in told
    assert SECRET not in told


def test_a_token_in_the_place_of_its_file_is_not_shown(shell: Shell) -> None:
    ended = shell("run", "--token-file", TOKEN, DATABASE_URL=URL)
    assert ended.code == 2
    assert "looks like the token itself" in " ".join(ended.err.split())
    assert SECRET not in ended.err


def test_a_mark_of_the_encoding_and_ends_of_lines_are_no_part_of_a_token(shell: Shell, servers: Servers) -> None:
    token = servers.environ["REPLICATE_API_TOKEN"]
    Path(shell.folder, "token").write_bytes(f"\ufeff{token}\r\n".encode())
    shell.environ = {name: value for name, value in servers.environ.items() if name != "REPLICATE_API_TOKEN"}
    ended = shell("doctor", "-v", "--token-file", "token")
    assert "valid, and belongs to" in " ".join(ended.out.split())


@pytest.mark.parametrize("text", [URL, TOKEN, BASE, f"{URL}?application_name='x'", "host=db dbname=x", "", f"a'{URL}'"])
def test_anything_else_is_left_to_whoever_knows_it(text: str) -> None:
    assert alone(f" {text}\n") == text


def test_a_token_is_one_word_of_ascii() -> None:
    assert why_no_token(TOKEN) is None
    with pytest.raises(SettingsError):
        alone(f"'{TOKEN}'")

"""What is logged, and what never is."""

import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from audit.cli.logs import KEYS, Formatter, set_up
from audit.demo.fake_replicate.server import TOKEN
from audit.model import exit_status
from audit.model.secrecy import Secrecy
from tests import ROOT
from tests.support.audits import Servers, Shell

PASSWORD = "s3cr3t/pa:ss@wörd \"+%'\\~"


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Everything that is logged, as text; the loggers are left as they were."""
    root, ours = logging.getLogger(), logging.getLogger("audit")
    before = (root.handlers[:], root.level, ours.level)
    written: list[str] = []
    set_up(Formatter([PASSWORD, TOKEN], as_json=False), 2, written.append)
    yield written
    logging.captureWarnings(capture=False)
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.mark.parametrize(
    "written",
    [
        PASSWORD,
        quote(PASSWORD, safe=""),
        quote(PASSWORD),
        quote_plus(PASSWORD),
        quote(PASSWORD, safe="").lower(),
        "".join(f"%{byte:02X}" for byte in PASSWORD.encode()),
        PASSWORD[:5] + quote(PASSWORD[5:], safe=""),
        repr(PASSWORD)[1:-1],
        ascii(PASSWORD)[1:-1],
        json.dumps(PASSWORD)[1:-1],
        repr(repr(PASSWORD)[1:-1])[1:-1],
    ],
    ids=[
        *(
            "as it is",
            "percent-encoded",
            "with slashes",
            "as in a form",
            "lower case",
            "wholly encoded",
            "half encoded",
        ),
        *("repr", "ascii", "JSON", "repr of a repr"),
    ],
)
def test_a_secret_is_cut_out_however_it_is_written(written: str) -> None:
    assert Secrecy([PASSWORD]).clean(f"cannot <{written}> here") == "cannot <(secret)> here"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"token {TOKEN} refused", "token (secret) refused"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer (secret)"),
        ("dsn postgresql://me:hunter2@db/shop", "dsn postgresql://me:(secret)@db/shop"),
        ("see https://replicate.com/acme/face:v1 for r8_x", "see https://replicate.com/acme/face:v1 for r8_x"),
    ],
    ids=["token", "header", "URL", "nothing"],
)
def test_what_has_the_form_of_a_secret_is_cut_out_unknown(text: str, clean: str) -> None:
    assert Secrecy().clean(text) == clean


def test_a_short_password_does_not_tear_other_words_apart() -> None:
    assert Secrecy(["db"]).clean("db of shopdb: password=db") == "(secret) of shopdb: password=(secret)"


def test_a_librarys_message_arguments_and_traceback_are_cleaned(lines: list[str]) -> None:
    library = logging.getLogger("some.library")

    def connect(password: str) -> None:
        raise OSError(f"cannot use {password!r}")

    try:
        connect(PASSWORD)
    except OSError:
        library.exception("connecting with %s failed", {"token": TOKEN, "url": quote(PASSWORD, safe="")})
    (text,) = lines
    assert text.count("(secret)") == 3
    assert text.splitlines()[1] == "  Traceback (most recent call last):"
    for part in (TOKEN, "s3cr3t", "ss@w", "w%C3%B6rd"):
        assert part not in text


def test_the_cause_of_an_exception_is_cleaned_too() -> None:
    error = OSError("outer")
    error.__cause__ = ValueError(PASSWORD)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "oh", None, (OSError, error, None))
    line = json.loads(Formatter([PASSWORD], as_json=True).format(record))
    assert line["event"] == "oh"
    assert "ValueError: (secret)" in line["exception"]


def test_a_line_stays_one_line_and_acts_on_no_terminal(lines: list[str]) -> None:
    logging.getLogger("audit").info("user %s", "a\nb\x1b[2J\u202e")
    assert lines == ["info: user a\\nb\\x1b[2J\\u202e"]


def test_json_carries_what_is_known_under_stable_keys_and_cleans_it() -> None:
    record = logging.LogRecord("audit", logging.INFO, "", 0, "GET %s", ("/v1/account",), None)
    record.__dict__.update({"model": TOKEN, "status": 200, "attempt": 1, "duration_ms": 12, "foreign": "x"})
    line = json.loads(Formatter([TOKEN], as_json=True).format(record))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "GET /v1/account",
        "model": "(secret)",
        "status": 200,
        "attempt": 1,
        "duration_ms": 12,
    }
    assert {"user_id", "model", "status", "reason", "attempt", "duration_ms"} <= set(KEYS)


@pytest.mark.parametrize(("verbosity", "levels"), [(-1, "e"), (0, "we"), (1, "iwe"), (2, "diwe")])
def test_each_v_shows_more(lines: list[str], verbosity: int, levels: str) -> None:
    set_up(Formatter([], as_json=False), verbosity, lines.append)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("audit.some").log(level, "x")
    assert "".join(line[0] for line in lines) == levels


def test_verbose_names_also_those_who_could_not_be_asked_about(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ
    err = shell("run", "-v", "-o", "x.json", "--no-progress").err
    assert re.search(r"^info: \d+ users with a training that counts found$", err, re.MULTILINE)
    assert len(re.findall(r"could not be checked: missing_model_id: replicate_model_id is (?:null|blank)", err)) == 2
    assert "could not be checked: invalid_model_id: not owner/name: " in err
    report = json.loads((shell.folder / "x.json").read_text())
    for status, words in (("needs_sync", " needs a sync: "), ("error", " could not be checked: ")):
        assert err.count(words) == report["summary"][status]


def test_a_bug_shows_its_traceback_without_secrets(shell: Shell, servers: Servers) -> None:
    (shell.folder / "sitecustomize.py").write_text(
        "import audit.commands.run.audit\ndef audit_(settings, *_):\n"
        "    raise RuntimeError(settings.token + ' hunt%65r2 hunter2')\n"
        "audit.commands.run.audit.audit = audit_\n"
    )
    shell.environ = servers.environ | {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1/x"}
    ended = shell("run", PYTHONPATH=f"{shell.folder}:{ROOT}")
    assert ended.code == exit_status.BUG
    assert "RuntimeError: (token) (secret) (secret)" in ended.err
    assert ended.last_code == exit_status.BUG

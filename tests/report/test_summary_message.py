"""The message for a chat says what the reports say, and nothing in the data formats it or calls anybody."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from audit.report.summary_message import Flavour, summary_message
from audit.report.view import RunView
from audit.runfile import RunFile
from tests.support.run_files import run_file_of
from tests.support.samples import outdated_users

HOSTILE = [
    "<!channel>",
    "<!here|x>",
    "@here",
    "@channel",
    "<@U012AB3CD>",
    "<https://evil.example|ok>",
    "a`b*c",
    "&lt;!channel>",
    "\x1b[31m\u202e",
    "\n*Release OK*: all fine",
]
BOTH: tuple[Flavour, ...] = ("slack", "text")


def said(folder: Path, flavour: Flavour, *emails: str, redact: bool = False) -> str:
    users = [
        replace(user, record=replace(user.record, email=email))
        for user, email in zip(outdated_users(len(emails)), emails, strict=True)
    ]
    path = run_file_of(folder / f"{len(list(folder.iterdir()))}.sqlite", users)
    with RunFile.open(path) as opened:
        return summary_message(RunView(opened, redact=redact), flavour, "reports/run.sqlite")


@pytest.mark.parametrize("flavour", BOTH)
def test_it_begins_with_the_verdict_and_names_the_fix_and_at_most_five(tmp_path: Path, flavour: Flavour) -> None:
    lines = said(tmp_path, flavour, *(f"p{n}@example.com" for n in range(7))).splitlines()
    verdict = "*Hold*: " if flavour == "slack" else "Hold: "
    assert lines[0] == f"{verdict}7 of 7 users get photos from an old version of their model"
    assert lines[-1].count("@example.com") == 5
    assert lines[-1].endswith(" and 2 more")
    assert any("sync-audit " in line and "reports/run.sqlite" in line for line in lines)


@pytest.mark.parametrize("flavour", BOTH)
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_calls_anybody_or_adds_a_line(tmp_path: Path, flavour: Flavour, name: str) -> None:
    text = said(tmp_path, flavour, name, f"{name}@example.com")
    plain = said(tmp_path, flavour, "a@example.com", "b@example.com")
    assert text.count("\n") == plain.count("\n")
    assert not re.search(r"[^\w.+-]@\w", text.replace("@example.com", ""))
    assert "\x1b" not in text
    if flavour == "slack":
        assert "<" not in text
        assert ">" not in text
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)
        assert text.count("`") == plain.count("`")


@pytest.mark.parametrize("flavour", BOTH)
def test_nobody_is_named_where_names_may_not_be_shown(tmp_path: Path, flavour: Flavour) -> None:
    text = said(tmp_path, flavour, "ann@example.com", redact=True)
    assert "ann@" not in text
    assert "u0" in text

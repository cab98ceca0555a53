"""What people read is said in common words, and one thing has one word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

BANNED = {
    r"as far as wanted": "as far as needed",
    r"\bask(?:s|ed|ing)? again\b": "retry, or check again",
    r"fades the face|breaks the picture": "weakens the likeness, distorts the image",
    r"\bin passing\b": "temporary",
    r"\bleads? nowhere\b": "is gone, does not work",
    r"\bnothing here knows\b": "not something this tool can check",
    r"\bnot come to\b": "not reached",
    r"\bof whom\b": "say who it is",
    r"\bold face\b": "photos from an old model",
    r"\bpictures?\b": "photos, or the image",
    r"\bput out\b": "output",
    r"\brecorded (?:version|weights|trigger word|hash)\b": "stored",
    r"\bslip\b": "typo",
    r"\btold nothing\b": "gave no result",
    r"\bwhoever\b": "who, or everyone who",
    r"\bwhose token (?:it|this) is\b": "the token's account",
}
"""What is not said, as a pattern for any case, and what is said instead."""
OTHERS = {
    *("audit/report", "audit/commands/run/github.py", "audit/commands/run/summary.py", "audit/commands/user/screen.py"),
    *("audit/model/exit_status.py", "audit/cli/errors.py"),
}
"""Parts of audit/ that are not looked at."""
NOT_PROSE = {"audit/commands/init/names.py", "audit/demo"}
"""Words of tables and of made-up users, not of ours."""
NOT_READ = {
    "CHANGELOG.md",
    "design.md",
    "CONTRIBUTING.md",
    "benchmarks.md",
    "fields.md",
    "user-json.md",
    "exit-codes.md",
}
"""Documents about the program itself, or made from schemas and from modules that are not looked at."""
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*"),
        ROOT / "action.yml",
    )
    if path.is_file() and path.name not in NOT_READ and path.suffix in {".md", ".yml", ".yaml", ".json", ".sh"}
)
MODULES = sorted(
    path
    for path in (ROOT / "audit").rglob("*.py")
    if not any(path.is_relative_to(ROOT / each) for each in OTHERS | NOT_PROSE)
)


def faults(text: str) -> list[str]:
    """Each banned piece of `text`, with what to say in its place."""
    found = ((re.search(pattern, text, re.IGNORECASE), better) for pattern, better in BANNED.items())
    return [f"{match[0]!r}: rather {better!r}" for match, better in found if match]


def sentences(path: Path) -> Iterator[str]:
    """The texts of a module that a person may read: strings with a blank in them, and the help of a command."""
    tree = ast.parse(path.read_text())
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            if "CREATE TABLE" in node.value:
                continue
            yield node.value
        elif isinstance(node, ast.FunctionDef) and node.name == "command":
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_says_in_common_words(path: Path) -> None:
    assert [fault for text in sentences(path) if " " in text for fault in faults(text)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_says_what_it_says_in_common_words(path: Path) -> None:
    prose = re.sub(r"\]\([^)]*\)|`[^`\n]*`", "", path.read_text())  # no links and no code
    assert [fault for paragraph in prose.split("\n\n") for fault in faults(" ".join(paragraph.split()))] == []


@pytest.mark.parametrize(
    "old",
    [
        "much less fades the face, much more breaks the picture",
        "the id has a slip",
        "To ask again for the 1 that failed in passing",
        "Nothing here knows.",
        "whose token this is could not be found out",
    ],
)
def test_an_old_sentence_is_noticed(old: str) -> None:
    assert faults(old)

"""Markdown documents: their code blocks, links and headings."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests import ROOT

_FENCE = re.compile(r'^( *)```(\w+)?(?: title="([^"]*)")?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block."""

    language: str
    title: str
    text: str
    follows: bool
    """Whether nothing but blank lines is between it and the block before."""


def documents() -> list[Path]:
    """All that is written for people, relative to the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path.relative_to(ROOT) for path in found)


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document."""
    text = (ROOT / path).read_text()
    end = 0
    for match in _FENCE.finditer(text):
        follows = not text[end : match.start()].strip()
        yield Block(match[2] or "", match[3] or "", textwrap.dedent(match[4]), follows)
        end = match.end()


def links(path: Path) -> list[str]:
    """Where its links and pictures lead, code left out."""
    text = _FENCE.sub("", (ROOT / path).read_text())
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", text))


def anchors(path: Path) -> set[str]:
    """What a link to a part of the document may say, as GitHub and the site both make it of a heading."""
    text = _FENCE.sub("", (ROOT / path).read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in _HEADING.findall(text)}

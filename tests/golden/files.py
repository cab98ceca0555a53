"""Golden files: what commands write for one kept run, in `tests/fixtures/golden/`.

`python -m tests.golden.files FOLDER` writes such a folder again: for each of `COMMANDS` a folder with every file that
the command writes and, in output.txt, what it prints. Only files that differ are replaced. `run.sqlite` is kept where
it exists, as the point is that later programs read it; otherwise `tests.golden.run` makes one, with another run id and
another sample of users.
"""

import difflib
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from audit.model import exit_status
from audit.model.codes import Note, Reason
from tests import ROOT
from tests.golden import run as golden_run
from tests.support.audits import Ended, Shell

KEPT = ROOT / "tests/fixtures/golden"

_RENDER = ("render", "run.sqlite")
_REPORTS = tuple(word for kind in ("csv", "json", "md", "xml") for word in ("-o", f"report.{kind}"))
_DIFF = ("diff", "earlier.json", "run.sqlite")
_DIFFS = tuple(word for kind in ("txt", "html", "csv", "json", "md") for word in ("-o", f"diff.{kind}"))
_SYNC = ("sync", "run.sqlite", *golden_run.NOT_TOO_OLD, "-o", "plan.json")
_USERS = {
    "repaired": "victor.almeida@example.com",
    "new": "jonas.weber@example.com",
    "resolved": "noah.kim@example.com",
    "accepted": "mateo.garcia@example.com",
    "shared model": "tomas.herrera@example.org",
    "not found": "clara.schmidt@example.com",
    "hostile": "mallory.ansi@example.org",
    "several": "mallory",
}
_CODES = (*Reason, *Note, *map(str, exit_status.RUN))

COMMANDS: Mapping[str, Sequence[Sequence[str]]] = {
    "render": [(*_RENDER, "-o", "report.html", *_REPORTS)],
    "render-redacted": [(*_RENDER, "--redact", *_REPORTS)],
    "render-without-acceptances": [(*_RENDER, "--no-accept", "-o", "report.md")],
    "diff": [_DIFF, (*_DIFF, *_DIFFS)],
    "diff-redacted": [(*_DIFF, "--redact", "-o", "diff.json")],
    "sync": [_SYNC],
    "sync-redacted": [(*_SYNC, "--redact", "--include", "malformed_version", "--limit", "3")],
    "user": [("user", who, "--run", "run.sqlite", *more) for who in _USERS.values() for more in ((), ("--json",))],
    "explain": [("explain",), *(("explain", code) for code in _CODES), ("explain", "needs_sync")],
}
"""Command lines by the name of their folder. Those of one folder run one after the other."""


def written(shell: Shell, name: str, kept: Path = KEPT) -> dict[str, str]:
    """Run `COMMANDS[name]` in the folder of `shell`, which is empty; returns the text of each new file by its name.

    "output.txt" has the command lines, stdout, stderr and exit codes.
    """
    folder = shell.folder
    shutil.copy(kept / "run.sqlite", folder)
    shutil.copy(golden_run.EARLIER, folder / "earlier.json")
    inputs = {path: path.read_bytes() for path in folder.iterdir()}
    printed = "".join(_printed(line, shell(*line)) for line in COMMANDS[name])
    assert {path: path.read_bytes() for path in inputs} == inputs, "an input was changed"
    return {path.name: _text(path) for path in folder.iterdir() if path not in inputs} | {"output.txt": printed}


def stored(name: str, kept: Path = KEPT) -> dict[str, str]:
    """The same from the golden files."""
    return {path.name: _text(path) for path in (kept / name).iterdir()}


def difference(name: str, before: str, now: str) -> str:
    """The first lines of a unified diff of `comparable` texts; "" where they are equal."""
    old, new = comparable(name, before), comparable(name, now)
    if old == new:
        return ""
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), "kept", "now", n=1)
    return "\n".join(ascii(line[:200]) for line in islice(lines, 60))


_CHANGING = (
    (re.compile(r'(?<=-- planned )\S+|(?<="planned_at": ")[^"]+'), "TIME"),
    (re.compile(r'(?:(?<="version": ")|(?<=sync-audit ))\d+\.\d+\.\d+\w*'), "VERSION"),
)


def comparable(name: str, text: str) -> str:
    """`text` without what differs from one program or moment to the next: version, time of a plan, layout of HTML."""
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return spaced(text) if name.endswith(".html") else text


_VERBATIM = re.compile(r"(<(script|style|pre|textarea)\b.*?</\2>)", re.DOTALL)
_INLINE = "a|abbr|b|button|code|em|i|input|kbd|label|mark|q|select|small|span|strong|sub|sup|svg|time|tspan|wbr"
_BESIDE_BLOCK = re.compile(rf" ?(<(?!/?(?:{_INLINE})\b)[^<>]*>) ?")


def spaced(html: str) -> str:
    """HTML with one blank for any white space, and none beside block tags, which get a line each.

    White space beside inline tags shows in a browser, so one blank is left of it. Scripts, styles and preformatted text
    are unchanged.
    """
    pieces = _VERBATIM.split(html)  # text, verbatim element, its name, text, ...
    del pieces[2::3]
    for place in range(0, len(pieces), 2):
        piece = re.sub(r"\s+", " ", pieces[place])
        pieces[place] = _BESIDE_BLOCK.sub(r"\n\1\n", piece).strip()
    return re.sub(r"\n+", "\n", "\n".join(pieces))


def _printed(line: Sequence[str], ended: Ended) -> str:
    return f"$ sync-audit {shlex.join(line)}\n{ended.out}--- stderr\n{ended.err}--- {ended.code}\n\n"


def _text(path: Path) -> str:
    return path.read_bytes().decode()


def make(folder: Path) -> None:
    """Bring `folder` up to date; see above."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "run.sqlite").exists():
        golden_run.make(folder)
    for name in COMMANDS:
        with tempfile.TemporaryDirectory() as empty:
            files = written(Shell(Path(empty)), name, folder)
        (folder / name).mkdir(exist_ok=True)
        before = stored(name, folder)
        for file in before.keys() - files.keys():
            (folder / name / file).unlink()
        for file, text in files.items():
            if file not in before or difference(file, before[file], text):
                (folder / name / file).write_bytes(text.encode())


if __name__ == "__main__":
    make(Path(sys.argv[1]))

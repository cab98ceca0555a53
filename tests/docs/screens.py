"""Makes the documents' pictures of terminals: `doctor`, `run` and `user`, as they are.

`python -m tests.docs.screens FOLDER` writes them.

The commands are real ones, run on the demo's servers at a fixed moment; what differs from machine to machine (the
fake Replicate's port, milliseconds, the server's version, how old rows are today) is set here.
"""

import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from audit.demo.servers import demo_servers
from tests import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = 80
COMMANDS = {
    "doctor": "doctor",
    "run": "run --no-progress -o report.html --run-file run.sqlite",
    "user": "user beatriz.costa@example.com",
}
SET = (
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "8000"),
    (re.compile(r"\b\d+(?:\.\d)? ms"), "5 ms"),
    (re.compile(r"(?<=PostgreSQL )\d+[.\d]*"), "18"),
    (re.compile(r"(?<=\()\d[\d,]*(?=\s+days\s+before\s+this\s+run)"), "6"),
)
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def write(folder: Path) -> None:
    """Write an SVG for each command into `folder`."""
    for name, text in screens().items():
        (folder / f"{name}.svg").write_text(_svg(name, text), encoding="utf-8")


def screens() -> dict[str, str]:
    """What each command prints on a terminal with colours, after the command itself."""
    with tempfile.TemporaryDirectory() as scratch, demo_servers(NOW) as staged:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        environ = kept | {
            "PYTHONPATH": str(ROOT),
            "COLUMNS": str(COLUMNS),
            "TERM": "xterm-256color",
            "FORCE_COLOR": "1",
            "DATABASE_URL": staged.dsn,
            "REPLICATE_BASE_URL": staged.origin,
            "REPLICATE_API_TOKEN": staged.token,
        }
        # The demo's servers err on purpose, and nobody likes to wait for that.
        quick = {"SYNC_AUDIT_TIMEOUT": "1", "SYNC_AUDIT_RETRIES": "1", "SYNC_AUDIT_RATE": "12000"}
        return {
            name: _screen(command, scratch, environ | (quick if name == "run" else {}))
            for name, command in COMMANDS.items()
        }


def plain(text: str) -> str:
    """`text` without colours and as one line, so that it does not matter where lines were broken."""
    return " ".join(Text.from_ansi(text).plain.split())


def _screen(command: str, folder: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "audit", *command.split()],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    text = done.stdout
    for pattern, replacement in SET:
        text = pattern.sub(replacement, text)
    return f"$ sync-audit {command}\n{text}"


def _svg(name: str, text: str) -> str:
    drawn_text = Text.from_ansi(text)
    width = max(COLUMNS, *map(len, drawn_text.plain.splitlines()))  # URLs are never broken, and may be longer
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(drawn_text, soft_wrap=True)
    drawn = console.export_svg(title=f"sync-audit {name}", theme=MONOKAI, unique_id=name)
    return _FONTS.sub("", drawn)  # they would be loaded from elsewhere; any monospaced one will do


if __name__ == "__main__":
    write(Path(sys.argv[1]))

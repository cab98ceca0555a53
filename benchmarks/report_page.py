"""One page in one process: `python -m benchmarks.report_page KIND USERS FILE`. KIND is `ours`, `trained`, or a rival:

trained    ours, of a run that read the account's trainings as well
read       nothing but reading the users, as often as a report does: what to take off the cost of ours
rows       every user a row of one table, searched by hiding rows
skipped    the same in tables of a hundred, which the browser may skip (`content-visibility`)
"""

import sys
from collections.abc import Iterator
from html import escape
from itertools import islice
from pathlib import Path
from typing import TextIO

from audit.model.findings import AuditedUser
from audit.report.html import render as html_report
from audit.report.view import RunView
from benchmarks.report_users import SyntheticRun

_HEAD = """<!DOCTYPE html><meta charset="utf-8"><title>x</title>
<style>.far { content-visibility: auto; contain-intrinsic-size: auto 2400px } table { table-layout: fixed }</style>
<input id="q"><p id="found"></p>
"""
_TAIL = """<script>
const rows = Array.from(document.querySelectorAll("tr"), (row) => [row, row.textContent.toLowerCase()]);
document.getElementById("q").addEventListener("input", (event) => {
  let count = 0;
  for (const [row, text] of rows) count += !(row.hidden = !text.includes(event.target.value));
  document.getElementById("found").textContent = count;
});
document.body.offsetHeight;
document.documentElement.classList.add("ready");
</script>
"""


def write(kind: str, users: int, path: Path) -> None:
    """The page; `read` writes nothing."""
    run = SyntheticRun(users, trained=kind == "trained")
    if kind == "read":
        run.summary()
        for user in run.users():
            user.finding.status  # noqa: B018 - reading is the point
    elif kind in {"ours", "trained"}:
        with path.open("wb", buffering=1 << 18) as file:
            html_report.render(RunView(run), file)
    else:
        with path.open("w") as text:
            _rival(run.users(), text, 100 if kind == "skipped" else users)


def _rival(users: Iterator[AuditedUser], out: TextIO, chunk: int) -> None:
    out.write(_HEAD)
    while rows := [_row(user) for user in islice(users, chunk)]:
        out.write(f'<table class="far">{"".join(rows)}</table>')
    out.write(_TAIL)


def _row(user: AuditedUser) -> str:
    record, finding = user.record, user.finding
    cells = (
        *(record.email, record.user_id, record.replicate_model_id, record.replicate_version_id),
        *(finding.latest_version, finding.latest_version_created_at, finding.reason, record.training_id),
        *(record.trigger_word, record.lora_scale, record.lora_weights_url, record.updated_at),
    )
    return "<tr>" + "".join([f"<td>{escape(cell or '')}" for cell in cells])


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

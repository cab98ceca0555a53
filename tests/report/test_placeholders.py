"""No report tells its reader to type a word that only documentation may have in its commands."""

import io
import re

import pytest

from audit.report.view import RunView
from audit.report.writer import renderer
from tests.support.report_states import states

STATES = states()
PLACEHOLDER = re.compile(r"sync-audit [^\n<`\"]*\b(RUN|WHO|USER_ID|OLD|NEW|PATH|FORMAT)\b")


@pytest.mark.parametrize("name", ["html", "md", "csv", "json", "junit"])
@pytest.mark.parametrize("state", STATES)
def test_commands_name_this_run(state: str, name: str) -> None:
    out = io.BytesIO()
    renderer(name)(RunView(STATES[state]), out)
    assert PLACEHOLDER.findall(out.getvalue().decode()) == []

"""Changes of repairs, and texts that are meant to break out of SQL."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from audit.model.repair import RowChange
from tests.support.report_hostile import HOSTILE
from tests.support.samples import NEW

OF_PSQL = [
    "\\! touch owned",
    "\n\\! touch owned\n",
    ":var :'var' :\"var\" :{?var}",
    "$$ $tag$",
    "--",
    "/*",
    ";",
    "\\",
    "E'",
    "''",
]
TEXTS = [each.replace("\x00", "").replace("\ud800", "") for each in (*HOSTILE, *OF_PSQL)]
text = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from([*TEXTS, None])


def change(**changes: Any) -> RowChange:
    """A change of an outdated version."""
    return msgspec.structs.replace(
        RowChange(
            user_id="u1",
            email="anna@example.com",
            model_row_id="1",
            replicate_model_id="acme/anna",
            reason="outdated_version",  # type: ignore[arg-type]  # a reason is its text
            old_version="f" * 64,
            new_version=NEW,
            latest_version=NEW,
            old_weights="https://replicate.delivery/a.tar",
            new_weights="https://replicate.delivery/b.tar",
            weights="replaced",
            old_updated_at="2026-02-01T00:00:00Z",
        ),
        **changes,
    )

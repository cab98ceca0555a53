"""Changes and edits of repairs, with values that are meant to break out of SQL."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from audit.model.repair import RowChange, RowUpdate
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
times = st.sampled_from([None, "2026-02-01T00:00:00Z", "2026-02-01T00:00:00.123456Z"])


@st.composite
def edits(draw: st.DrawFn) -> RowUpdate:
    """Any edit that a change can come to."""
    sets_weights, guarded, touched = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    old_weights = draw(text)
    return RowUpdate(
        model_row_id=draw(text.filter(lambda each: each is not None)) or "",
        old_version=draw(text),
        new_version=draw(text),
        old_weights=old_weights,
        new_weights=draw(text) if sets_weights else old_weights,
        sets_weights=sets_weights,
        old_updated_at=draw(times) if guarded else None,
        guards_updated_at=guarded,
        new_updated_at=draw(times) if touched else None,
        sets_updated_at=touched,
    )


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

"""One user and the terms of a repair make a change, or a reason why there is none: the rule table, pure and total."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import recorded_hash
from audit.model.repair import LeftOut, RowChange, Weights, WhyLeftOut
from audit.model.tables import Column
from audit.model.users import TRIMMED

WHY: Mapping[WhyLeftOut, str] = {
    WhyLeftOut.SHARED_MODEL: "other users have the same model, and its latest version may show one of them",
    WhyLeftOut.RETRAINING_IN_PROGRESS: "a newer training is on its way; audit again when it has ended",
    WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT: "the model belongs to another account than the token",
    WhyLeftOut.RECORDED_MODEL_DIFFERS: "the recorded version names another model than the row",
    WhyLeftOut.UNKNOWN_VERSION: "the model has no such version; --include unknown_version takes them in",
    WhyLeftOut.MALFORMED_VERSION: "what is recorded is no version; --include malformed_version takes them in",
    WhyLeftOut.LATEST_NOT_KNOWN: "Replicate has not said which version is the latest",
    WhyLeftOut.TOO_OLD: "checked too long ago; audit again, or allow more with --max-age",
}
_BY_NAME: Mapping[Reason, WhyLeftOut] = {
    Reason.UNKNOWN_VERSION: WhyLeftOut.UNKNOWN_VERSION,
    Reason.MALFORMED_VERSION: WhyLeftOut.MALFORMED_VERSION,
}
"""Left out unless they are included."""
_BY_NOTE: Mapping[Note, WhyLeftOut] = {
    Note.SHARED_MODEL: WhyLeftOut.SHARED_MODEL,
    Note.RETRAINING_IN_PROGRESS: WhyLeftOut.RETRAINING_IN_PROGRESS,
    Note.OWNER_DIFFERS_FROM_ACCOUNT: WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT,
    Note.RECORDED_MODEL_DIFFERS: WhyLeftOut.RECORDED_MODEL_DIFFERS,
}
"""In the order in which they are told: the first that applies."""
_TOLD = frozenset(
    {
        Note.MISSING_WEIGHTS_URL,
        Note.GUESSED_WEIGHTS_URL,
        Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
        Note.VERSION_MADE_BY_HAND,
    }
)
_URL = re.compile(r"https?://\S+")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all users of a plan and is needed to judge each."""

    now: datetime
    max_age: timedelta
    """Older findings are left out."""
    include: frozenset[Reason] = frozenset()
    """Reasons that are left out unless they are named here."""
    missing_columns: frozenset[Column] = frozenset()


def planned(user: AuditedUser, checked_at: datetime, terms: Terms) -> RowChange | LeftOut | None:
    """What is to be done about `user`, whose model was asked for at `checked_at`; None where no sync is needed."""
    record, finding = user.record, user.finding
    if finding.status is not Status.NEEDS_SYNC:
        return None
    why = _why_left_out(user, checked_at, terms)
    if why is not None:
        return LeftOut(
            user_id=record.user_id,
            email=record.email,
            model_row_id=record.model_row_id,
            reason=finding.reason,
            why=why,
        )
    latest = finding.latest_version
    assert latest is not None  # noqa: S101 - else the user is left out
    weights, url = _weights(user, terms)
    return RowChange(
        user_id=record.user_id,
        email=record.email,
        model_row_id=record.model_row_id,
        replicate_model_id=record.replicate_model_id or "",
        reason=finding.reason,
        old_version=record.replicate_version_id,
        new_version=_as_recorded(record.replicate_version_id, latest),
        latest_version=latest,
        old_weights=record.lora_weights_url,
        new_weights=url,
        weights=weights,
        old_updated_at=record.updated_at,
        notes=tuple(note for note in finding.notes if note in _TOLD),
    )


def _why_left_out(user: AuditedUser, checked_at: datetime, terms: Terms) -> WhyLeftOut | None:
    finding = user.finding
    for note, why in _BY_NOTE.items():
        if note in finding.notes:
            return why
    if finding.reason in _BY_NAME and finding.reason not in terms.include:
        return _BY_NAME[finding.reason]
    if finding.latest_version is None:
        return WhyLeftOut.LATEST_NOT_KNOWN
    return WhyLeftOut.TOO_OLD if terms.now - checked_at > terms.max_age else None


def _as_recorded(recorded: str | None, latest: str) -> str:
    """`latest` with the model in front where the recorded version has it: products that store that run it so."""
    if recorded_hash(recorded) is None:
        return latest
    model, colon, _ = (recorded or "").strip(TRIMMED).rpartition(":")
    return f"{model}{colon}{latest}"


def _weights(user: AuditedUser, terms: Terms) -> tuple[Weights, str | None]:
    """What becomes of the URL, and what it will be. What is no URL is not written into a row, whoever sends it."""
    recorded = user.record.lora_weights_url
    if "lora_weights_url" in terms.missing_columns:
        return "no_column", recorded
    latest = user.finding.lineage.latest if user.finding.lineage else None
    url = latest.weights if latest else None
    if url is None or not url.isprintable() or not _URL.fullmatch(url):
        return "left_alone", recorded
    return ("same" if url == recorded else "replaced"), url

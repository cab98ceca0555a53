"""The row of an up-to-date user, of which a report has most.

So it is a tuple that the template unpacks (jinja2 looks up an attribute in 0.3 microseconds, a local name in
none), and it has fields, not explanations.
"""

from typing import NamedTuple

from audit import hints
from audit.models import AuditedUser
from audit.report.html_facts import NOT_RECORDED, brief_trainings, model_page, rare_facts
from audit.report.html_words import head
from audit.report.words import MARK_TITLES, instant, short_hash


class UpToDateRow(NamedTuple):
    """An up-to-date user: every field, explanations only by name. The template unpacks these in this order."""

    who: str
    name: str
    user_id: str
    """Shown below an e-mail; "" where it stands in the place of one."""
    model: str
    url: str | None
    short: str
    hash: str
    date: str
    total: int | None
    notes: tuple[str, ...]
    row_id: str
    training: str
    trigger: str
    scale: str
    weights: str
    created: str
    updated: str
    completed: str
    versions: list[tuple[str, str]]
    rare: list[tuple[str, str]]
    """Label and value of what few users have."""


def up_to_date_row(user: AuditedUser) -> UpToDateRow:
    """The row of an up-to-date user."""
    record, finding = user.record, user.finding
    email, name, latest = record.email, record.display_name or "", finding.latest_version or ""
    rare = rare_facts(record) + brief_trainings(user)
    marks = [MARK_TITLES[user.baseline]] if user.baseline else []
    if record.replicate_version_id != latest:
        rare.append(("Recorded as", record.replicate_version_id or ""))
    whole = ((email, "E-mail"), (name, "Name"), (record.user_id, "User id"), (record.replicate_model_id, "Model id"))
    rare.extend((label, text) for text, label in whole if text and head(text) != text)
    return UpToDateRow(
        head(email or record.user_id),
        head(name),
        head(record.user_id) if email else "",
        head(record.replicate_model_id or ""),
        model_page(record),
        short_hash(latest),
        latest,
        (finding.latest_version_created_at or "")[:10],
        finding.total_versions,
        (*marks, *[hints.HINTS[note].title for note in finding.notes]),
        record.model_row_id,
        record.training_id or "",
        record.trigger_word or NOT_RECORDED,
        record.lora_scale or NOT_RECORDED,
        record.lora_weights_url or NOT_RECORDED,
        instant(record.created_at),
        instant(record.updated_at),
        instant(record.completed_at),
        [(version.id, instant(version.created_at)) for version in finding.versions],
        rare,
    )

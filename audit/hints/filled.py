"""The hint table with a user's own values put in, and the answers that come from counts."""

from collections.abc import Callable, Mapping
from functools import cache

import msgspec

from audit.hints.population import population_answers
from audit.hints.table import HINTS, ONE_LINE, RERUN_STEP, ROWS_STEP, Hint
from audit.hints.trainings import TrainingLine, shown_trainings
from audit.model.codes import Note, Reason
from audit.model.findings import AuditedUser
from audit.model.ids import askable_model, recorded_hash
from audit.model.tables import COLUMNS, DATES, PLAIN, Table, Tables
from audit.model.text import escape_controls, shortened
from audit.model.users import ModelRecord, email_or_id

__all__ = [
    "HINTS",
    "RERUN_STEP",
    "ROWS_STEP",
    "Check",
    "Hint",
    "checklist",
    "filled",
    "model_url",
    "one_line",
    "population_answers",
    "rows_sql",
]


class Check(msgspec.Struct, frozen=True):
    """One point of the checklist "up to date, but the pictures are poor", with this user's value."""

    question: str
    value: str
    """What is recorded, as shown to a person."""
    good: bool | None
    """Whether the value is as it should be; None where only a person can tell."""
    advice: str


def model_url(record: ModelRecord) -> str | None:
    """The model's page on replicate.com; None where the model id has not the form of one."""
    model = askable_model(record.replicate_model_id)
    return f"https://replicate.com/{model}" if model else None


def rows_sql(record: ModelRecord, tables: Tables = PLAIN) -> str:
    """A query, safe to paste into psql, that shows all training rows of the user, newest first."""
    beginning, end = _around_user(tables.user_models)
    return f"{beginning}{_literal(record.user_id)}{end}"


@cache
def _around_user(models: Table) -> tuple[str, str]:
    own: dict[str, str] = {name: escape_controls(models.column(name)) for name in COLUMNS["user_models"]}
    shown = ("id", "training_status", "replicate_model_id", "replicate_version_id", *DATES)
    columns = ", ".join(own[name] for name in shown)
    order = f"{own['updated_at']} DESC NULLS LAST, {own['completed_at']} DESC NULLS LAST, {own['id']} DESC"
    # Text for a person: names and the id are quoted, and nothing here runs it.
    beginning = f"SELECT {columns} FROM {escape_controls(models.sql)} WHERE {own['user_id']} = "  # noqa: S608
    return beginning, f" ORDER BY {order};"


def filled(code: Reason | Note, user: AuditedUser, tables: Tables = PLAIN) -> Hint:
    """The entry for `code` with this user's values in its steps; control characters are spelled out."""
    hint = HINTS[code]
    values = _Values(user, tables)
    return Hint(hint.title, hint.meaning, tuple(step.format_map(values) for step in hint.steps))


def one_line(user: AuditedUser) -> str:
    """The `hint` of JSON and CSV: what to do about this user, in one line."""
    line = ONE_LINE[user.finding.reason]
    return line.format_map(_Values(user)) if "{" in line else line  # most lines are plain, and values cost time


_ODD_URL = frozenset({Note.MISSING_WEIGHTS_URL, Note.GUESSED_WEIGHTS_URL, Note.WEIGHTS_URL_OF_ANOTHER_VERSION})


def checklist(user: AuditedUser, missing_columns: frozenset[str] = frozenset()) -> tuple[Check, ...]:
    """The guide's points for "up to date, but the pictures are poor", with this user's values."""
    record, finding = user.record, user.finding
    current = recorded_hash(record.replicate_version_id)
    equal = None if finding.latest_version is None else current == finding.latest_version
    values = _Values(user)

    def verdict(column: str, bad: bool) -> bool | None:  # noqa: FBT001 - two plain facts
        return None if column in missing_columns else not bad

    bad_trigger = bool({Note.MISSING_TRIGGER_WORD, Note.TRIGGER_WORD_DIFFERS} & set(finding.notes))
    odd_scale = Note.UNUSUAL_LORA_SCALE in finding.notes
    scale = verdict("lora_scale", odd_scale) if (record.lora_scale or "").strip() else None  # the product's default
    odd_url = bool(_ODD_URL & set(finding.notes))
    return (
        Check("Is the recorded hash the latest?", values["recorded"], equal, f"The latest is {values['latest']}."),
        Check(
            "Is there a trigger word?",
            values["trigger"],
            verdict("trigger_word", bad_trigger),
            "Prompts must contain it.",
        ),
        Check("Is the LoRA scale usual?", values["scale"], scale, "Around 1 is usual."),
        Check(
            "Is the weights URL real?",
            values["weights"],
            verdict("lora_weights_url", odd_url),
            "It must be the one that the training put out; one made from the version's hash leads nowhere.",
        ),
        Check(
            "Are the training photos good?", "not recorded", None, "If all else is right: better photos, and retrain."
        ),
    )


class _Values(dict[str, str]):
    """The values that steps may name, each made when it is first named: there are many, and most steps name one."""

    def __init__(self, user: AuditedUser, tables: Tables = PLAIN) -> None:
        super().__init__()
        self._user, self._tables = user, tables

    def __missing__(self, name: str) -> str:
        value = rows_sql(self._user.record, self._tables) if name == "sql" else _VALUES[name](self._user)
        text = self[name] = shortened(escape_controls(value), 600)
        return text


_VALUES: Mapping[str, Callable[[AuditedUser], str]] = {
    "who": lambda user: email_or_id(user.record),
    "model": lambda user: user.record.replicate_model_id or "(none)",
    "recorded": lambda user: user.record.replicate_version_id or "(none)",
    "latest": lambda user: user.finding.latest_version or "(not known)",
    "behind": lambda user: _behind(user.finding.versions_behind),
    "page": lambda user: model_url(user.record) or "(no page: the model id is not owner/name)",
    "detail": lambda user: user.finding.detail or "(not known)",
    "trigger": lambda user: user.record.trigger_word or "(none recorded)",
    "scale": lambda user: user.record.lora_scale or "(none recorded)",
    "weights": lambda user: user.record.lora_weights_url or "(none recorded)",
    "others": lambda user: _others(user.record),
    "failure": lambda user: user.record.later_failure_reason or "(no reason recorded)",
    "made_latest": lambda user: _of(shown_trainings(user).latest, "id"),
    "real_weights": lambda user: _of(shown_trainings(user).latest, "weights"),
    "current_weights": lambda user: _of(shown_trainings(user).current, "weights"),
    "trained_trigger": lambda user: _of(shown_trainings(user).current, "trigger_word"),
}


def _of(training: TrainingLine | None, field: str) -> str:
    return (getattr(training, field) if training else None) or "(not known)"


def _behind(count: int | None) -> str:
    return "(not known)" if count is None else f"{count} version{'s' * (count != 1)}"


def _others(record: ModelRecord) -> str:
    more = record.shared_with_count - len(record.shared_with)
    return ", ".join(record.shared_with) + (f" and {more:,} more" if more > 0 else "")


def _literal(text: str) -> str:
    quoted = escape_controls(text).replace("'", "''")
    if quoted == text.replace("'", "''") and "\\" not in quoted:
        return f"'{quoted}'"
    # With a backslash or a control character only the E'' form means the same everywhere.
    spelled = escape_controls(text.replace("\\", "\\\\")).replace("'", "''")
    return f"E'{spelled}'"

"""One user as `sync-audit user` shows it: `Evidence` with all that follows from it, in strings ready to print. Pure.

The fields of `UserCase`, in this order, are the keys of `--json`: they are only ever added to.
"""

import shlex

import msgspec

from audit.commands.user.checklist import Item, points
from audit.commands.user.evidence import Evidence
from audit.commands.user.last_training import LastTraining, last_training
from audit.findings.exit_codes import exit_code
from audit.findings.rows import ClassifiedRow, RowClass
from audit.hints import filled as hints
from audit.hints.trainings import TrainingLine, shown_trainings
from audit.model import replies as training
from audit.model.codes import Note, OrderBy, Reason, Status
from audit.model.exit_status import INCOMPLETE, USER, ExitStatus
from audit.model.findings import AuditedUser, Summary
from audit.model.ids import recorded_hash
from audit.model.tables import Tables
from audit.model.text import backticked, escape_controls


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A training row, whether it counts and why not."""

    model_row_id: str
    counts: bool
    verdict: RowClass
    why: str
    training_status: str | None
    replicate_model_id: str | None
    replicate_version_id: str | None
    training_id: str | None
    trigger_word: str | None
    lora_scale: str | None
    lora_weights_url: str | None
    is_test: bool
    failure_reason: str | None
    created_at: str | None
    updated_at: str | None
    completed_at: str | None


class CaseVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version on Replicate."""

    id: str
    created_at: str | None
    recorded: bool
    latest: bool


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A reason or a note in words, with this user's values in the steps."""

    code: Reason | Note
    title: str
    meaning: str
    steps: tuple[str, ...]


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person looks next; null where there is nothing to look at."""

    model: str | None
    versions: str | None
    recorded_version: str | None
    latest_version: str | None
    trainings: str
    rows_sql: str


class UserCase(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one user."""

    source: str
    """Host and name of the database, or the run file."""
    account: str | None
    """Whose token it is."""
    order_by: OrderBy
    user_id: str
    email: str | None
    display_name: str | None
    in_users: bool
    status: Status | None = None
    """Null where no row counts, so that no audit judges this user."""
    reason: Reason | None = None
    detail: str | None = None
    model_row_id: str | None = None
    replicate_model_id: str | None = None
    current_version: str | None = None
    current_version_created_at: str | None = None
    latest_version: str | None = None
    latest_version_created_at: str | None = None
    versions_behind: int | None = None
    total_versions_on_replicate: int | None = None
    last_training: LastTraining
    rows: tuple[CaseRow, ...] | None
    """The latest first; null where they are not known."""
    versions: tuple[CaseVersion, ...]
    """Newest first."""
    next_steps: tuple[str, ...] = ()
    """What to do, in order: the steps of the reason, or where no row counts what would make one count."""
    notes: tuple[Note, ...] = ()
    explained: tuple[Explained, ...] = ()
    """The reason, then the notes."""
    checklist: tuple[Item, ...] = ()
    links: Links | None = None
    not_known: tuple[str, ...] = ()
    """What this cannot say, and why."""
    evidence: training.Evidence | None = None
    """What the verdict rests on; null where Replicate has said nothing certain."""
    current_training: TrainingLine | None = None
    latest_training: TrainingLine | None = None
    later_training: TrainingLine | None = None

    @property
    def exit_status(self) -> ExitStatus:
        """With the code of a run of this user alone; a user whom no run judges was not checked."""
        if self.status is None:
            return USER[INCOMPLETE]
        return USER[exit_code(Summary({each: int(each is self.status) for each in Status}, {}, {}), complete=True)]


def user_case(evidence: Evidence, source: str, not_known: tuple[str, ...] = ()) -> UserCase:
    """The case of the user in `evidence`, which was found at `source`."""
    person, user = evidence.person, evidence.user
    case = UserCase(
        source=source,
        account=evidence.account.username if evidence.account else None,
        order_by=evidence.order_by,
        user_id=person.user_id,
        email=person.email,
        display_name=person.display_name,
        in_users=person.in_users,
        last_training=last_training(evidence),
        rows=None if evidence.rows is None else tuple(map(_row, evidence.rows)),
        versions=_versions(user, evidence),
        not_known=not_known,
    )
    if user is None:
        return msgspec.structs.replace(case, next_steps=_steps_to_count(evidence))
    return _with_verdict(case, user, evidence)


def _steps_to_count(evidence: Evidence) -> tuple[str, ...]:
    """For a user of whom no row counts."""
    verdicts = {each.verdict for each in evidence.rows or ()}
    if not verdicts:
        return ("Nothing: this user has trained no model yet.",)
    if RowClass.NO_USER in verdicts:
        users = escape_controls(evidence.tables.users.sql)
        return (f"Find out why the user is gone from the table {users}, and what still refers to these rows.",)
    if RowClass.NEAR_MISS in verdicts:
        status = escape_controls(evidence.tables.user_models.called("training_status"))
        return (
            f"If that training did succeed, set its {status} to {backticked(evidence.tables.completed)}, exactly so.",
            "Find out what wrote it: the product's own code, or somebody by hand.",
        )
    if RowClass.TEST_ROW in verdicts:
        return ("If a test user was meant, look again with --include-tests.",)
    return ("Wait for the training that is going on, or start the one that failed again.",)


def _with_verdict(case: UserCase, user: AuditedUser, evidence: Evidence) -> UserCase:
    record, finding = user.record, user.finding
    reason = _explained(finding.reason, user, evidence)
    notes = (_explained(note, user, evidence) for note in finding.notes)
    current, latest, later = shown_trainings(user)
    return msgspec.structs.replace(
        case,
        status=finding.status,
        reason=finding.reason,
        next_steps=reason.steps,
        detail=finding.detail,
        model_row_id=record.model_row_id,
        replicate_model_id=record.replicate_model_id,
        current_version=record.replicate_version_id,
        current_version_created_at=finding.current_version_created_at,
        latest_version=finding.latest_version,
        latest_version_created_at=finding.latest_version_created_at,
        versions_behind=finding.versions_behind,
        total_versions_on_replicate=finding.total_versions,
        notes=finding.notes,
        explained=(reason, *notes),
        checklist=points(user, evidence),
        links=_links(user, evidence.tables),
        evidence=finding.evidence,
        current_training=current,
        latest_training=latest,
        later_training=later,
    )


def _explained(code: Reason | Note, user: AuditedUser, evidence: Evidence) -> Explained:
    hint = hints.filled(code, user, evidence.tables)
    steps = hint.steps
    if evidence.rows is not None:  # seen just now: the rows stand there, and there is no run to go on with
        again = f"Ask again: sync-audit user {shlex.quote(escape_controls(user.record.user_id))}"
        steps = tuple(again if step == hints.RERUN_STEP else step for step in steps)
        steps = tuple(step for step in steps if not step.startswith(hints.ROWS_STEP))
    return Explained(code=code, title=hint.title, meaning=hint.meaning, steps=steps)


def _row(judged: ClassifiedRow) -> CaseRow:
    row = judged.row
    return CaseRow(
        counts=judged.verdict is RowClass.COUNTS,
        verdict=judged.verdict,
        why=judged.why,
        **msgspec.structs.asdict(row),
    )


def _versions(user: AuditedUser | None, evidence: Evidence) -> tuple[CaseVersion, ...]:
    recorded = recorded_hash(user.record.replicate_version_id) if user else None
    latest = user.finding.latest_version if user else None
    return tuple(
        CaseVersion(id=each.id, created_at=each.created_at, recorded=each.id == recorded, latest=each.id == latest)
        for each in evidence.versions
    )


def _links(user: AuditedUser, tables: Tables) -> Links:
    page = hints.model_url(user.record)
    recorded = recorded_hash(user.record.replicate_version_id)
    latest = user.finding.latest_version
    known = user.finding.versions_behind is not None
    return Links(
        model=page,
        versions=page and f"{page}/versions",
        recorded_version=f"{page}/versions/{recorded}" if page and recorded and known else None,
        latest_version=f"{page}/versions/{latest}" if page and latest else None,
        trainings="https://replicate.com/trainings",
        rows_sql=hints.rows_sql(user.record, tables),
    )

"""One user as `sync-audit user` shows it: what database and Replicate, or a run file, say, and what to do about it."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from audit.findings.exit_codes import exit_code
from audit.findings.rows import ClassifiedRow, RowClass
from audit.hints import filled as hints
from audit.hints.table import HINTS, RERUN_STEP, ROWS_STEP, Hint
from audit.model.codes import NoLine, Note, OrderBy, Reason, Status
from audit.model.exit_status import INCOMPLETE, USER, ExitStatus
from audit.model.findings import AuditedUser, Summary
from audit.model.ids import askable_training, recorded_hash
from audit.model.replies import Account, Failed, Found, Missing, Training, Version, newest_first
from audit.model.tables import PLAIN, Column, Tables
from audit.model.text import backticked, escape_controls, shortened
from audit.model.times import parse_utc
from audit.model.users import ModelRecord, Person, TrainingRow, email_or_id
from audit.report.words import STATUS_TITLES

TrainingReply = Training | Missing | Failed
_ORDER = tuple(Status)


class UserCase(msgspec.Struct, frozen=True, kw_only=True):
    """What database and Replicate, or a run file, say of one user."""

    source: str
    """Host and name of the database, or the path of the run file."""
    person: Person
    rows: tuple[ClassifiedRow, ...] | None
    """Those of the line, the latest first; None for a run file, which has only the row that counts."""
    user: AuditedUser | None = None
    """The record that counts and the finding on it; None where no row counts, so that no audit judges this user."""
    without_line: NoLine | None = None
    """Why there is no line although an unfinished row was looked at."""
    found: Found | None = None
    """Every version, where Replicate was asked and answered."""
    trainings: Mapping[str, TrainingReply] = {}
    """What Replicate says of them, by their ids."""
    trainings_listed: bool = False
    """They are from the account's list of trainings; else they were asked for one by one."""
    missing_columns: frozenset[Column] = frozenset()
    order_by: OrderBy = "updated_at"
    tables: Tables = PLAIN
    account: Account | None = None
    """Whose token it is, where that is known."""
    not_known: tuple[str, ...] = ()
    """What all this cannot say, and why: one sentence each."""
    others: int = 0
    """How many other lines the user has, which were not asked about."""

    @property
    def exit_status(self) -> ExitStatus:
        """With the code of a run of this user alone; a user whom no run judges was not checked."""
        if self.user is None:
            return USER[INCOMPLETE]
        status = self.user.finding.status
        return USER[exit_code(Summary({each: int(each is status) for each in Status}, {}, {}), complete=True)]

    @property
    def versions(self) -> tuple[Version, ...]:
        """As many as are known, newest first."""
        if self.found:
            return newest_first(self.found.versions)
        return self.user.finding.versions if self.user else ()

    @property
    def recorded(self) -> str | None:
        """The hash that the row that counts records; None where there is none."""
        return recorded_hash(self.completed.replicate_version_id) if self.completed else None

    @property
    def completed(self) -> ModelRecord | None:
        """The record of the row that counts, whichever row the finding is about."""
        if self.user is None:
            return None
        return self.user.counting or (None if self.user.record.unfinished else self.user.record)

    @property
    def counting(self) -> TrainingRow | None:
        """The row that counts, where the rows are known."""
        return next((each.row for each in self.rows or () if each.verdict is RowClass.COUNTS), None)

    @property
    def later(self) -> tuple[ClassifiedRow, ...]:
        """Trainings that began no earlier than the one that counts and are not recorded as completed, latest first.

        As in the audit's SQL, a row without any date is taken to be later. Where no row counts, all are.
        """
        counting = self.counting
        unrecorded = (RowClass.NOT_COMPLETED, RowClass.NEAR_MISS)
        rows = [
            each
            for each in self.rows or ()
            if each.verdict in unrecorded
            and not each.row.is_test
            and not (counting and _before(each.row.began, counting.began))
        ]
        undated = datetime.max.replace(tzinfo=UTC)
        return tuple(sorted(rows, key=lambda each: parse_utc(each.row.began) or undated, reverse=True))

    def training(self, training_id: str | None) -> Training | None:
        """What Replicate says of this training, where it knows it."""
        reply = self.trainings.get(askable_training(training_id) or "")
        return reply if isinstance(reply, Training) else None


class UserLines(msgspec.Struct, frozen=True, kw_only=True):
    """A user with several lines, as each model or each row has one."""

    cases: tuple[UserCase, ...]
    """Each about one line, the gravest first; two at least, and all of the same user."""
    others: tuple[ClassifiedRow, ...] = ()
    """Rows that belong to no line, the latest first."""
    left_out: int = 0
    """How many more lines there are."""

    @classmethod
    def of(
        cls, cases: Iterable[UserCase], others: Sequence[ClassifiedRow] = (), left_out: int = 0
    ) -> "UserLines | UserCase":
        """The lines among `cases`, in report order; the case itself where only one of them is a line."""
        several = list(cases)
        lines = [case for case in several if case.user]
        if len(lines) < 2:
            return (lines or several)[0]
        lines.sort(key=lambda case: _ORDER.index(case.user.finding.status) if case.user else 0)
        rest = (row for case in several if case.user is None for row in case.rows or ())
        return cls(cases=tuple(lines), others=(*others, *rest), left_out=left_out)

    @property
    def rows(self) -> tuple[ClassifiedRow, ...] | None:
        """Those of all lines and of none; None for a run file."""
        if any(case.rows is None for case in self.cases):
            return None
        return (*(row for case in self.cases for row in case.rows or ()), *self.others)

    @property
    def counts(self) -> dict[Status, int]:
        """How many lines there are of each status."""
        found = Counter(case.user.finding.status for case in self.cases if case.user)
        return {status: found[status] for status in Status}

    @property
    def exit_status(self) -> ExitStatus:
        """With the code of a run of this user alone."""
        return USER[exit_code(Summary(self.counts, {}, {}), complete=True)]


def cause(case: UserCase | UserLines) -> str:
    """Why the command ends as it does, in one clause: "lena@example.com needs a sync: outdated version"."""
    if isinstance(case, UserLines):
        first = case.cases[0]
        found = [f"{count:,} {STATUS_TITLES[status].lower()}" for status, count in case.counts.items() if count]
        return f"{_who(first)}: {', '.join(found)}"
    if case.user is None:
        return f"{_who(case)} is in no report: no training counts"
    finding = case.user.finding
    verb = {
        Status.UP_TO_DATE: "is up to date",
        Status.NEEDS_SYNC: "needs a sync",
        Status.ERROR: "could not be checked",
        Status.NOT_CHECKED: "was not reached",
    }[finding.status]
    title = HINTS[finding.reason].title
    why = "" if finding.status is Status.UP_TO_DATE else f": {title[0].lower()}{title[1:]}"
    return f"{_who(case)} {verb}{why}"


def _who(case: UserCase) -> str:
    return shortened(escape_controls(email_or_id(case.person)), 100)


def _before(text: str | None, other: str | None) -> bool:
    first, second = parse_utc(text), parse_utc(other)
    return first is not None and second is not None and first < second


def explained(case: UserCase) -> dict[Reason | Note, Hint]:
    """The reason, then the notes, each with this user's values in the steps; empty where no row counts."""
    if case.user is None:
        return {}
    finding = case.user.finding
    codes: tuple[Reason | Note, ...] = (finding.reason, *finding.notes)
    return {code: _hint(code, case.user, case) for code in codes}


def _hint(code: Reason | Note, user: AuditedUser, case: UserCase) -> Hint:
    hint = hints.filled(code, user, case.tables)
    if case.rows is None:
        return hint
    # All was asked just now: there is no run to go on with, and the rows are shown.
    again = f"Check again: sync-audit user {shlex.quote(escape_controls(user.record.user_id))}"
    steps = (again if step == RERUN_STEP else step for step in hint.steps if not step.startswith(ROWS_STEP))
    return msgspec.structs.replace(hint, steps=tuple(steps))


def next_steps(case: UserCase) -> tuple[str, ...]:
    """What to do, in order: the steps of the reason, or where no row counts what would make one count."""
    if case.user:
        return _hint(case.user.finding.reason, case.user, case).steps
    verdicts = {each.verdict for each in case.rows or ()}
    if not verdicts:
        return ("Nothing to do: this user has not trained a model yet.",)
    if RowClass.NO_USER in verdicts:
        users = escape_controls(case.tables.users.sql)
        return (f"Find out why the user is missing in the table {users}, and what still uses these rows.",)
    if RowClass.NEAR_MISS in verdicts:
        status = escape_controls(case.tables.user_models.called("training_status"))
        return (
            f"If that training succeeded, set its {status} to {backticked(case.tables.completed)}, exactly as written.",
            "Find out what wrote it: the product's code, or somebody by hand.",
        )
    if RowClass.TEST_ROW in verdicts:
        return ("If this is a test user, check again with --include-tests.",)
    return ("Wait for the running training, or start the failed one again.",)


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person looks next; null where there is nothing to look at."""

    model: str | None
    versions: str | None
    recorded_version: str | None
    latest_version: str | None
    trainings: str
    rows_sql: str


def links(case: UserCase) -> Links | None:
    """Pages on Replicate, and the query for the rows; None where no row counts."""
    if case.user is None:
        return None
    record, finding = case.user.record, case.user.finding
    page = hints.model_url(record, finding.model)
    on_replicate = case.recorded if finding.versions_behind is not None else None
    return Links(
        model=page,
        versions=page and f"{page}/versions",
        recorded_version=f"{page}/versions/{on_replicate}" if page and on_replicate else None,
        latest_version=f"{page}/versions/{finding.latest_version}" if page and finding.latest_version else None,
        trainings="https://replicate.com/trainings",
        rows_sql=hints.rows_sql(record.user_id, case.tables),
    )

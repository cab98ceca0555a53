"""What became of a user between two runs: one total table, and what follows from it.

Only a run that knows something of a user can say that the user got better or worse. So "not compared" is a change of
its own, and no answer from Replicate never resolves anybody.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum, StrEnum
from typing import NamedTuple, cast, get_args

import msgspec

from audit.model.codes import FailureReason, LatestPer, Reason, Status
from audit.model.exit_status import DIFF, ExitStatus
from audit.model.findings import AuditedUser, BaselineState
from audit.model.ids import model_key
from audit.model.lines import Line, line_of
from audit.model.place import Address, Place, place_differences
from audit.model.replies import Account
from audit.model.run import Filters, LookedFor
from audit.model.shard import Shard


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two, whether it was read from a run file or from a JSON report."""

    path: str
    id: str
    started_at: str
    state: str
    """As in the JSON report: complete, interrupted or stopped."""
    stop_reason: str | None = None
    database: str
    place: Place | None = None
    """Null where that is not known, as in a JSON report."""
    base_url: str
    account: Account | None = None
    order_by: str
    latest_per: str = "user"
    """What has a line, as in the JSON report; older versions knew nothing but users."""
    filters: Filters = Filters()
    redacted: bool = False
    shard: Shard | None = None
    """Null where it is about all models."""
    users: int = 0
    """How many it has."""
    expected: int | None = None
    """How many it had to have; null where it was narrowed, or that is not known."""
    looked_for: tuple[str, ...] = ()
    """Kinds of findings that not every run looks for, as in the JSON report; none in those of older versions."""

    @property
    def address(self) -> Address:
        """As much of its place as is known."""
        return self.place or Address.of_label(self.database)

    @property
    def complete(self) -> bool:
        """Whether it came to its end."""
        return self.state == "complete"

    @property
    def whole(self) -> bool:
        """Whether all of its users are there; a damaged run file may have lost some."""
        return self.expected is None or self.users >= self.expected


def caveats(old: ComparedRun, new: ComparedRun) -> tuple[str, ...]:
    """What a reader has to know before believing the comparison, a sentence each, gravest first."""
    return (*_of_the_later(new), *_of_both(old, new), *_of_what_was_looked_for(old, new), *_of_the_earlier(old))


def _of_the_later(new: ComparedRun) -> Iterator[str]:
    if not new.complete:
        yield f"NEW is incomplete ({new.state}), so users who are up to date now are changed, not resolved."
    if not new.whole:
        yield f"NEW has only {new.users:,} of its {new.expected:,} users: missing users are not listed as gone."


def _of_both(old: ComparedRun, new: ComparedRun) -> Iterator[str]:
    if old.id and old.id == new.id:
        yield "Both are the same run: only retried users can differ."
    elif _moment(old.started_at) > _moment(new.started_at):
        yield f"OLD is newer than NEW ({old.started_at}, {new.started_at}): are they the wrong way round?"
    if other := other_place(old.address, new.address):
        yield f"The databases differ: {other}."
    if old.base_url != new.base_url:
        yield f"Replicate was asked at two addresses: {old.base_url} and {new.base_url}."
    if old.account and new.account and old.account != new.account:
        yield f"The tokens belong to two accounts: {old.account.username} and {new.account.username}."
    if old.order_by != new.order_by:
        yield f"The latest training was chosen by {old.order_by} in OLD and by {new.order_by} in NEW."
    if _narrowed_otherwise(old, new):
        options = "--user, --limit, --include-tests"
        yield f"The runs were narrowed differently ({options}): who is in one may only be left out of the other."
    if old.shard != new.shard:
        parts = f"OLD is about {_part(old)} and NEW about {_part(new)}"
        yield f"{parts}: who is in one may only be left out of the other."
    elif new.shard:
        yield f"Both are {new.shard.label}: who has another model now may only have gone to another shard, or come."


def _of_what_was_looked_for(old: ComparedRun, new: ComparedRun) -> Iterator[str]:
    if sentence := not_looked_for("OLD", old.looked_for, new.looked_for):
        yield f"{sentence}: who has such a finding now is listed as changed or appeared, and not as new."
    if sentence := not_looked_for("NEW", new.looked_for, old.looked_for):
        yield f"{sentence}, as OLD did: who had such a finding is not called resolved."


def not_looked_for(who: str, looked_for: Iterable[str], others: Iterable[str]) -> str:
    """For what `others` were, and `who` did not look, as a sentence without its end; "" where there is nothing."""
    known = set(looked_for)
    missed = [_KIND_WORDS.get(kind, kind) for kind in others if kind not in known]
    *most, last = missed or [""]
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"{who} did not look for {listed}" if missed else ""


KIND_OF: Mapping[str, LookedFor] = {
    Reason.TRAINING_NOT_RECORDED: "unfinished",
    Reason.FAILURE_NOT_RECORDED: "unfinished",
    Reason.VERSION_LOST: "unfinished",
    Reason.TRAINING_NOT_FOUND: "unfinished",
    Reason.WRONG_WEIGHTS: "weights",
    Reason.WEIGHTS_GONE: "weights_requests",
    Reason.TRAINER_RECORDED: "trainers",
}
"""What a run has to look for, to have such a finding; all other reasons every run looks for."""
_KIND_WORDS: Mapping[str, str] = {
    "unfinished": "trainings that were not recorded",
    "weights": "weights of another version",
    "weights_requests": "weights that are gone",
    "trainers": "trainers in the model's place",
}


PER: Mapping[str, str] = {
    "user": "a line for each user",
    "model": "a line for each user and model",
    "row": "a line for each row",
}
"""What a run has that says this of `latest_per`."""


def other_lines(one: str, then: str, other: str, now: str) -> tuple[str, str] | None:
    """Why runs that have other lines, `one` by `then` and `other` by `now`, can't be compared, and the next step."""
    if then == now:
        return None
    has = (f"{who} has {PER.get(per, per)} (latest_per {per})" for who, per in ((one, then), (other, now)))
    return f"{' and '.join(has)}: they cannot be compared", "Name runs of the same --latest-per."


def other_place(one: Address, other: Address) -> str | None:
    """Both places and, where they do not say it themselves, why they are two; None where nothing shows that."""
    why = next(place_differences(one, other), None)
    both = f"{one.full} and {other.full}"
    return why and (f"{both} ({why})" if one.port and other.port else both)


def _of_the_earlier(old: ComparedRun) -> Iterator[str]:
    if not old.complete:
        yield f"OLD is incomplete ({old.state}): who was not checked in it and needs attention now counts as new."
    if not old.whole:
        yield f"OLD has only {old.users:,} of its {old.expected:,} users: who is missing there counts as new."


def _narrowed_otherwise(old: ComparedRun, new: ComparedRun) -> bool:
    """In a redacted run the values of `--user` are masked: only how many they are can then be compared."""
    if not (old.redacted or new.redacted):
        return old.filters != new.filters
    one, other = old.filters, new.filters
    masked = len(one.users) != len(other.users)
    return masked or (one.limit, one.include_tests) != (other.limit, other.include_tests)


def _part(run: ComparedRun) -> str:
    return run.shard.label if run.shard else "all models"


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


class UserState(StrEnum):
    """What one run knows of one user. The order is that of the columns in `_TABLE`."""

    ABSENT = "absent"
    UP_TO_DATE = "up_to_date"
    NEEDS_SYNC = "needs_sync"
    """Nothing is worse."""
    CERTAIN_ERROR = "certain_error"
    """An error that is certain, such as a model that does not exist."""
    UNCERTAIN_ERROR = "uncertain_error"
    """An error after which nothing is certain, such as no answer from Replicate."""
    NOT_CHECKED = "not_checked"
    """The run ended before this user's turn."""


class Change(StrEnum):
    """What became of a user; exactly one each. The order is that of every list of changes."""

    NEW = "new"
    """Needs attention, and did not before; or needs a sync where before only some error was known."""
    NOT_COMPARED = "not_compared"
    """The later run did not find out."""
    CHANGED = "changed"
    RESOLVED = "resolved"
    """Needed attention, and is up to date."""
    APPEARED = "appeared"
    """Was in no earlier run, and is up to date."""
    LEFT = "left"
    """Is not in the later run: gone, which is not the same as resolved."""
    UNCHANGED = "unchanged"


class Sighted(NamedTuple):
    """How a run saw a user, as far as a baseline is compared by it."""

    status: Status
    reason: str
    also: str | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """One, or both."""
        return (self.reason, self.also) if self.also else (self.reason,)

    @property
    def standing(self) -> UserState:
        """What is known."""
        return user_state(self.status, self.reason)


class UserSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One user in one run, under the names of the JSON report."""

    user_id: str
    part: str = ""
    """What tells the line from others of the user: see `audit.model.lines`. In no JSON report."""
    model_row_id: str | None = None
    """Null in a run that was read from a report that does not say it."""
    email: str | None = None
    display_name: str | None = None
    replicate_model_id: str | None = None
    status: Status
    reason: str
    """A text, as a later version of this program may have more reasons than this one."""
    detail: str | None = None
    current_version: str | None = None
    latest_version: str | None = None
    also: str | None = None
    """The reason of the completed row's own finding, where `reason` is about a newer one."""

    @property
    def line(self) -> Line:
        """By which it is found in another run."""
        return Line(self.user_id, self.part)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One, or both."""
        return (self.reason, self.also) if self.also else (self.reason,)

    @property
    def standing(self) -> UserState:
        """What is known."""
        return user_state(self.status, self.reason)


class ComparedUser(msgspec.Struct, frozen=True):
    """One user in both runs; at least one side is there."""

    old: UserSnapshot | None
    new: UserSnapshot | None
    change: Change
    differs: tuple[str, ...] = ()
    """Which of `FIELDS` differ; none where a side is missing."""

    @property
    def last(self) -> UserSnapshot:
        """The latest there is of this user."""
        return cast(UserSnapshot, self.new or self.old)


FIELDS = ("status", "reason", "current_version", "latest_version", "replicate_model_id", "also")
"""What makes a user changed."""
UNCERTAIN: frozenset[str] = frozenset(get_args(FailureReason)) | {Reason.EVIDENCE_DISAGREES}
"""Reasons that say nothing certain about the user."""
_SAME = "same"
"""Unchanged, or changed where one of `FIELDS` differs."""
_NEW, _GONE, _BETTER, _OTHER = Change.NEW, Change.LEFT, Change.RESOLVED, Change.CHANGED
_MISSED = Change.NOT_COMPARED
_TABLE: Mapping[UserState, tuple[str, ...]] = {
    # before: now ABSENT, UP_TO_DATE, NEEDS_SYNC, CERTAIN_ERROR, UNCERTAIN_ERROR, NOT_CHECKED
    UserState.ABSENT: (Change.UNCHANGED, Change.APPEARED, _NEW, _NEW, _MISSED, _MISSED),
    UserState.UP_TO_DATE: (_GONE, _SAME, _NEW, _NEW, _MISSED, _MISSED),
    UserState.NEEDS_SYNC: (_GONE, _BETTER, _SAME, _OTHER, _MISSED, _MISSED),
    UserState.CERTAIN_ERROR: (_GONE, _BETTER, _NEW, _SAME, _MISSED, _MISSED),
    UserState.UNCERTAIN_ERROR: (_GONE, _BETTER, _NEW, _OTHER, _MISSED, _MISSED),
    UserState.NOT_CHECKED: (_GONE, _OTHER, _NEW, _NEW, _MISSED, _MISSED),
}
_COLUMN = {user_state: column for column, user_state in enumerate(UserState)}
_CALM = frozenset({UserState.ABSENT, UserState.UP_TO_DATE, UserState.NOT_CHECKED})
"""The earlier run knew nothing that needs attention."""


def user_state(status: Status, reason: str) -> UserState:
    """What a run knows that says this of a user."""
    match status:
        case Status.UP_TO_DATE:
            return UserState.UP_TO_DATE
        case Status.NEEDS_SYNC:
            return UserState.NEEDS_SYNC
        case Status.NOT_CHECKED:
            return UserState.NOT_CHECKED
        case Status.ERROR:
            return UserState.UNCERTAIN_ERROR if reason in UNCERTAIN else UserState.CERTAIN_ERROR


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What the two runs looked for, of what not every run looks for."""

    before: tuple[str, ...] = ()
    now: tuple[str, ...] = ()


ALIKE = Looked()
"""Nothing but what every run looks for."""


def compare(
    old: UserSnapshot | None,
    new: UserSnapshot | None,
    *,
    complete: bool = True,
    whole: bool = True,
    looked: Looked = ALIKE,
) -> ComparedUser:
    """What became of a user.

    `complete`: the later run came to its end; one that did not resolves nobody. `whole`: it has all of its users; in
    one that has lost some, nobody has left.
    """
    before, now = _standing(old), _standing(new)
    differs = tuple(name for name in FIELDS if _field(old, name) != _field(new, name)) if old and new else ()
    found = _TABLE[before][_COLUMN[now]]
    change = Change(found) if found != _SAME else Change.CHANGED if differs else Change.UNCHANGED
    if new and (found == Change.NEW or new.also):
        news = _news(old.reasons if old else (), new.reasons, looked.before)
        if news is _Novelty.NEW:
            change = Change.NEW
        elif news is _Novelty.NOT_LOOKED_FOR and change is not Change.NOT_COMPARED:
            change = Change.CHANGED if old else Change.APPEARED
        elif change is Change.NEW:  # it was there already, beside a finding of which nothing is known
            change = Change.CHANGED
    if change is Change.RESOLVED and not (complete and old and _looks_again(old.reasons, looked.now)):
        change = Change.CHANGED
    if change is Change.LEFT and not whole:
        change = Change.NOT_COMPARED
    return ComparedUser(old, new, change, differs)


class _Novelty(Enum):
    """What of a user's certain reasons was not there before."""

    NOTHING = "nothing"
    NOT_LOOKED_FOR = "not looked for"
    """Only what the earlier run did not look for: nobody knows whether that is new."""
    NEW = "new"


def _news(before: Iterable[str], now: Iterable[str], looked_for: Iterable[str]) -> _Novelty:
    """Each reason of a user counts for itself: a second one is new although the user was in need before."""
    known, kinds = set(before), set(looked_for)
    fresh = [reason for reason in now if _certain(reason) and reason not in known]
    if any(KIND_OF.get(reason) in {None, *kinds} for reason in fresh):
        return _Novelty.NEW
    return _Novelty.NOT_LOOKED_FOR if fresh else _Novelty.NOTHING


def _certain(reason: str) -> bool:
    return reason not in UNCERTAIN | {Reason.STOPPED, Reason.LATEST_VERSION}


def _looks_again(before: Iterable[str], looking_for: Iterable[str]) -> bool:
    """Whether a run that looks for this would find these reasons again, if they were still true."""
    kinds = set(looking_for)
    return all(KIND_OF.get(reason) in {None, *kinds} for reason in before)


def may_be_worse(change: Change, old: Status | None) -> bool:
    """Whether a user who could not be compared may have got worse."""
    return change is Change.NOT_COMPARED and old is not Status.NEEDS_SYNC


def diff_exit_status(worse: int, maybe: int) -> ExitStatus:
    """How `diff` ends where `worse` users are new, and `maybe` more may be: what is certain counts first."""
    return DIFF[3 if worse else 4 if maybe else 0]


def baseline_state(
    before: Sighted | None, now: Sighted, *, complete: bool, looked: Looked = ALIKE
) -> BaselineState | None:
    """How a run's report marks a user, whom the baseline saw as `before`; None where there is nothing to mark.

    Nor is anything marked where all that is new is what the baseline did not look for.
    """
    then, standing = before.standing if before else UserState.ABSENT, now.standing
    found = _TABLE[then][_COLUMN[standing]]
    if standing is UserState.UP_TO_DATE:
        resolved = complete and found == Change.RESOLVED and before and _looks_again(before.reasons, looked.now)
        return "resolved" if resolved else None
    if standing is UserState.NOT_CHECKED and not (now.also and _certain(now.also)):
        return None
    if found == Change.NEW or now.also:
        news = _news(before.reasons if before else (), now.reasons, looked.before)
        if news is not _Novelty.NOTHING:
            return "new" if news is _Novelty.NEW else None
        if standing is UserState.NOT_CHECKED and then in _CALM:
            return None
    return "new" if standing is UserState.UNCERTAIN_ERROR and then in _CALM else "known"


def _field(user: UserSnapshot, name: str) -> str | None:
    """As it is compared: ids of one model are the same."""
    value: str | None = getattr(user, name)
    return model_key(value) if name == "replicate_model_id" else value


def _standing(sighting: UserSnapshot | None) -> UserState:
    return sighting.standing if sighting else UserState.ABSENT


def snapshot_of(user: AuditedUser, latest_per: LatestPer = "user") -> UserSnapshot:
    """What the run of `user`, which has a line for each `latest_per`, says, as the JSON report would."""
    record, finding = user.record, user.finding
    return UserSnapshot(
        user_id=record.user_id,
        part=line_of(record, latest_per).part,
        model_row_id=record.model_row_id,
        email=record.email,
        display_name=record.display_name,
        replicate_model_id=record.replicate_model_id,
        status=finding.status,
        reason=finding.reason.value,
        detail=finding.detail,
        current_version=record.replicate_version_id,
        latest_version=finding.latest_version,
        also=finding.also.reason.value if finding.also else None,
    )

"""Which acceptance holds for which finding, and what that makes of a run.

A finding is accepted where an entry names the user, the model, or the user's model, and the very reason, or both where
the completed row needs attention beside a newer one; where it names a version or a training, that has to be the
recorded one. So whatever is new about a user counts again. Up to date needs no acceptance, and that the run ended
before somebody's turn cannot be accepted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from audit.findings.comparison import UserState, user_state
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptance, Acceptances, AuditedUser
from audit.model.ids import model_key, recorded_hash
from audit.model.run import RunInfo
from audit.model.users import TRIMMED, ModelRecord

ACCEPTABLE = tuple(reason for reason in Reason if reason.status in {Status.NEEDS_SYNC, Status.ERROR})
"""Reasons that an entry may name."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What the acceptances of a run come to."""

    statuses: Mapping[Status, int] = {}
    reasons: Mapping[Reason, int] = {}
    """Both count accepted findings, and only those that occur."""
    expired: tuple[Acceptance, ...] = ()
    unmatched: tuple[Acceptance, ...] = ()
    """Those that hold for nobody, as far as the run can tell."""

    @property
    def total(self) -> int:
        """All accepted findings."""
        return sum(self.statuses.values())


class AcceptanceMatcher:
    """The acceptances of a run, ready to be asked about its users."""

    def __init__(self, acceptances: Acceptances, day: str) -> None:
        """`day` is that of the run, in UTC: on the last day of an entry it still holds."""
        self._all = acceptances.entries
        self._day = day
        self._by_user: dict[str, list[Acceptance]] = {}
        self._by_model: dict[str, list[Acceptance]] = {}
        for entry in self._all:
            if entry.user is not None:
                self._by_user.setdefault(folded(entry.user), []).append(entry)
            else:
                self._by_model.setdefault(model_key(entry.model), []).append(entry)

    def holding(self, user: AuditedUser) -> Acceptance | None:
        """The entry that holds for this user's finding; of several the one that holds the longest."""
        if user.finding.reason is Reason.LATEST_VERSION:  # nearly everybody
            return None
        holding = [entry for entry in self.about(user.record) if holds(entry, user, self._day)]
        return max(holding, key=lambda entry: entry.until, default=None)

    def about(self, record: ModelRecord) -> list[Acceptance]:
        """Entries that name this user or model, whatever their reason"""
        model = self._by_model.get(model_key(record.replicate_model_id), [])
        names = dict.fromkeys((folded(record.user_id), folded(record.email or "")))
        return [entry for name in names for entry in self._by_user.get(name, ()) if _names(entry, record)] + model

    def tally(self, users: Iterable[AuditedUser], *, whole: bool) -> Accepted:
        """Count what is accepted among `users`; entries are called unmatched only if the run is `whole`."""
        statuses: Counter[Status] = Counter()
        reasons: Counter[Reason] = Counter()
        met: set[Acceptance] = set()
        for user in users:
            if user.accepted:
                statuses[user.finding.status] += 1
                reasons[user.finding.reason] += 1
            nothing_known = any(user_state(each.status, each) in _NOTHING_KNOWN for each in user.finding.reasons)
            met.update(entry for entry in self.about(user.record) if nothing_known or holds(entry, user, entry.until))
        expired = tuple(entry for entry in self._all if entry.until < self._day)
        unmatched = tuple(entry for entry in self._all if entry.until >= self._day and entry not in met)
        return Accepted(statuses=statuses, reasons=reasons, expired=expired, unmatched=unmatched if whole else ())


_NOTHING_KNOWN = frozenset({UserState.UNCERTAIN_ERROR, UserState.NOT_CHECKED})
"""Of such a user nobody can say that an entry has become needless."""


def holds(entry: Acceptance, user: AuditedUser, day: str) -> bool:
    """Whether `entry` accepts what was found about `user`, on `day`."""
    record, reasons = user.record, user.finding.reasons
    if not set(reasons) <= set(ACCEPTABLE) or set(entry.reasons) != set(reasons) or entry.until < day:
        return False
    if not _names(entry, record):
        return False
    if entry.training is not None and entry.training.strip(TRIMMED) != (record.training_id or "").strip(TRIMMED):
        return False
    return entry.version is None or _version(entry.version) == _version(running_version(user) or "")


def running_version(user: AuditedUser) -> str | None:
    """The version that is recorded for the user: in the completed row, where there is one."""
    return (user.counting or user.record).replicate_version_id


def _names(entry: Acceptance, record: ModelRecord) -> bool:
    """Whether it is about this user, or model; or both, where it names both."""
    user = entry.user is None or names_user(entry, record)
    return user and (entry.model is None or model_key(entry.model) == model_key(record.replicate_model_id))


def names_user(entry: Acceptance, record: ModelRecord) -> bool:
    """By the id as it is, or by the e-mail in any case."""
    if entry.user is None:
        return False
    return entry.user == record.user_id or bool(record.email and folded(entry.user) == folded(record.email))


def folded(name: str) -> str:
    """An e-mail as it is compared."""
    return name.strip().casefold()


def _version(text: str) -> str:
    """As the audit compares versions; a text that is none is compared trimmed and in any case."""
    return recorded_hash(text) or folded(text)


def day_of(info: RunInfo) -> str:
    """The day by which the acceptances of a run are judged, in UTC: that of its start."""
    return info.started_at[:10]

"""What a run in memory has of a run file beside its users: nobody has repaired anything of it yet."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser
from audit.model.repair import ChangeState
from audit.model.replies import Training
from audit.model.trend import PastCounts
from audit.runfile.journal import JournalEntry


class NoJournal:
    """As in a file in which nothing was written down."""

    exists = False

    def entry(self, model_row_id: str) -> JournalEntry | None:
        """There is none."""

    def entries(self, state: ChangeState | None = None) -> Iterator[JournalEntry]:
        """There are none."""
        return iter(())


class NoTrainings:
    """As in a run that has not read any."""

    def count(self) -> int:
        """There are none."""
        return 0

    def made(self, version: str) -> Training | None:
        """None is known."""

    def by_id(self, training_id: str) -> Training | None:
        """None is known."""


class Unrepaired:
    """For runs in memory to inherit from."""

    path = Path("reports/sync-audit-20260301-120000.sqlite")
    journal = NoJournal()
    trainings = NoTrainings()
    trend: tuple[PastCounts, ...] = ()

    @abstractmethod
    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """In report order."""

    def count_versions(self) -> tuple[int, int]:
        """All recorded versions are bare hashes."""
        return 1, 0

    def checked_users(self, status: Status) -> Iterator[tuple[AuditedUser, int | None]]:
        """When is not known."""
        return ((user, None) for user in self.users(status))

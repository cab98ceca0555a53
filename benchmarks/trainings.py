"""What reading trainings costs, and what it saves where they are enough."""

from collections.abc import Iterator

from audit.model.codes import Status
from audit.runfile import RunFile
from benchmarks.contenders import audit, met
from benchmarks.results import Figure
from benchmarks.workload import Workload
from tests.support.synthetic_users import UNSEEN, OddlyTrainedUsers

SINCE = ("--trainings-since", "2020-01-01")
FILE = "other.sqlite"
"""Where `contenders` let an audit with options write its run file."""


def measure(workload: Workload) -> Iterator[Figure]:
    """The same odd users by versions and by trainings; every finding but those that no list shows must be the same."""
    synthetic_users = workload.synthetic_users
    assert isinstance(synthetic_users, OddlyTrainedUsers)
    full = met(workload, lambda fake: audit(workload, fake, ["--trainings", *SINCE]))
    right = _statuses(workload)
    fast = met(workload, lambda fake: audit(workload, fake, ["--mode", "trainings", "--verify-sample", "0", *SINCE]))
    quick = _statuses(workload)
    unseen = {synthetic_users.user_id(i) for i in range(synthetic_users.n) if synthetic_users.oddity(i) in UNSEEN}
    differ = {user for user in right if right[user] is not quick[user]}
    part = "trainings"
    yield Figure(part, "requests with --trainings", full.request_log.requests, "")
    yield Figure(part, "requests with --mode trainings", fast.request_log.requests, "")
    yield Figure(
        part,
        "requests with --mode trainings, of those by versions",
        fast.request_log.requests / full.request_log.requests,
        "x",
    )
    yield Figure(part, "CPU of --mode trainings, of the CPU by versions", fast.used.cpu / full.used.cpu, "x")
    yield Figure(part, "users whom no list of trainings shows to be outdated", len(unseen), "")
    yield Figure(part, "findings that differ, beyond those", len(differ - unseen), "", 0)
    yield Figure(part, "findings that differ, of those", len(differ & unseen), "")


def _statuses(workload: Workload) -> dict[str, Status]:
    with RunFile.open(workload.folder / FILE) as run_file:
        return {user.record.user_id: user.finding.status for user in run_file.users()}

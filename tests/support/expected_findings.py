"""What an audit of the demo's users must come to, by user id."""

from audit.demo.scenarios import SCENARIOS
from audit.demo.users import DemoUsers
from audit.model.codes import Note, Reason


def expected_findings(demo_users: DemoUsers) -> dict[str, tuple[Reason, frozenset[Note]]]:
    """Reason and notes of everybody who is in a report."""
    pairs = zip(demo_users.users, SCENARIOS, strict=True)
    return {user.id: (scenario.reason, scenario.notes) for user, scenario in pairs if scenario.reason}

"""What an audit of the demo's users must come to, by user id."""

from audit.demo.scenarios import SCENARIOS
from audit.demo.users import DemoUsers
from audit.model.codes import Note, Reason


def expected_findings(
    demo_users: DemoUsers, *, check_weights: bool = False
) -> dict[str, tuple[Reason, frozenset[Note]]]:
    """Reason and notes of everybody who is in a report; with `check_weights` of a run that asks for weights."""
    return {
        user.id: (Reason.WEIGHTS_GONE if check_weights and scenario.weights_gone else scenario.reason, scenario.notes)
        for user, scenario in zip(demo_users.users, SCENARIOS, strict=True)
        if scenario.reason
    }

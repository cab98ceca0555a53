"""Since when users who need a sync are affected."""

from msgspec.structs import replace

from audit.findings.affected import Affected, affected
from audit.model.findings import AuditedUser
from tests.support.report_samples import accepting, outdated


def since(moment: str | None, number: int = 1) -> AuditedUser:
    user = outdated(number)
    return replace(user, finding=replace(user.finding, affected_since=moment))


def test_the_first_and_the_latest_are_found_whatever_their_order_and_offset() -> None:
    users = [since("2026-02-01T10:30:00Z"), since("2026-01-18T23:30:00-02:00"), since("2026-02-03T00:00:00.250000Z")]
    found = affected(users)
    assert (found.first, found.latest) == ("2026-01-19T01:30:00Z", "2026-02-03T00:00:00.250000Z")
    assert found.by_hour == {"2026-01-19T01": 1, "2026-02-01T10": 1, "2026-02-03T00": 1}


def test_hours_are_counted_oldest_first_and_unknown_dates_apart() -> None:
    users = [since("2026-02-01T10:59:59Z"), since("2026-02-01T10:00:00Z"), since("2026-01-01T00:00:00Z"), since(None)]
    found = affected([*users, since("not a date")])
    assert list(found.by_hour.items()) == [("2026-01-01T00", 1), ("2026-02-01T10", 2)]
    assert found.undated == 2


def test_who_is_accepted_is_left_out() -> None:
    assert affected([accepting(since("2026-01-01T00:00:00Z"))]) == Affected()

"""What a user is called."""

import pytest

from audit.model.users import Person, email_or_id


@pytest.mark.parametrize(
    ("email", "redacted", "name"),
    [("ann@example.com", False, "ann@example.com"), ("a***@***", True, "u1"), (None, False, "u1"), (" ", False, "u1")],
    ids=["e-mail", "masked", "none", "blank"],
)
def test_a_user_is_called_by_the_email_unless_there_is_none_that_tells_users_apart(
    email: str | None,
    redacted: bool,  # noqa: FBT001 - a table's column
    name: str,
) -> None:
    assert email_or_id(Person(user_id="u1", email=email), redacted=redacted) == name

"""Whom a person means: an e-mail address, a user id, or a part of a model id."""

from collections.abc import Callable, Iterable

from audit.model.findings import AuditedUser
from audit.model.users import TRIMMED, ModelRecord

KEPT = 100
"""How many matches are kept."""


def matching_users(users: Iterable[AuditedUser], who: str) -> list[AuditedUser]:
    """Those whom `who` names in the best way in which it names anybody; one more than `KEPT` at most."""
    best, found = len(_WAYS), list[AuditedUser]()
    folded = who.casefold()
    for user in users:
        way = next((i for i, names in enumerate(_WAYS[: best + 1]) if names(user.record, who, folded)), None)
        if way is None:
            continue
        if way < best:
            best, found = way, []
        if len(found) <= KEPT:
            found.append(user)
    return found


_WAYS: tuple[Callable[[ModelRecord, str, str], bool], ...] = (
    lambda record, who, _: record.user_id == who,
    lambda record, _, folded: (record.email or "").casefold() == folded,
    lambda record, who, _: (record.replicate_model_id or "").strip(TRIMMED) == who,
    lambda record, _, folded: any(
        folded in (text or "").casefold() for text in (record.email, record.user_id, record.replicate_model_id)
    ),
)
"""How a record may be named, the surest way first."""


def names_user(who: str, record: ModelRecord) -> bool:
    """Whether `who`, given with `--user`, names this user, as it does for a run."""
    folded = who.casefold()
    return (
        (record.email or "").casefold() == folded
        or record.user_id == who
        or folded in (record.replicate_model_id or "").casefold()
    )

"""Whom a person means: an e-mail address, a user id, a row's id where each row has a line, or a part of a model id."""

from collections.abc import Callable, Iterable

from audit.model.codes import LatestPer
from audit.model.findings import AuditedUser
from audit.model.ids import model_key
from audit.model.users import TRIMMED, ModelRecord

KEPT = 100
"""How many matches are kept."""
ROW = "row "
"""Before a row's id, where a row is named by it: `row 17`."""


def matching_users(users: Iterable[AuditedUser], who: str, latest_per: LatestPer = "user") -> list[AuditedUser]:
    """Those whom `who` names in the best way in which it names anybody; one more than `KEPT` at most.

    Of somebody with several lines, those that `who` names.
    """
    row_id = named_row(who, latest_per)
    if row_id is not None:
        return [user for user in users if user.record.model_row_id == row_id][:1]
    ways = (*_WAYS[:-1], *([_is_row] if latest_per == "row" else []), _WAYS[-1])
    best, found = len(ways), list[AuditedUser]()
    folded = who.casefold()
    for user in users:
        way = next((i for i, names in enumerate(ways[: best + 1]) if names(user.record, who, folded)), None)
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


def _is_row(record: ModelRecord, who: str, _: str) -> bool:
    return record.model_row_id == who


def named_row(who: str, latest_per: LatestPer) -> str | None:
    """The row's id in `row 17`, as lines of rows are called; None for anything else."""
    return who.removeprefix(ROW).strip() if latest_per == "row" and who.startswith(ROW) else None


def lines_named(records: Iterable[ModelRecord], who: str, latest_per: LatestPer) -> tuple[ModelRecord, ...]:
    """Of one user's records, those that `who` names, which may be the user: then all."""
    several = tuple(records)
    if latest_per == "user" or len(several) < 2:
        return several
    row_id, folded, key = named_row(who, latest_per), who.casefold(), model_key(who)
    person = several[0]
    if row_id is None and (person.user_id == who or (person.email or "").casefold() == folded):
        return several
    ways: tuple[Callable[[ModelRecord], bool], ...] = (
        lambda record: latest_per == "row" and record.model_row_id == (who if row_id is None else row_id),
        lambda record: model_key(record.replicate_model_id) == key,
        lambda record: folded in (record.replicate_model_id or "").casefold(),
    )
    return next((named for names in ways if (named := tuple(filter(names, several)))), several)


def names_user(who: str, record: ModelRecord) -> bool:
    """Whether `who`, given with `--user`, names this user, as it does for a run."""
    return names_exactly(who, record) or who.casefold() in (record.replicate_model_id or "").casefold()


def names_exactly(who: str, record: ModelRecord) -> bool:
    """Whether it is the user's id or e-mail, and not a part of something that others may have as well."""
    return record.user_id == who or (record.email or "").casefold() == who.casefold()

"""Whose a row is, and which table has the users. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from audit.commands.init.names import PERSONS, called, has, points, singular, stem, words
from audit.commands.init.places import Link, Place, Survey, View
from audit.commands.init.values import Looks

_USERS = ("user", "users", "account", "accounts", "member", "members", "customer", "customers", "profile", "profiles")
_OTHERS = (
    "created_by",
    "updated_by",
    "approved_by",
    "deleted_by",
    "assigned",
    "invited",
    "reviewer",
    "admin",
    "parent",
)
"""Persons who have to do with a row that is not theirs."""
FARTHEST = 2
"""Tables between a row and its user."""


class Step(NamedTuple):
    """One table that a query joins: the row that `link` leads to or, where it leads `back`, is from."""

    link: Link
    view: View
    back: bool = False

    @property
    def column(self) -> str:
        """The column on the side that is joined to, which is there before."""
        return self.link.other if self.back else self.link.place.column.name

    @property
    def other(self) -> str:
        """The column of `view`."""
        return self.link.place.column.name if self.back else self.link.other

    @property
    def always(self) -> bool:
        """Whether there is such a row for each."""
        return not self.back and self.link.place.column.not_null


class Person(NamedTuple):
    """How a row leads to its user."""

    place: Place
    """The id of the user; where there are `steps`, in the last of their tables."""
    steps: tuple[Step, ...]
    """Tables to be joined on the way; () where the row itself has the id."""
    users: View | None
    """The table of users; None where there is none that can be read."""
    key: Place | None
    """Its column that the id is found in."""
    declared: bool
    """By foreign keys all the way."""
    score: float
    closed: str = ""
    """The table of users, where this role may not read it."""
    guessed: bool = False
    """Nothing but what its values are like says so, and that nothing else is left."""


def persons(view: View, survey: Survey, used: Sequence[Place]) -> list[Person]:
    """How the rows of `view` may lead to users, best first. `used` are columns that hold something else."""
    taken = {place.column.name for place in used if place.is_column}
    found = [*_linked(view, survey, taken, ()), *_led_from(view, survey), *_itself(view), *_unlinked(view, taken)]
    return sorted((each for each in found if each.score > 0), key=lambda each: -each.score)


def _linked(
    view: View, survey: Survey, taken: set[str], steps: tuple[Step, ...], before: float = 0.0
) -> Iterator[Person]:
    for link in view.links:
        if link.table == view.table.id or link.place.column.name in taken:
            continue
        if any(step.view.table.id == link.table for step in steps):
            continue
        target = survey.view(link.table)
        score = before + _score_of_link(link)
        declared = link.declared and all(step.link.declared for step in steps)
        if target is None:
            name = link.table.split(".")[-1]
            if has(name, *PERSONS) or link.place.called(*PERSONS):
                yield Person(link.place, steps, None, None, declared, score + 2, link.table)
            continue
        person = score_of_users(target, survey)
        if person > 0:
            key = target.place(link.other)
            yield Person(link.place, steps, target, key, declared, score + person)
        if len(steps) < FARTHEST and person <= 0:
            further = Step(link, target)
            # The way is the longer, the more likely it leads to somebody else.
            yield from _linked(target, survey, set(), (*steps, further), before + 0.3 * _score_of_link(link) - 1.5)


def _led_from(view: View, survey: Survey) -> Iterator[Person]:
    """By tables that lead to `view`, each of its rows once at most."""
    for other, link in survey.referenced.get(view.table.id, ()):
        if other.table.id == view.table.id or not _is_once(other, link):
            continue
        step, declared = Step(link, other, back=True), link.declared
        score = score_of_users(other, survey)
        if score > 0 and other.key is not None:
            yield Person(other.key, (step,), other, other.key, declared, score + 2)
        elif score <= 0:
            yield from _linked(other, survey, {link.place.column.name}, (step,), -1.0)


def _is_once(view: View, link: Link) -> bool:
    """Whether no two rows of `view` lead to the same one."""
    name = link.place.column.name
    if (name,) in (view.table.primary, *view.table.unique):
        return True
    return link.place.seen.variety == 1


def _score_of_link(link: Link) -> float:
    place = link.place
    return points(
        (True, 3 if link.declared else 2),
        (place.called(*PERSONS), 3 if place.called("user", "users") else 2),
        (place.called(*_OTHERS), -2),
        (place.column.not_null, 0.5),
        (place.seen.texts and place.seen.filled < 0.5, -2),
    )


def score_of_users(view: View, survey: Survey) -> float:
    """How much `view` looks like a table of users; 0 where it does not."""
    last = singular((words(view.table.name) or ("",))[-1])
    score = points(
        (is_person(view), 3 if last in _SINGLE_USERS else 2),
        (email(view) is not None, 2.5),
        (len(survey.referenced.get(view.table.id, ())) > 2, 0.5),
        (last in {"log", "event", "session", "token", "setting", "invite", "invitation", "subscription"}, -3),
    )
    return score if score >= 2 else 0.0


_SINGLE_USERS = frozenset(map(singular, _USERS)) | {"person", "client", "login"}
_SINGLE_PERSONS = frozenset(map(singular, PERSONS))


def is_person(view: View) -> bool:
    """Whether the table is called as one of users: by its last word, as `user_models` has models."""
    parts = words(view.table.name)
    return bool(parts) and singular(parts[-1]) in _SINGLE_PERSONS


def _itself(view: View) -> Iterator[Person]:
    """The row is the user's own."""
    key, address = view.key, email(view) or (email_inside(view) if is_person(view) else None)
    if key is None or address is None:
        return
    unique = address.seen.variety == 1 or not address.seen.present
    if is_person(view):
        yield Person(key, (), view, key, declared=True, score=13.0 if unique else 4.5)
    elif unique and len(address.seen.present) > 3:
        yield Person(key, (), view, key, declared=True, score=2.6)


def _unlinked(view: View, taken: set[str]) -> Iterator[Person]:
    """Ids of users without a table that has them."""
    for place in view.places:
        if place.kind not in {"text", "uuid", "number"} or place == view.key:
            continue
        if place.is_column and place.column.name in taken:
            continue
        if place.seen.share(Looks.HASH, Looks.QUALIFIED, Looks.MODEL, Looks.WEIGHTS) > 0.3:
            continue
        score = _score_of_id(place)
        if score >= 2:
            yield Person(place, (), None, None, declared=False, score=score)


def _score_of_id(place: Place) -> float:
    seen = place.seen
    likely = place.called("user_id", "user", "users", "clerk", "auth0", "uid", "firebase")
    return points(
        (likely, 3),
        (not likely and place.called(*PERSONS), 2),
        (not place.path and place.called("email"), 1),
        (seen.share(Looks.EMAIL) > 0.8, 1.5),
        (place.called("id", "uuid", "uid", "key", "sub"), 1),
        (place.called(*_OTHERS, "name", "type", "role", "count", "agent", "plan", "model", "replicate", "status"), -3),
        (any(" " in text or len(text) > 200 for text in seen.counts), -2),
        (seen.texts and seen.filled < 0.9, -1),
        (place.path, -1.5),
    )


_IDENTITIES = (
    *(
        "wallet",
        "address",
        "pubkey",
        "discord",
        "telegram",
        "slack",
        "whatsapp",
        "twitter",
        "github",
        "google",
        "apple",
    ),
    *("facebook", "steam", "cognito", "supabase", "okta", "sub", "phone", "msisdn", "mobile", "chat", "peer", "nick"),
    *("nickname", "username", "handle", "buyer", "payer", "guest", "visitor", "person", "student", "patient", "artist"),
    *("seller", "employee", "staff", "holder", "principal", "identity", "belongs", "shop", "store", "site", "project"),
)
"""Words for who somebody is elsewhere."""
_MEASURES = (
    *("steps", "step", "epoch", "epochs", "batch", "rank", "seed", "cost", "price", "credit", "credits", "amount"),
    *(
        "size",
        "width",
        "height",
        "progress",
        "percent",
        "duration",
        "seconds",
        "minutes",
        "retries",
        "retry",
        "attempt",
    ),
    *("attempts", "priority", "position", "order", "resolution", "age", "score", "rating", "images", "total", "number"),
    *("quantity", "rate", "lr", "revision", "iterations", "balance", "currency", "format", "gpu", "hardware", "region"),
    *("title", "label", "description", "prompt", "slug", "url", "uri", "file", "path", "image", "note", "notes", "tag"),
    *("comment", "trigger", "token", "gender", "class", "kind", "ip", "locale", "lang", "language", "hash", "checksum"),
    *("error", "message", "reason", "log", "logs", "secret", "webhook", "source", "category", "words", "word", "lora"),
    *("training", "prediction", "external", "request", "batch", "bucket", "key", "payment", "stripe", "invoice"),
)
"""Words for what is no person."""


def guesses(view: View, used: Sequence[Place]) -> list[Person]:
    """Columns that are left once all else is known, and whose values may tell users apart; likeliest first."""
    taken = {place.column.name for place in used}
    linked = {link.place.column.name for link in view.links}
    found = []
    for place in view.columns:
        if place.kind not in {"text", "uuid", "number"} or place == view.key or place.column.name in taken | linked:
            continue
        if (score := _score_of_guess(place)) > 0:
            found.append(Person(place, (), None, None, declared=False, score=score, guessed=True))
    return sorted(found, key=lambda each: -each.score)


def _score_of_guess(place: Place) -> float:
    seen = place.seen
    named = place.called(*_IDENTITIES, *PERSONS)
    other = place.called(*_OTHERS, *_MEASURES, "name", "type", "role", "count", "agent", "plan", "model", "replicate")
    if other and not named:
        return 0.0
    if not seen.present:
        return 1.5 if named else 0.0
    if seen.filled < 0.9 or (len(seen.counts) == 1 and len(seen.present) > 3):
        return 0.0
    if not all(map(_may_tell_apart, seen.counts)) or (place.kind == "number" and not all(map(_is_whole, seen.counts))):
        return 0.0
    if seen.share(Looks.HASH, Looks.QUALIFIED, Looks.MODEL, Looks.WEIGHTS) > 0.3:
        return 0.0
    coded = place.kind == "uuid" or sum(any(map(str.isdigit, text)) for text in seen.counts) > 0.5 * len(seen.counts)
    if not (named or coded):
        return 0.0
    return points(
        (True, 1),
        (named, 2),
        (place.called("id", "uuid", "uid", "sub"), 0.5),
        (seen.variety < 1, 0.5),
        (place.column.not_null, 0.2),
        (other, -1),
    )


def _may_tell_apart(text: str) -> bool:
    return len(text) <= 120 and " " not in text and "://" not in text and text[:1] not in "{["


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def email_inside(view: View) -> Place | None:
    """Where e-mail addresses are in documents that nearly every row has."""
    found = [
        place
        for place in view.places
        if place.path and place.called("email", "mail", "e_mail") and place.seen.share(Looks.EMAIL) > 0.8
    ]
    full = [place for place in found if place.seen.filled > 0.7]
    return min(full, key=lambda place: (-place.seen.filled, len(place.path), len(place.name))) if full else None


def email(view: View) -> Place | None:
    """Where e-mail addresses are; by name alone where nothing is in it."""
    found = []
    for place in view.columns:
        if place.kind != "text":
            continue
        share, named = place.seen.share(Looks.EMAIL), place.called("email", "mail", "e_mail", "emails")
        if place.called("verified", "confirmed", "token", "status", "change", "hash", "template", "notification"):
            continue
        if share > 0.7 or (named and not place.seen.present):
            main = place.called("email") and len(place.name) <= 13
            secondary = place.called(
                "new", "old", "backup", "recovery", "secondary", "invited", "support", "unconfirmed"
            )
            found.append((share + named + 0.5 * main - 2 * secondary, place))
    return max(found, key=lambda each: each[0])[1] if found else None


def display_name(view: View) -> Place | None:
    """What users are called."""
    for names in (
        ("display_name",),
        ("full_name", "fullname"),
        ("name",),
        ("nick", "nickname", "username", "user_name", "handle"),
        ("title", "label", "company", "first_name"),
    ):
        for place in view.columns:
            if place.kind == "text" and place.called(*names) and len(words(place.name)) <= 2:
                if place.called("file", "domain", "host", "last", "model", "plan", "role", "job"):
                    continue
                return place
    return None


class UsersTable(NamedTuple):
    """Where users are read from, and what of them."""

    view: View
    id: Place
    email: Place | None
    name: Place | None
    grouped: bool = False
    """The rows are models, several of a user, so that a query has to make one of them."""
    joined: View | None = None
    """Another table, which has the addresses."""
    on: tuple[str, str] = ("", "")
    """SQL for the columns that join the two: of `view`, of `joined`."""


def users_table(row: View, person: Person, survey: Survey) -> UsersTable | None:
    """Where the users are read from whom `person` leads to from `row`. Of several tables, one with addresses."""
    view, key = person.users, person.key
    if view is None or key is None or view.table.row_security:
        address = email(row) if not person.steps else None
        if address is None or address == person.place or not person.place.is_column:
            return None
        return UsersTable(row, person.place, address, None, grouped=True)
    own = email(view) or email_inside(view)
    if own is not None:
        return UsersTable(view, key, own, display_name(view))
    for link in view.links:
        other = survey.view(link.table)
        if other is None or other.table.row_security or link.table == view.table.id:
            continue
        address = email(other)
        if address is None or not score_of_users(other, survey):
            continue
        if link.place.column.name == key.column.name:  # one key for both
            other_key = other.place(link.other)
            if other_key is not None:
                return UsersTable(other, other_key, address, display_name(other) or None)
        if link.place.called(*_USERS, "auth", "owner", "id") and not link.place.called(*_OTHERS):
            on = (link.place.column.name, link.other)
            return UsersTable(view, key, address, display_name(view), joined=other, on=on)
    return UsersTable(view, key, None, display_name(view))


def may_be_links(view: View, survey: Survey) -> list[tuple[Place, View, Place]]:
    """Columns of `view` without a foreign key whose values may be keys of another table, likeliest first."""
    declared = {link.place.column.name for link in view.links}
    found: list[tuple[float, Place, View, Place]] = []
    for place in view.columns:
        if place.column.name in declared or place.kind not in {"uuid", "number", "text"} or not place.seen.present:
            continue
        if not _may_be_key(place):
            continue
        for other in survey.views.values():
            if other.table.id == view.table.id:
                continue
            for key in _keys(other):
                if not _comparable(place, key):
                    continue
                score = _likely(place, other, key)
                if score > 0:
                    found.append((score, place, other, key))
    return [(place, other, key) for _, place, other, key in sorted(found, key=lambda each: -each[0])]


def _may_be_key(place: Place) -> bool:
    if place.seen.share(Looks.HASH, Looks.QUALIFIED, Looks.MODEL, Looks.WEIGHTS) > 0.3:
        return False
    if place.seen.share(Looks.TRAINING) > 0.3 and place.called("training", "train", "tune", "replicate"):
        return False
    return max(map(len, place.seen.counts)) <= 100 and not any(" " in text for text in place.seen.counts)


def _keys(view: View) -> list[Place]:
    names = [key[0] for key in (view.table.primary, *view.table.unique) if len(key) == 1]
    named = [place for name in dict.fromkeys(names) if (place := view.place(name))]
    if named:
        return named[:4]
    return [view.key] if view.key else []


def _comparable(place: Place, key: Place) -> bool:
    if place.kind == key.kind:
        return True
    texts, kinds = (place, key), {place.kind, key.kind}
    if kinds == {"text", "uuid"}:
        return all(each.kind == "uuid" or each.seen.share(Looks.UUID) == 1 for each in texts if each.seen.present)
    return False


def _likely(place: Place, other: View, key: Place) -> float:
    name, score = other.table.name, 0.0
    if called(name, stem(place.name)):
        score += 3
    if place.called(*PERSONS) and (has(name, *PERSONS) or email(other)):
        score += 2
    if email(other):
        score += 1
    if key.kind == "number" and score < 2 and not (email(other) and place.column.name != "id"):
        return 0.0
    if key.column.name not in other.table.primary:
        score -= 0.5
    if key.kind == "text" and score < 1 and not key.seen.present:
        return 0.0
    return score if key.kind != "number" or score >= 1 else 0.0

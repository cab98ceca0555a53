"""Which rows are no models of today: of another provider, deleted, archived. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from audit.commands.init.places import Place, View
from audit.commands.init.states import States
from audit.commands.init.values import Seen
from audit.model.sql import identifier, literal
from audit.model.users import TRIMMED

_PROVIDER = "replicate"
_MOST = 12
"""Different words of a column that tells providers apart, at most."""
_GONE = ("deleted", "archived", "removed", "trashed", "discarded", "destroyed", "purged", "hidden", "delete")


class Filter(NamedTuple):
    """A condition that rows have to meet, and why."""

    place: Place
    condition: str
    """With braces in the place of the value."""
    why: str

    @property
    def sql(self) -> str:
        """The condition."""
        return self.condition.replace("{}", self.place.expression)


def filters(view: View, version: Seen | None, states: States | None, used: Sequence[Place]) -> list[Filter]:
    """Conditions on the rows of `view`."""
    taken = {(place.column.name, place.path) for place in (*used, *([states.place] if states else ()))}
    found = list[Filter]()
    for place in view.places:
        if (place.column.name, place.path) in taken:
            continue
        condition = _provider(place, version) or _gone(place) or _kind(place, version, states)
        if condition:
            found.append(condition)
    providers = [each for each in found if each.why == _PROVIDERS]
    if len(providers) > 1:  # one is enough, and a column before what is in a document
        best = min(providers, key=lambda each: (not each.place.called("provider"), not each.place.is_column))
        found = [each for each in found if each.why != _PROVIDERS or each is best]
    kinds = [each for each in found if each.why == _KINDS]
    if kinds:  # one says it all, and where providers are told apart nothing is left to say
        kept = [] if providers else kinds[:1]
        found = [each for each in found if each.why != _KINDS or each in kept]
    return found


_KINDS = "rows of another kind"
_PROVIDERS = "rows of other providers"
DELETED = "deleted or archived rows"


def _provider(place: Place, version: Seen | None) -> Filter | None:
    if place.kind not in {"text", "enum"}:
        return None
    seen = place.seen
    words = list(dict.fromkeys((*seen.counts, *(place.column.words if not place.path else ()))))
    if not words or len(words) > _MOST or any(len(word) > 40 or "/" in word for word in words):
        return None
    own = [word for word in words if word.casefold() == _PROVIDER]
    if not own:
        own = [word for word in words if word.casefold().startswith(_PROVIDER)]
    if not own or place.called("owner", "username"):
        return None
    if place.called("event", "webhook", "storage", "referrer", "tag", "auth"):
        return None
    is_text = place.kind == "text"
    seen_own = [word for word in own if seen.counts[word]] or own
    condition = f"{{}} = {literal(seen_own[0])}"
    if len(seen_own) > 1:
        condition = f"{{}} IN ({', '.join(map(literal, seen_own))})"
    elif is_text and any(text != text.strip(TRIMMED) for text in seen.counts):
        condition = f"btrim({{}}) = {literal(seen_own[0])}"
    if _nulls_have_versions(seen, version):
        condition = f"({condition} OR {{}} IS NULL)"
    return Filter(place, condition, _PROVIDERS)


def _nulls_have_versions(seen: Seen, version: Seen | None) -> bool:
    """Whether rows are there that name no provider and have a version: from before there was a second one."""
    if version is None:
        return False
    return any(word is None and recorded for word, recorded in zip(seen.texts, version.texts, strict=False))


def _gone(place: Place) -> Filter | None:
    if place.path:
        return None
    named = place.called(*_GONE) and not place.called("by", "reason", "count", "policy", "images", "photos", "source")
    if not named:
        return None
    if place.kind == "date":
        return Filter(place, "{} IS NULL", DELETED)
    if place.kind == "bool":
        # The other way round it would leave out all: `is_not_deleted` is nobody's name, but `undeleted` is a word.
        condition = "NOT {}" if place.column.not_null else "{} IS NOT TRUE"
        return Filter(place, condition, DELETED)
    if place.kind == "number" and set(place.seen.counts) <= {"0", "1"}:
        condition = "{} = 0" if place.column.not_null else "coalesce({}, 0) = 0"
        return Filter(place, condition, DELETED)
    return None


_GONE_USERS = ("deleted", "removed", "destroyed", "purged", "erased", "anonymized", "anonymised")


def of_deleted_users(users: View, key: Place, owner: Place) -> Filter | None:
    """Leaves out the rows of users who are marked as deleted; `owner` of a row is the `key` of its user."""
    for place in users.columns:
        gone = _gone(place) if place.called(*_GONE_USERS) else None
        if gone is None or place.called("requested", "scheduled", "request", "schedule", "after", "pending"):
            continue
        if place.seen.texts and all(map(_says_gone(place), place.seen.texts)):
            continue  # whatever it says, it is not that
        column = identifier(place.column.name)
        tests = {"date": f"{column} IS NOT NULL", "bool": column, "number": f"{column} <> 0"}
        cast = "" if key.kind == owner.kind else "::text"
        there = "" if key.column.not_null else f" AND {key.column.sql} IS NOT NULL"
        which = f"SELECT {key.column.sql}{cast} FROM {users.table.sql} WHERE {tests[place.kind]}{there}"  # noqa: S608 - it becomes a line of a file
        value = f"({{}}){cast}" if cast and not owner.is_column else f"{{}}{cast}"
        condition = f"{value} NOT IN ({which})"
        if condition.count("{}") == 1:
            return Filter(owner, condition, "rows of deleted users")
    return None


def _says_gone(place: Place) -> Callable[[str | None], bool]:
    return lambda text: text is not None and (place.kind == "date" or text not in {"0", "f", "false"})


_TRAINING = frozenset(
    ("train", "training", "trainings", "finetune", "fine_tune", "finetuning", "fine_tuning", "lora", "tune", "tuning")
)
_GENERATION = frozenset(
    (
        *(
            "generation",
            "generate",
            "prediction",
            "predict",
            "inference",
            "infer",
            "image",
            "images",
            "upscale",
            "video",
        ),
        *("sample", "edit", "txt2img", "img2img", "render", "generation_job", "image_generation", "faceswap"),
    )
)


def _kind(place: Place, version: Seen | None, states: States | None) -> Filter | None:
    """A column that tells trainings from other jobs: by its words, or as rows of some kinds never have a version."""
    named = place.called(
        "type", "kind", "category", "task", "purpose", "provider", "engine", "backend", "service", "job"
    )
    if place.kind not in {"text", "enum"} or not named or version is None or place.seen.filled < 0.9:
        return None
    words = list(place.seen.counts)
    if not 2 <= len(words) <= _MOST or any(len(word) > 40 for word in words):
        return None
    own = [word for word in words if _plain(word) in _TRAINING]
    if not own or not any(_plain(word) in _GENERATION for word in words):
        own = _with_versions(place.seen, version, states)
    if not own or len(own) == len(words):
        return None
    condition = f"{{}} = {literal(own[0])}" if len(own) == 1 else f"{{}} IN ({', '.join(map(literal, own))})"
    return Filter(place, condition, _KINDS)


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")


def _with_versions(kinds: Seen, version: Seen, states: States | None) -> list[str]:
    """Kinds whose completed rows have versions, where those of all others never have; none where that is not clear."""
    if states is None:
        return []
    done = dict[str, list[bool]]()
    for kind, recorded, state in zip(kinds.texts, version.texts, states.place.seen.texts, strict=False):
        if kind is not None and state in states.completed:
            done.setdefault(kind, []).append(recorded is not None)
    own = [kind for kind, rows in done.items() if sum(rows) > len(rows) / 2]
    others = [rows for kind, rows in done.items() if kind not in own]
    clear = bool(own) and bool(others) and not any(map(any, others)) and sum(map(len, others)) > 1
    return own if clear else []

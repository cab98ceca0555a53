"""What the name of a table or column suggests. Pure; names break ties, and fill in where values say nothing."""

import re
from collections.abc import Iterable
from functools import lru_cache

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_STUCK = re.compile(
    "((?:replicate|training|trained|(?<!con)version|model|weight|lora|trigger|status|user|account|created|updated"
    "|completed|finished|started|deleted|archived|inserted|modified|owner|provider|email)s?)"
)
"""Words that stand in names without anything between them and the next: `userid`, `createdat`."""


@lru_cache(8192)
def words(name: str) -> tuple[str, ...]:
    """The words of `name` in lower case: "replicateModelId" and "replicate_model_id" have the same three."""
    parts = [part.casefold() for part in _WORDS.findall(name)]
    return tuple(piece for part in parts for piece in _STUCK.split(part) if piece)


@lru_cache(8192)
def joined(name: str) -> str:
    """The words of `name` with one underscore between them."""
    return "_".join(words(name))


def has(name: str, *wanted: str) -> bool:
    """Whether one of `wanted` is a word of `name`, or several of its words where it has underscores itself."""
    padded = f"_{joined(name)}_"
    return any(f"_{each}_" in padded for each in wanted)


def points(*each: tuple[object, float]) -> float:
    """The sum of what counts for and against something: each a fact, and its weight where it holds."""
    return sum(weight for holds, weight in each if holds)


def singular(word: str) -> str:
    """`word` without what makes it a plural, as far as that is simple."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("people", "person"), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 1 and not word.endswith("ss"):
            return word.removesuffix(ending) + instead
    return "person" if word == "people" else word


def stem(name: str, endings: Iterable[str] = ("id", "uuid", "key", "ref", "fk")) -> str:
    """What a column refers to, by its name: "avatarId" -> "avatar"; "" where it does not look like a reference."""
    parts = words(name)
    if len(parts) > 1 and parts[-1] in set(endings):
        return "_".join((*parts[:-2], singular(parts[-2])))
    return ""


def called(table: str, reference: str) -> bool:
    """Whether a table of this name may be what `reference` (a `stem`) means: "avatar" -> "app_avatars"."""
    parts = words(table)
    if not parts or not reference:
        return False
    whole = "_".join((*parts[:-1], singular(parts[-1])))
    return whole == reference or whole.endswith(f"_{reference}") or reference.endswith(f"_{whole}")


PERSONS = (
    *("user", "users", "account", "accounts", "member", "members", "customer", "customers", "profile", "profiles"),
    *("people", "person", "persons", "client", "clients", "login", "logins", "subscriber", "subscribers"),
    *("owner", "owners", "author", "authors", "creator", "creators", "team", "teams", "org", "orgs", "tenant"),
    *("tenants", "organisation", "organisations", "organization", "organizations", "workspace", "workspaces"),
    *("company", "companies", "auth", "clerk", "auth0", "firebase", "uid", "subject"),
)
"""Words for who a model belongs to."""
MODELS = (
    *("model", "models", "training", "trainings", "lora", "loras", "finetune", "finetunes", "tune", "tunes", "tuning"),
    *("tunings", "fine", "avatar", "avatars", "character", "characters", "style", "styles", "adapter", "adapters"),
    *(
        "checkpoint",
        "checkpoints",
        "persona",
        "personas",
        "headshot",
        "headshots",
        "replicate",
        "dreambooth",
        "version",
    ),
    *("versions", "job", "jobs", "asset", "assets", "pet", "face", "faces", "twin", "twins"),
)
"""Words for what is trained."""
LOGS = (
    *("log", "logs", "event", "events", "history", "audit", "webhook", "webhooks", "archive", "archives", "archived"),
    *("backup", "backups", "bak", "tmp", "temp", "old", "legacy", "prediction", "predictions", "generation"),
    *("generations", "generated", "image", "images", "picture", "pictures", "photo", "photos", "shot", "shots"),
    *("output", "outputs", "request", "requests", "usage", "queue", "migration", "migrations", "snapshot", "render"),
    *("renders", "message", "messages", "copy", "deleted", "trash", "cache", "run", "runs", "attempt", "attempts"),
)
"""Words for tables that write down what happens, beside the one that counts."""
SECRETS = (
    *("token", "password", "passwd", "secret", "session", "salt", "etag", "signature", "hmac", "nonce", "otp", "api"),
    *("encrypted", "commit", "csrf", "verifier", "challenge", "content", "file", "image", "photo", "picture", "upload"),
    *("blob", "cookie", "device", "invite", "reset", "confirmation", "unsubscribe", "refresh"),
)
"""Words for columns whose 64 digits are something else."""
DIGESTS = ("digest", "checksum", "sha", "sha256", "fingerprint", "hash")
"""Words for columns of 64 digits, of whatever that may be."""
OF_TRAINERS = ("trainer", "base", "parent", "source", "template", "upstream", "foundation", "default", "pretrained")
"""Words for models that a product trains from, and does not train."""

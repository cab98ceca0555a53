"""What a recorded weights URL shows by itself: whose place it is, and whether it can be a training's own."""

import re
from urllib.parse import urlsplit

from audit.model.users import TRIMMED

_HASH = "(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])"
_HASH_IN_PATH = re.compile(_HASH)
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_REFERENCE = re.compile(
    rf"(?:https?://(?:www\.)?replicate\.com/)?{_PART}/{_PART}(?:/versions/|/|:)([0-9a-f]{{64}})/?", re.IGNORECASE
)


def is_delivery_url(url: str | None) -> bool:
    """Whether `url` leads to one of Replicate's delivery hosts, where trainings put their weights."""
    text = (url or "").strip(TRIMMED)
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and (host == "replicate.delivery" or host.endswith(".replicate.delivery"))


def is_made_up(url: str | None) -> bool:
    """Whether `url` can be no training's own: a delivery host, and a version's hash in the path.

    Nothing in the real ones follows from the hash. Elsewhere a hash may well stand in the path.
    """
    if not url or not is_delivery_url(url):
        return False
    return _HASH_IN_PATH.search(urlsplit(url.strip(TRIMMED)).path.casefold()) is not None


def referenced_version(text: str | None) -> str | None:
    """The hash in a reference to a version that Replicate's own models load as weights; None where it is none.

    These are `owner/name/<hash>`, `owner/name:<hash>` and `https://replicate.com/owner/name/versions/<hash>`.
    """
    match = _REFERENCE.fullmatch((text or "").strip(TRIMMED))
    return match[1].lower() if match else None

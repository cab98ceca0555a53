"""What a recorded weights URL shows by itself: whose place it is, and whether it can be a training's own."""

import re
from urllib.parse import urlsplit

from audit.model.users import TRIMMED

_HASH = "(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])"
_HASH_IN_PATH = re.compile(_HASH)
_DIGITS = re.compile("[0-9a-f]{64}")


def is_delivery_host(host: str) -> bool:
    """Whether `host`, in lower case, is one where Replicate's trainings put their weights."""
    return host == "replicate.delivery" or host.endswith(".replicate.delivery")


def is_delivery_url(url: str | None) -> bool:
    """Whether `url` leads to one of Replicate's delivery hosts, where trainings put their weights."""
    text = (url or "").strip(TRIMMED)
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and is_delivery_host(host)


def is_made_up(url: str | None) -> bool:
    """Whether `url` can be no training's own: a delivery host, and a version's hash in the path.

    Nothing in the real ones follows from the hash. Elsewhere a hash may well stand in the path.
    """
    # Nearly every URL has no hash anywhere, which is found out sooner than what is host in it and what is path.
    if not url or not _DIGITS.search("".join(url.split()).casefold()) or not is_delivery_url(url):
        return False
    return _HASH_IN_PATH.search(urlsplit(url.strip(TRIMMED)).path.casefold()) is not None

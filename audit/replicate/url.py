"""The base URL of the API, and the way there: TLS for everybody but this machine, because the token travels along."""

import base64
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # missing from the stubs

from yarl import URL

from audit.errors import SettingsError


def checked_base_url(url: str) -> str:
    """`url` with `/v1` and without a slash at its end. Raises SettingsError where the token would not be safe."""
    url = url.strip()

    def wrong(cause: str) -> SettingsError:
        # Without the URL itself, which may hold a password.
        return SettingsError(cause, "It looks like https://api.replicate.com/v1; without it, that one is used.")

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        usable = bool(_is_host(host or "") and URL(url))
    except ValueError as error:
        raise wrong("is no URL") from error
    if parts.username is not None or parts.password is not None:
        raise wrong("must not hold a user name or password")
    if parts.query or parts.fragment:
        raise wrong("must not hold a query or fragment")
    if not host or not usable or port == 0 or re.search(r"[^!-~]", url):
        raise wrong("is no URL of a host")
    if parts.scheme not in {"https", "http"}:
        raise wrong("must begin with https://")
    if parts.scheme == "http" and not is_loopback(host):
        raise wrong(
            f"must begin with https://, because the token travels with every request; {host} is not this machine"
        )
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}"


def _is_host(host: str) -> bool:
    """Whether `host` can be asked for. Raises ValueError for some that cannot."""
    return ":" in host or bool(re.fullmatch(r"[\w.-]+", host) and host.encode("idna"))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_variable(environ: Mapping[str, str], name: str = "https_proxy") -> tuple[str, str] | None:
    """The variable that counts, as it is called, and its value; None where there is none, or where it is empty.

    As in Python's own libraries the lower-case one wins, also where it is empty: that switches the proxy off.
    """
    for each in (name, name.upper()):
        if each in environ:
            return (each, environ[each]) if environ[each] else None
    return None


def proxy_for(base_url: str, environ: Mapping[str, str]) -> str | None:
    """What HTTPS_PROXY and NO_PROXY in `environ` say for `base_url`; None for none, and for this machine always.

    Raises SettingsError, without a word of the value, where that is no proxy's URL.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    given = proxy_variable(environ)
    if parts.scheme != "https" or is_loopback(host) or given is None:
        return None
    _, bypassed = proxy_variable(environ, "no_proxy") or ("", "")
    if proxy_bypass_environment(host, {"no": bypassed}):
        return None
    name, proxy = given
    if wrong := _wrong_proxy(proxy):
        raise SettingsError(f"{name} {wrong[0]}", f"{wrong[1]}, or name the API's host in NO_PROXY.")
    return proxy


def credentials(proxy: str | None) -> list[str]:
    """The password of `proxy`, alone and with its user name, in the ways in which they are sent or written.

    Empty where it has none: a user name alone is no secret, and often a word as others are.
    """
    user, password = _user(proxy or "")
    if not password:
        return []
    sent = base64.b64encode(unquote_to_bytes(f"{user}:{password}")).decode()
    return [password, unquote(password), f"{unquote(user)}:{unquote(password)}", sent]


def proxy_url(proxy: str) -> URL:
    """`proxy` for aiohttp, which sends user name and password in Latin-1: so it sends their bytes, as curl does."""
    user, password = (unquote_to_bytes(each).decode("latin-1") for each in _user(proxy))
    return URL(proxy).with_user(user or None).with_password(password or None)


def _user(proxy: str) -> tuple[str, str]:
    """User name and password as written."""
    user, _, password = urlsplit(proxy).netloc.rpartition("@")[0].partition(":")
    return user, password


_SHAPE = "It looks like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
_ENCODE = f"{_SHAPE}; percent-encode what is special in user name and password: / as %2F, : as %3A, @ as %40, # as %23"


def _wrong_proxy(proxy: str) -> tuple[str, str] | None:
    """What is wrong with it, and what to do; never more of it than its scheme, as all else may be of a password."""
    if re.search(r"[\x00-\x20\x7f-\xa0]", proxy):
        return "holds blanks or control characters", f"Take them out. {_ENCODE}"
    if proxy[0] in "'\"" or proxy[-1] in "'\"":
        return "has quotes around its value", "Take them off"
    if not re.match("https?://", proxy, re.IGNORECASE):
        return "is no http:// or https:// URL", f"No other kind of proxy can be used. {_SHAPE}"
    try:
        parts = urlsplit(proxy)
        port = parts.port
        usable = _is_host(parts.hostname or "") and proxy_url(proxy).port
    except ValueError:
        usable = False
    if not usable or port == 0:
        return "is no URL of a proxy", _ENCODE
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        return "is no URL of a proxy: something follows its host and port", _ENCODE
    if ":" in unquote(parts.username or ""):
        return "has a colon in its user name, which no proxy can be told", _SHAPE
    return None

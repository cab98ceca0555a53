"""The base URL of the API, and the way there: TLS for everybody but this machine, because the token travels along."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # missing from the stubs

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
    except ValueError as error:
        raise wrong("is no URL") from error
    if parts.username is not None or parts.password is not None:
        raise wrong("must not hold a user name or password")
    if parts.query or parts.fragment:
        raise wrong("must not hold a query or fragment")
    if not host or port == 0 or re.search(r"[\x00-\x20\x7f-\U0010ffff]", url):
        raise wrong("is no URL of a host")
    if parts.scheme not in {"https", "http"}:
        raise wrong("must begin with https://")
    if parts.scheme == "http" and not is_loopback(host):
        raise wrong(
            f"must begin with https://, because the token travels with every request; {host} is not this machine"
        )
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(base_url: str, environ: Mapping[str, str]) -> str | None:
    """What HTTPS_PROXY and NO_PROXY in `environ` say for `base_url`; None for none, and for this machine always."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme != "https" or is_loopback(host):
        return None
    either = {name.lower(): value for name, value in environ.items() if name.lower() in {"https_proxy", "no_proxy"}}
    proxy = either.get("https_proxy")
    if not proxy or proxy_bypass_environment(host, {"no": either.get("no_proxy", "")}):
        return None
    if urlsplit(proxy).scheme not in {"http", "https"} or not urlsplit(proxy).hostname:
        raise SettingsError("HTTPS_PROXY is no http:// or https:// URL", "Correct it, or name the API in NO_PROXY.")
    return proxy

"""Where each setting comes from, and what is wrong with it: `doctor`'s view of what `settings` reads.

Nothing is raised: what `settings` refuses becomes the setting's problem, so that all others can still be looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from audit import settings
from audit.api_url import proxy_for
from audit.dsn import Database
from audit.errors import SettingsError
from audit.facts import Origin, Setting

T = TypeVar("T")

PREFIX = "r8_"
"""How Replicate's tokens begin."""

_NUMBERS = (
    settings.RATE,
    settings.CONCURRENCY,
    settings.TIMEOUT,
    settings.RETRIES,
    settings.STATEMENT_TIMEOUT,
)


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What can be used; None where it is missing or wrong, and `found` then says why."""

    found: tuple[Setting, ...]
    database: Database | None
    token: str | None = field(repr=False)
    base_url: str | None
    proxy: str | None = field(repr=False)
    per_minute: int
    concurrency: int
    timeout: float
    statement_timeout: float

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere."""
        password = self.database.password if self.database else None
        proxy_password = urlsplit(self.proxy).password if self.proxy else None
        return tuple(each for each in (self.token, password, proxy_password) if each)


def doctor_settings(options: Mapping[str, object], environ: Mapping[str, str]) -> DoctorSettings:
    """Settings from command-line `options` (None where not given) and `environ`; reads the token file."""
    found: list[Setting] = []

    def take(name: str, origin: tuple[Origin, str], read: Callable[[], T], show: Callable[[T], str]) -> T | None:
        kind, where = origin
        try:
            value = read()
        except SettingsError as error:
            problem = {"problem": str(error), "next_step": error.next_step}
            found.append(Setting(name=name, value="", origin=kind, where=where, **problem))
            return None
        found.append(Setting(name=name, value=show(value), origin=kind, where=where))
        return value

    given = {name: None if value is None else str(value) for name, value in options.items()}
    url, file, base = given.get("database_url"), given.get("token_file"), given.get("base_url")
    database = take(
        "--database-url",
        _origin(url, "--database-url", "DATABASE_URL", environ),
        lambda: settings.database_from(url, environ),
        _shown_database,
    )
    token = take(
        "API token",
        _origin(file, "--token-file", "REPLICATE_API_TOKEN", environ),
        lambda: settings.token_from(file, environ),
        shape,
    )
    base_url = take(
        "--base-url",
        _origin(base, "--base-url", "REPLICATE_BASE_URL", environ),
        lambda: settings.base_url_from(base, environ),
        str,
    )
    proxy = None
    if base_url and any(name.lower() == "https_proxy" and environ[name] for name in environ):
        proxy = take("HTTPS_PROXY", ("environment", "HTTPS_PROXY"), lambda: proxy_for(base_url, environ), _shown_proxy)
    numbers: dict[str, float] = {}
    for number in _NUMBERS:
        name = number.option.removeprefix("--").replace("-", "_")
        origin = _origin(given.get(name), number.option, number.variable, environ, "default")
        value = take(number.option, origin, _reading(number, given, environ), _shown_number)
        numbers[name] = number.default if value is None else value
    return DoctorSettings(
        found=tuple(found),
        database=database,
        token=token,
        base_url=base_url,
        proxy=proxy,
        per_minute=int(numbers["rate"]),
        concurrency=int(numbers["concurrency"]),
        timeout=numbers["timeout"],
        statement_timeout=numbers["statement_timeout"],
    )


def shape(secret: str) -> str:
    """As much of a token as may be shown: "set, r8_…, 40 characters"."""
    known = secret.startswith(PREFIX)
    return f"set, {f'{PREFIX}…, ' if known else ''}{len(secret)} characters{'' if known else f', not {PREFIX}…'}"


def _origin(
    option: str | None, name: str, variable: str, environ: Mapping[str, str], otherwise: str = "nowhere"
) -> tuple[Origin, str]:
    if option is not None:
        return "option", name
    if environ.get(variable):
        return "environment", variable
    if variable == "REPLICATE_BASE_URL" or otherwise == "default":
        return "default", "default"
    return "nowhere", "not set"


def _reading(number: settings.Number, given: Mapping[str, Any], environ: Mapping[str, str]) -> Callable[[], float]:
    return lambda: settings.number_from(number, given, environ)


def _shown_database(database: Database) -> str:
    user = f", user {database.user}" if database.user else ""
    return f"{database.label}{user}, password {'set' if database.password else 'not in the URL'}"


def _shown_proxy(proxy: str | None) -> str:
    if proxy is None:
        return "not used for this base URL"
    parts = urlsplit(proxy)
    place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return f"{place}{', password set' if parts.password else ''}"


def _shown_number(value: float) -> str:
    return f"{value:,g}" if value < 1_000_000 else f"{value:,.0f}"

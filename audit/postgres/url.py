"""`DATABASE_URL` -> `Database`: whose tables are read, and how to get there. Pure: nothing is opened or looked up.

Takes what libpq takes as a URL, and what frameworks make of it: `postgresql+asyncpg://`, Prisma's and Supabase's
parameters, Neon's `options=endpoint=...`. Of the parameters, only what tells how to connect is used. The rest never
reaches the server as a start-up parameter, because poolers (PgBouncer, Supavisor, Neon's proxy) refuse what they do
not know.

Whose database it is, the URL alone decides: PGHOST, PGPORT, PGDATABASE and PGOPTIONS are not looked at, so that no
leftover of a shell session turns the audit to another server. What only helps to get in works as in libpq where the
URL is silent: PGUSER, PGPASSWORD, PGPASSFILE and ~/.pgpass, PGSSLMODE and the other PGSSL*, ~/.postgresql/.
"""

import re
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from audit.errors import SettingsError
from audit.model.tables import PLAIN, Tables

_EXAMPLE = "It looks like postgresql://user:password@host:5432/name?sslmode=require"
_ESCAPE = "In user names and passwords write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %."
_SCHEME = re.compile(r"\s*(?:postgres|postgresql)(?:\+[a-z0-9_]+)?://(.*?)\s*", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:\[(?P<v6>[^]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[^:]*))?")
_SOCKETS = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108 - where servers put them
"""Where a URL without a host looks, as asyncpg does; then at localhost."""
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# `ssl=` is what SQLAlchemy with asyncpg, node-postgres and JDBC write.
_SSL_WORDS = {
    "true": "require",
    "1": "require",
    "on": "require",
    "no-verify": "require",
    "false": "disable",
    "0": "disable",
}
_SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SSL_OTHER = ("sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version")
_SSL_IGNORED = ("ssl", "sslmode", "sslpool", "sslsni", "sslcompression", "sslcertmode")
_ATTRIBUTES = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
# `-c name=value`, `-cname=value` or `--name=value`, with backslashes before blanks; or what a proxy takes for itself.
_OPTION = re.compile(r"(?:-c\s*|--)(?P<name>[\w.-]+)=(?P<value>(?:\\.|[^\s\\])*)|(?P<proxy>\w+(?:=|:)\S*)")


@dataclass(frozen=True, repr=False, kw_only=True)
class Database:
    """Where the tables are. Shows as its label: user and password are in no repr."""

    hosts: tuple[str, ...]
    """Names, addresses, or directories of sockets; tried in turn."""
    ports: tuple[int, ...]
    """As many as hosts."""
    name: str
    user: str | None = None
    password: str | None = None
    tls: tuple[tuple[str, str], ...] = ()
    """libpq's parameters `sslmode`, `sslrootcert`, ..."""
    others: tuple[tuple[str, str], ...] = ()
    """Further keywords of `asyncpg.connect`: `passfile`, `target_session_attrs`, `krbsrvname`."""
    proxy_options: str | None = None
    """For a proxy that finds the server by them; they go out as the start-up parameter `options`."""
    search_path: str | None = None
    """To set within the transaction, as SQL writes it."""
    connect_timeout: float | None = None
    """Seconds; null where the URL says none."""
    tables: Tables = PLAIN
    """How tables and columns are called there. No URL says it."""

    @property
    def label(self) -> str:
        """Host and name, "db.example.com/shop" or "socket/shop", for people; never a user or a password."""
        hosts = dict.fromkeys("socket" if host.startswith("/") else host for host in self.hosts)
        if len(hosts) > 1 and self.hosts[0] in _SOCKETS:
            hosts = dict.fromkeys(("socket",))
        return f"{','.join(hosts)}/{self.name}"

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """TLS parameters that name a file, with the file."""
        return tuple((name, path) for name, path in self.tls if name in _SSL_FILES and not self._system_roots)

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `asyncpg.connect`. They hold the password."""
        # asyncpg takes files of certificates in a DSN only; that DSN holds nothing else but them.
        tls = "&".join(f"{name}={quote(value, safe='')}" for name, value in self.tls)
        return {
            **({"ssl": True} if self._system_roots else {"dsn": f"postgresql://?{tls}"} if tls else {}),
            "host": list(self.hosts),
            "port": list(self.ports),
            "database": self.name,
            "user": self.user,
            "password": self.password,
            "server_settings": {"options": self.proxy_options} if self.proxy_options else None,
            **dict(self.others),
        }

    @property
    def _system_roots(self) -> bool:
        return dict(self.tls).get("sslrootcert") == "system"

    def __repr__(self) -> str:
        return f"Database({self.label!r})"


def parse_database_url(url: str) -> Database:
    """The database that `url` names. Raises `SettingsError`, which says what is wrong and never quotes the URL."""
    match = _SCHEME.fullmatch(url)
    if not match:
        _refuse("is not a PostgreSQL URL: it has to begin with postgresql://", _EXAMPLE)
    address, _, query = match[1].partition("?")
    parameters = _parameters(query)
    # A password may hold an unescaped "@", "/" or "#": the last "@" ends it, which no host and hardly a name contains.
    credentials, _, place = address.rpartition("@")
    user, _, password = credentials.partition(":")
    authority, _, name = place.partition("/")
    hosts, ports = _places(authority, parameters)
    user = parameters.get("user") or _decoded(user)
    name = parameters.get("dbname") or parameters.get("database") or _decoded(name) or user
    if not name:
        _refuse("names no database", _EXAMPLE)
    proxy_options, search_path = _options(parameters)
    return Database(
        hosts=hosts,
        ports=ports,
        name=name,
        user=user or None,
        password=parameters.get("password") or _decoded(password) or None,
        tls=_tls(parameters),
        others=_others(parameters),
        proxy_options=proxy_options,
        search_path=search_path,
        connect_timeout=_seconds(parameters.get("connect_timeout")),
    )


def _refuse(problem: str, next_step: str) -> NoReturn:
    raise SettingsError(problem, next_step)


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        # Not `from` the error above, which quotes the text.
        raise SettingsError("has an escape (%..) that is not UTF-8 text", _ESCAPE) from None
    return decoded


def _parameters(query: str) -> dict[str, str]:
    """The query of the URL; of a repeated name the last wins, a "+" is a plus: both as in libpq."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return {_decoded(name): _decoded(value) for name, _, value in pairs}


def _places(authority: str, parameters: dict[str, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Hosts and ports. `host=` and `port=` win over what stands before the slash, as in libpq."""
    if given := parameters.get("host") or parameters.get("hostaddr"):
        hosts, ports = zip(*((host, None) for host in given.split(",")), strict=True)
    elif authority:
        hosts, ports = zip(*map(_host_and_port, authority.split(",")), strict=True)
    else:
        hosts = (*_SOCKETS, "localhost")
        ports = (None,) * len(hosts)
    if not all(hosts):
        _refuse("has an empty host", _EXAMPLE)
    if text := parameters.get("port"):
        numbers = tuple(map(_port, text.split(",")))
        if len(numbers) not in (1, len(hosts)):
            _refuse("has a list of ports that is not as long as its list of hosts", _EXAMPLE)
        return hosts, numbers * len(hosts) if len(numbers) == 1 else numbers
    return hosts, tuple(port or 5432 for port in ports)


def _host_and_port(text: str) -> tuple[str, int | None]:
    match = _HOST.fullmatch(text)
    if not match:
        _refuse("has a host that cannot be read, or an unescaped character in the password", _ESCAPE)
    port = match["port"]
    return _decoded(match["v6"] or match["name"]), _port(port) if port else None


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        _refuse("has a port that is not a number from 1 to 65535, or an unescaped character in the password", _ESCAPE)
    return int(text)


def _tls(parameters: dict[str, str]) -> tuple[tuple[str, str], ...]:
    ssl = parameters.get("ssl", "").lower()
    mode = parameters.get("sslmode") or _SSL_WORDS.get(ssl, ssl)
    mode = "require" if mode == "no-verify" else mode
    roots = parameters.get("sslrootcert")
    if mode and mode not in _SSL_MODES:
        _refuse(f"has an unknown sslmode; there are {', '.join(_SSL_MODES)}", "Correct sslmode in the URL.")
    if roots == "system" and (mode or "verify-full") != "verify-full":
        _refuse("has sslrootcert=system, which means sslmode=verify-full, and another sslmode", "Drop one of the two.")
    if roots == "system" and "sslcert" in parameters:
        _refuse("has sslrootcert=system and sslcert together, which is not supported", "Name a file in sslrootcert.")
    for name in parameters:
        # A misspelt or foreign one must not quietly lower the security that somebody asked for.
        if name.lower().startswith("ssl") and name not in (*_SSL_IGNORED, *_SSL_FILES, *_SSL_OTHER):
            _refuse(
                "has a parameter that begins with ssl and is not libpq's",
                f"Known are sslmode, {', '.join((*_SSL_FILES, *_SSL_OTHER))}.",
            )
    given = {"sslmode": mode} | {name: parameters.get(name, "") for name in (*_SSL_FILES, *_SSL_OTHER)}
    return tuple((name, value) for name, value in given.items() if value)


def _others(parameters: dict[str, str]) -> tuple[tuple[str, str], ...]:
    wanted = parameters.get("target_session_attrs")
    if wanted and wanted not in _ATTRIBUTES:
        _refuse(f"has an unknown target_session_attrs; there are {', '.join(_ATTRIBUTES)}", "Correct it in the URL.")
    names = ("passfile", "target_session_attrs", "krbsrvname")
    return tuple((name, parameters[name]) for name in names if parameters.get(name))


def _options(parameters: dict[str, str]) -> tuple[str | None, str | None]:
    """What a proxy needs, and the search path. Other settings of the session are the audit's own business.

    Neon (`endpoint=`, `project=`) and Supavisor (`reference=`) find the server by words in `options` that are no
    switches. They alone are passed on: only such a proxy is ever given them.
    """
    schema = parameters.get("schema", "").replace('"', '""')
    path = parameters.get("search_path") or parameters.get("currentSchema") or (schema and f'"{schema}"')
    words = list(_OPTION.finditer(parameters.get("options", "")))
    for word in words:
        if word["name"] and word["name"].replace("-", "_").lower() == "search_path":
            path = re.sub(r"\\(.)", r"\1", word["value"])
    return " ".join(word["proxy"] for word in words if word["proxy"]) or None, path or None


def _seconds(text: str | None) -> float | None:
    """Null for none and for 0, which is libpq's word for ever: an audit does not wait for ever."""
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,6}(\.[0-9]+)?", text):
        _refuse("has a connect_timeout that is not a number of seconds", "Correct connect_timeout in the URL.")
    return float(text) if float(text) > 0 else None

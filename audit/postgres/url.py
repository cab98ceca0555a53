"""`DATABASE_URL` -> `Database`: whose tables are read, and how to get there. Only a file of services is ever opened.

Takes what libpq takes as a URL, and what frameworks make of it: `postgresql+asyncpg://`, Prisma's and Supabase's
parameters, Neon's `options=endpoint=...`. Of the parameters, only what tells how to connect is used. The rest never
reaches the server as a start-up parameter, because poolers (PgBouncer, Supavisor, Neon's proxy) refuse what they do
not know. Each of libpq's is honoured, of no consequence (`HARMLESS`) or refused (`REFUSED`).

Whose database it is, the URL and its service (`service=` or PGSERVICE) decide: PGHOST, PGPORT, PGDATABASE and PGOPTIONS
are not looked at, so that no leftover of a shell session turns the audit to another server. What only helps to get in
works as in libpq where both are silent: PGUSER, PGPASSWORD, PGPASSFILE and ~/.pgpass, PGSSLMODE and the other PGSSL*,
~/.postgresql/.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from audit.errors import SettingsError
from audit.model.place import SOCKETS, Address, label, lower
from audit.model.tables import PLAIN, Tables
from audit.postgres.service import service_parameters
from audit.postgres.tls import AT_LEAST_REQUIRED, SSL_FILES, SSL_OTHER, folded, tls_parameters, with_flags

_EXAMPLE = "It looks like postgresql://user:password@host:5432/name?sslmode=require"
_ESCAPE = "In user names and passwords write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %."
_SCHEME = re.compile(r"\s*(?:postgres|postgresql)(?:\+[a-z0-9_]+)?://(.*?)\s*", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:\[(?P<v6>[^]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[^:]*))?")
_OWN_FILES = {
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
}
HONOURED = frozenset((
    *("service", "servicefile", "host", "hostaddr", "port", "dbname", "user", "password", "passfile"),
    *("connect_timeout", "options", "target_session_attrs", "krbsrvname", "gsslib"),
    *("sslmode", *SSL_FILES, *SSL_OTHER),
))  # fmt: skip
_NO_DIFFERENCE = "TCP's own clocks: the audit has a timeout for each statement, so a dead connection is noticed"
HARMLESS: Mapping[str, str] = {
    "application_name": "the audit says its own name, sync-audit",
    "fallback_application_name": "the audit says its own name, sync-audit",
    "client_encoding": "texts travel as UTF-8, whatever the database's encoding is",
    "keepalives": _NO_DIFFERENCE,
    "keepalives_idle": _NO_DIFFERENCE,
    "keepalives_interval": _NO_DIFFERENCE,
    "keepalives_count": _NO_DIFFERENCE,
    "tcp_user_timeout": _NO_DIFFERENCE,
    "load_balance_hosts": "hosts are tried in their order: which of them answers changes nothing of what it says",
    "sslcompression": "TLS is never compressed",
    "sslsni": "the host's name is part of the TLS handshake, as without it",
    "sslkeylogfile": "keys are written to no file",
    "gssdelegation": "no credentials are handed to the server, which needs none to answer",
    "max_protocol_version": "protocol 3.0 is spoken, which every version allows",
    # Neon puts channel_binding=require in every URL that it shows.
    "channel_binding": "there is none; sslmode=verify-full keeps out whom it would keep out",
    "authtype": "libpq has not used it since PostgreSQL 7",
    "tty": "libpq has not used it since PostgreSQL 7",
}
"""Parameters of libpq's that are not looked at, and why nothing is lost by it."""
REFUSED: Mapping[str, tuple[str, str]] = {
    "gssencmode": ("disable prefer", "the connection cannot be encrypted by GSSAPI, only by TLS"),
    "min_protocol_version": ("3.0", "protocol 3.0 is spoken, and no later one"),
    "sslcertmode": ("allow", "whether the server asks for a client's certificate cannot be demanded or prevented"),
    "replication": ("false off no 0", "a connection for replication answers no queries of tables"),
    "requiressl": ("0", "it is no parameter since PostgreSQL 14; sslmode=require says the same"),
    "sslcrldir": ("", "revocation lists are read from a file (sslcrl), not from a directory"),
    "requirepeer": ("", "the owner of the server's socket cannot be checked"),
    "require_auth": ("", "the server chooses how to log in, and that cannot be restricted"),
    "scram_client_key": ("", "logging in needs the password, not a key made from it"),
    "scram_server_key": ("", "logging in needs the password, not a key made from it"),
    "oauth_issuer": ("", "logging in by OAuth is not supported"),
    "oauth_client_id": ("", "logging in by OAuth is not supported"),
    "oauth_client_secret": ("", "logging in by OAuth is not supported"),
    "oauth_scope": ("", "logging in by OAuth is not supported"),
}
"""Parameters of libpq's that cannot be honoured: the values that are nevertheless as good as none, and why."""
ENVIRONMENT: Mapping[str, str] = {
    "PGSSLMODE": "sslmode",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLCRL": "sslcrl",
    "PGSSLCRLDIR": "sslcrldir",
    "PGSSLCERTMODE": "sslcertmode",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGMINPROTOCOLVERSION": "min_protocol_version",
    "PGREQUIREAUTH": "require_auth",
    "PGREQUIREPEER": "requirepeer",
    "PGGSSENCMODE": "gssencmode",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGKRBSRVNAME": "krbsrvname",
    "PGGSSLIB": "gsslib",
}
"""libpq's variables that say how to get in -> parameter; user and password are `audit.postgres.login`'s."""
LIBPQ = HONOURED | HARMLESS.keys() | REFUSED.keys()
"""Every parameter of libpq's up to PostgreSQL 18, `servicefile` of 19 and a few that are gone."""
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
    """Further keywords of `asyncpg.connect`: `target_session_attrs`, `krbsrvname`, `gsslib`. And `passfile`."""
    proxy_options: str | None = None
    """For a proxy that finds the server by them; they go out as the start-up parameter `options`."""
    search_path: str | None = None
    """To set within the transaction, as SQL writes it."""
    connect_timeout: float | None = None
    """Seconds; null where the URL says none."""
    tables: Tables = PLAIN
    """How tables and columns are called there. No URL says it."""
    has_bytes: bool = False
    """Somebody has met bytes there that are no text; see `audit.postgres.encoding`. No URL says that either."""

    @property
    def label(self) -> str:
        """Host and name, "db.example.com/shop" or "socket/shop", for people; never a user or a password."""
        return label(self.hosts, self.name)

    @property
    def address(self) -> Address:
        """What is compared between runs."""
        ports = self.ports if len(set(self.ports)) > 1 else self.ports[:1]
        return Address(
            host=lower(",".join(self.hosts)),
            port=",".join(map(str, ports)),
            database=self.name,
            asked_path=self.search_path,
        )

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """TLS parameters that name a file, with the file."""
        return tuple((name, path) for name, path in self.tls if name in SSL_FILES and not self._system_roots)

    @property
    def own_files(self) -> tuple[tuple[str, str], ...]:
        """Files of ~/.postgresql that asyncpg looks for besides, each with the parameter that would name it."""
        said = dict(self.tls)
        if self._system_roots or not self.may_use_tls:
            return ()
        verified = said.get("sslmode") in AT_LEAST_REQUIRED
        wanted = {"sslcert": True, "sslkey": True, "sslrootcert": verified, "sslcrl": verified}
        return tuple((name, _OWN_FILES[name]) for name, is_wanted in wanted.items() if is_wanted and name not in said)

    @property
    def may_use_tls(self) -> bool:
        """Whether anything is asked of TLS, or a host is not of this machine's sockets."""
        by_network = not all(host.startswith("/") for host in self.hosts)
        return dict(self.tls).get("sslmode") != "disable" and (by_network or bool(self.tls))

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
            **{name: value for name, value in self.others if name != "passfile"},
        }

    @property
    def _system_roots(self) -> bool:
        return dict(self.tls).get("sslrootcert") == "system"

    def __repr__(self) -> str:
        return f"Database({self.label!r})"


def parse_database_url(url: str, environ: Mapping[str, str] = os.environ) -> Database:
    """The database that `url` names, with its service's help, which PGSERVICE of `environ` may name.

    What the URL says wins over the service. Raises `SettingsError`, which says what is wrong and never quotes either.
    """
    explicit = folded(_explicit(url), LIBPQ)
    parameters = _given(service_parameters(explicit, environ, LIBPQ) | explicit)
    from_environment = _from_environment(parameters, environ)
    try:
        return _database(parameters | from_environment)
    except SettingsError as error:
        if not from_environment:
            raise
        _database(parameters)  # raises where the URL itself is wrong
        variables = ", ".join(variable for variable, name in ENVIRONMENT.items() if name in from_environment)
        raise SettingsError(
            f"is silent on what the environment says, which {error} (set there: {variables})",
            f"Correct or unset the variable. {error.next_step}",
        ) from None


def _from_environment(parameters: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What libpq's variables say of how to get in, where URL and service are silent."""
    said = {name: environ[variable] for variable, name in ENVIRONMENT.items() if environ.get(variable)}
    if parameters.keys() & {"ssl", "sslaccept", "sslrequire", "sslfactory"}:
        said.pop("sslmode", None)
    return {name: value for name, value in said.items() if name not in parameters}


def _database(parameters: dict[str, str]) -> Database:
    for refused, (as_good_as_none, why) in REFUSED.items():
        if refused in parameters and parameters[refused] not in as_good_as_none.split():
            _refuse(f"or its service has {refused}, which the audit does not support: {why}", f"Leave {refused} out.")
    hosts, ports = _places(parameters)
    user = parameters.get("user")
    name = parameters.get("dbname") or user
    if not name:
        _refuse("names no database", _EXAMPLE)
    proxy_options, search_path = _options(parameters)
    return Database(
        hosts=hosts,
        ports=ports,
        name=name,
        user=user,
        password=parameters.get("password"),
        tls=tls_parameters(parameters),
        others=_others(parameters),
        proxy_options=proxy_options,
        search_path=search_path,
        connect_timeout=_seconds(parameters.get("connect_timeout")),
    )


def holds_password(url: str) -> bool:
    """Whether `url` itself, not its service, holds one. Raises `SettingsError` as `parse_database_url` does."""
    explicit = _explicit(url)
    return any(explicit.get(name) for name in ("password", "sslpassword"))


def _explicit(url: str) -> dict[str, str]:
    """What the URL says, under libpq's names; what stands behind the "?" wins, as in libpq."""
    match = _SCHEME.fullmatch(url)
    if not match:
        _refuse("is not a PostgreSQL URL: it has to begin with postgresql://", _EXAMPLE)
    address, _, query = match[1].partition("?")
    parameters = _parameters(query)
    # A password may hold an unescaped "@", "/" or "#": the last "@" ends it, which no host and hardly a name contains.
    credentials, _, place = address.rpartition("@")
    user, _, password = credentials.partition(":")
    authority, _, name = place.partition("/")
    hosts, ports = zip(*map(_host_and_port, authority.split(",")), strict=True) if authority else ((), ())
    said = {
        "user": _decoded(user),
        "password": _decoded(password),
        "host": ",".join(hosts),
        "port": ",".join(ports) if any(ports) else "",
        "dbname": parameters.pop("database", "") or _decoded(name),
    }
    return _given(said | _given(with_flags(parameters)))


def _given(parameters: dict[str, str]) -> dict[str, str]:
    """Without those of no value, which say nothing."""
    return {name: value for name, value in parameters.items() if value}


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


def _places(parameters: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Hosts and ports."""
    host, address = parameters.get("host"), parameters.get("hostaddr")
    if host and address and host != address:
        _refuse(
            "or its service has host and hostaddr, which the audit does not support: it connects to what it checks the "
            "server's certificate by",
            "Leave one of them out.",
        )
    given = host or address
    hosts = tuple(given.split(",")) if given else (*SOCKETS, "localhost")
    if not all(hosts):
        _refuse("has an empty host", _EXAMPLE)
    ports = tuple(_port(text) if text else 5432 for text in parameters.get("port", "").split(","))
    if len(ports) not in (1, len(hosts)):
        _refuse("has a list of ports that is not as long as its list of hosts", _EXAMPLE)
    return hosts, ports * len(hosts) if len(ports) == 1 else ports


def _host_and_port(text: str) -> tuple[str, str]:
    """The port may be empty."""
    match = _HOST.fullmatch(text)
    if not match:
        _refuse("has a host that cannot be read, or an unescaped character in the password", _ESCAPE)
    port = match["port"] or ""
    if port:
        _port(port)
    return _decoded(match["v6"] or match["name"]), port


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        _refuse("has a port that is not a number from 1 to 65535, or an unescaped character in the password", _ESCAPE)
    return int(text)


def _others(parameters: dict[str, str]) -> tuple[tuple[str, str], ...]:
    wanted = parameters.get("target_session_attrs")
    if wanted and wanted not in _ATTRIBUTES:
        _refuse(f"has an unknown target_session_attrs; there are {', '.join(_ATTRIBUTES)}", "Correct it in the URL.")
    if parameters.get("gsslib", "gssapi") not in ("gssapi", "sspi"):
        _refuse("has an unknown gsslib; there are gssapi, sspi", "Correct it in the URL.")
    names = ("passfile", "target_session_attrs", "krbsrvname", "gsslib")
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

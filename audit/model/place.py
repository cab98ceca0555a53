"""Where a run was made: which tables, of which database, on which server; and whether two places are one."""

import re
import shlex
from collections.abc import Iterator, Sequence

import msgspec

from audit.errors import SettingsError

SOCKETS = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108 - where servers put them
"""Where a URL without a host looks, as asyncpg does; then at localhost."""
LOCAL = r"/[^,]*|localhost|127(\.[0-9]+){3}|::1"
"""A host that is this machine, as a pattern for Python and PostgreSQL: a directory of sockets, or loopback."""
_NAMED = re.compile(r"(?:\[(?P<v6>[^]]+)\]|(?P<host>.+?)):(?P<port>[0-9]+(?:,[0-9]+)*)/(?P<database>.+)")


def label(hosts: Sequence[str], database: str) -> str:
    """Host and name, "db.example.com/shop" or "socket/shop", for people; never a user or a password."""
    names = dict.fromkeys("socket" if host.startswith("/") else host for host in hosts)
    if len(names) > 1 and hosts[0] in SOCKETS:
        names = dict.fromkeys(("socket",))
    return f"{','.join(names)}/{database}"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL and its service say of a place, before anybody has connected."""

    host: str
    """In lower case; several are joined by commas; a directory of sockets begins with a slash."""
    port: str
    """One, or as many as hosts, joined by commas; "" where that is not known, and the host then a word of a label."""
    database: str
    asked_path: str | None = None
    """The search path that the URL asks for, as SQL writes it; null where it asks for none."""

    @classmethod
    def of_label(cls, text: str) -> "Address":
        """What is known of a run that has kept no place: its `label`."""
        host, _, database = text.partition("/")
        return cls(host=host.lower(), port="", database=database)

    @property
    def named(self) -> str:
        """HOST:PORT/DATABASE."""
        return f"{self.server}/{self.database}"

    @property
    def full(self) -> str:
        """All of it that a person has to know."""
        return self.named

    @property
    def server(self) -> str:
        """HOST:PORT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else self.host

    @property
    def label(self) -> str:
        """As `label` has it."""
        return label(self.host.split(","), self.database)

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, by socket or loopback."""
        return all(re.fullmatch(LOCAL, host) for host in self.host.split(","))


class Place(Address, frozen=True, kw_only=True):
    """The same, and what the server says."""

    users: str
    """The table with its schema, as the server finds it and as SQL writes it."""
    user_models: str
    search_path: str
    """As it was in force."""
    system: str | None = None
    """The server's system identifier; null where the role may not read it."""
    server_port: str | None = None
    server_started_at: str | None = None
    """Seconds since 1970."""
    database_oid: str | None = None

    @property
    def full(self) -> str:
        """HOST:PORT/DATABASE (SCHEMA.TABLE)."""
        return f"{self.named} ({self.user_models})"


def is_named(text: str) -> bool:
    """Whether `text` is of the form HOST:PORT/DATABASE."""
    return _NAMED.fullmatch(text) is not None


def names(moved_from: str, place: Address) -> bool:
    """Whether HOST:PORT/DATABASE is exactly that of `place`; where its port is not known, host and database."""
    match = _NAMED.fullmatch(moved_from)
    if match is None:
        return False
    said = Address(host=lower(match["v6"] or match["host"]), port=match["port"], database=match["database"])
    return said.named == place.named if place.port else said.label == place.label


def lower(hosts: str) -> str:
    """Hosts that are joined by commas, in lower case; directories of sockets stay as they are."""
    return ",".join(host if host.startswith("/") else host.lower() for host in hosts.split(","))


def moved_from_option(place: Address) -> str:
    """What says that the database of `place` has moved, for a shell; PORT stands for a port that is not known."""
    return f"--moved-from {shlex.quote(place.named if place.port else f'{place.host}:PORT/{place.database}')}"


def move(moved_from: str, now: Address | None = None) -> str:
    """What `--moved-from` says, for whoever looks on; `now` is where the database is, if that is known."""
    where = f"is {now.named} now" if now else "has moved"
    return f"--moved-from: the run was made in {moved_from}, and its database {where}"


def place_differences(one: Address, other: Address, *, moved: bool = False) -> Iterator[str]:
    """What makes two places of them, in words, gravest first; nothing where they are one.

    As much is compared as both know. Where the database has `moved` from one to the other, only the tables are.

    An equal system identifier alone proves nothing: copies of a server, such as branches of a database, share it.
    Of two local addresses it does, or else the time when the server was started.
    """
    if not moved:
        yield from _address_differences(one, other)
    if not isinstance(one, Place) or not isinstance(other, Place):
        return
    if not moved:
        yield from _server_differences(one, other)
    for ours, theirs in ((one.users, other.users), (one.user_models, other.user_models)):
        if ours != theirs:
            yield f"the table is {ours} and {theirs}"


def check_place(then: Address, now: Address, moved_from: str | None, *, to_write: bool = True) -> None:
    """Raises SettingsError, both named, where `now` is another place than the one of the run, `then`.

    `moved_from` (--moved-from) says that the database was at `then`, and has moved. A label is not enough `to_write`.
    """
    if to_write and moved_from is None and not then.port:
        raise SettingsError(
            f"the run file does not say where it was made, only {then.named}: an older version has written it",
            f"Name the server and its port as they were then: {moved_from_option(then)}; or start a new run.",
        )
    if moved_from is not None and not names(moved_from, then):
        raise SettingsError(
            f"--moved-from: the run is of {then.named}",
            f"Write {moved_from_option(then)} if that has moved; or start a new run.",
        )
    for why in place_differences(then, now, moved=moved_from is not None):
        rule = "what was found in one place is not written to another" if to_write else "two audits do not mix"
        other_tables = any(place_differences(then, now, moved=True))
        step = "" if other_tables else f"if it has moved, add {moved_from_option(then)}; "
        raise SettingsError(
            f"--database-url (DATABASE_URL) is {now.full} now, and was {then.full} in the run: {why}; {rule}",
            f"Name the database of the run there; {step}or start a new run.",
        )


def _address_differences(one: Address, other: Address) -> Iterator[str]:
    if not one.port or not other.port:
        if one.label != other.label:
            yield f"the database is {one.label} and {other.label}"
        return
    if one.database != other.database:
        yield f"the database is {one.database} and {other.database}"
    if (one.host, one.port) != (other.host, other.port) and not _may_be_one_machine(one, other):
        yield f"the server is {one.server} and {other.server}"


def _server_differences(one: Place, other: Place) -> Iterator[str]:
    both_known = one.system is not None and other.system is not None
    if both_known and one.system != other.system:
        yield f"the server's system identifier is {one.system} and {other.system}"
    elif (
        one.host != other.host
        and _may_be_one_machine(one, other)
        and not both_known
        and not _started_as_one(one, other)
    ):
        yield f"nothing shows that {one.server} and {other.server} are one server"
    elif (
        not both_known and None not in (one.database_oid, other.database_oid) and one.database_oid != other.database_oid
    ):
        yield f"the database's own number there (oid) is {one.database_oid} and {other.database_oid}"


def _may_be_one_machine(one: Address, other: Address) -> bool:
    return one.is_local and other.is_local and one.port == other.port


def _started_as_one(one: Place, other: Place) -> bool:
    started = one.server_started_at is not None and one.server_started_at == other.server_started_at
    return started and one.database_oid is not None and one.database_oid == other.database_oid

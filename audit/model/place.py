"""Where a run was made: which tables, of which database, on which server; and whether two places are one."""

import re
from collections.abc import Iterator

import msgspec

from audit.errors import SettingsError

_LOOPBACK = re.compile(r"/.*|localhost|127(\.[0-9]+){3}|::1")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL and its service say of a place, before anybody has connected."""

    host: str
    """In lower case; several are joined by commas; a directory of sockets begins with a slash."""
    port: str
    """One, or as many as hosts, joined by commas."""
    database: str
    asked_path: str | None = None
    """The search path that the URL asks for, as SQL writes it; null where it asks for none."""

    @property
    def named(self) -> str:
        """HOST:PORT/DATABASE."""
        return f"{self.server}/{self.database}"

    @property
    def server(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, by socket or loopback."""
        return all(_LOOPBACK.fullmatch(host) for host in self.host.split(","))


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


def address_differences(one: Address, other: Address) -> Iterator[str]:
    """What makes two places of them for certain, without asking a server."""
    if one.database != other.database:
        yield f"the database is {one.database} and {other.database}"
    if (one.host, one.port) != (other.host, other.port) and not _may_be_one_machine(one, other):
        yield f"the server is {one.server} and {other.server}"


def place_differences(one: Place, other: Place) -> Iterator[str]:
    """What makes two places of them, in words, gravest first; nothing where they are one.

    An equal system identifier alone proves nothing: copies of a server, such as branches of a database, share it.
    Of two local addresses it does, or else the time when the server was started.
    """
    yield from address_differences(one, other)
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
    for ours, theirs in ((one.users, other.users), (one.user_models, other.user_models)):
        if ours != theirs:
            yield f"the table is {ours} and {theirs}"


def check_place(then: Place, now: Place) -> None:
    """Raises SettingsError where `now` is another place than the one of the run, `then`; both are named."""
    for why in place_differences(then, now):
        raise SettingsError(
            f"--database-url (DATABASE_URL) is {now.full} now, and was {then.full} in the run: {why}; what was "
            "found in one place is not written to another",
            "Name in --database-url (DATABASE_URL) what the run was made with, or start a new run.",
        )


def same_place(one: Place, other: Place) -> bool:
    """Whether what was found in one may be written to the other."""
    return not any(place_differences(one, other))


def _may_be_one_machine(one: Address, other: Address) -> bool:
    return one.is_local and other.is_local and one.port == other.port


def _started_as_one(one: Place, other: Place) -> bool:
    started = one.server_started_at is not None and one.server_started_at == other.server_started_at
    return started and one.database_oid is not None and one.database_oid == other.database_oid

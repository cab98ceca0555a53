"""Whether two places are one, and why not."""

import msgspec
import pytest

from audit.model.place import Place, place_differences, same_place

PLACE = Place(
    host="db.example.com",
    port="5432",
    database="shop",
    users="public.users",
    user_models="public.user_models",
    search_path='"$user", public',
    system="7",
    server_port="5432",
    server_started_at="1.5",
    database_oid="16384",
)
SOCKET = msgspec.structs.replace(PLACE, host="/run/postgresql")
LOOPBACK = msgspec.structs.replace(PLACE, host="127.0.0.1")
NOT_READ = {"system": None}


def changed(place: Place, **changes: str | None) -> Place:
    return msgspec.structs.replace(place, **changes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(PLACE, PLACE, id="itself"),
        pytest.param(PLACE, changed(PLACE, system=None), id="a role that may not read the system identifier"),
        pytest.param(PLACE, changed(PLACE, server_started_at="9.0"), id="restarted"),
        pytest.param(PLACE, changed(PLACE, search_path="public"), id="the same tables by another path"),
        pytest.param(changed(PLACE, server_port="6000"), PLACE, id="a server behind one address that moved its port"),
        pytest.param(SOCKET, LOOPBACK, id="socket and loopback of one server"),
        pytest.param(LOOPBACK, changed(LOOPBACK, host="::1"), id="two loopbacks"),
        pytest.param(SOCKET, changed(SOCKET, host="/tmp"), id="two directories of one server"),
        pytest.param(SOCKET, changed(LOOPBACK, system=None), id="started at one moment, with one database"),
    ],
)
def test_one_place_is_one(one: Place, other: Place) -> None:
    assert list(place_differences(one, other)) == []
    assert same_place(one, other)
    assert same_place(other, one)


UNPROVEN = "nothing shows that /run/postgresql:5432 and 127.0.0.1:5432 are one server"


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (PLACE, changed(PLACE, database="lab"), "the database is shop and lab"),
        (PLACE, changed(PLACE, port="5433"), "the server is db.example.com:5432 and db.example.com:5433"),
        (PLACE, changed(PLACE, host="branch.example.com"), "the server is db.example.com:5432 and branch.example"),
        (PLACE, LOOPBACK, "the server is db.example.com:5432 and 127.0.0.1:5432"),
        (SOCKET, changed(LOOPBACK, port="5433"), "the server is /run/postgresql:5432 and 127.0.0.1:5433"),
        (PLACE, changed(PLACE, system="8"), "the server's system identifier is 7 and 8"),
        (SOCKET, changed(LOOPBACK, system="8"), "the server's system identifier is 7 and 8"),
        (SOCKET, changed(LOOPBACK, system=None, server_started_at="2.5"), UNPROVEN),
        (SOCKET, changed(LOOPBACK, system=None, database_oid="1"), UNPROVEN),
        (changed(SOCKET, system=None, server_started_at=None), changed(LOOPBACK, server_started_at=None), UNPROVEN),
        (PLACE, changed(PLACE, user_models="tb.user_models"), "the table is public.user_models and tb.user_models"),
        (PLACE, changed(PLACE, users="tb.users"), "the table is public.users and tb.users"),
    ],
)
def test_two_places_are_two_and_the_reason_is_said(one: Place, other: Place, why: str) -> None:
    assert next(place_differences(one, other)).startswith(why)
    assert not same_place(one, other)
    assert not same_place(other, one)


def test_place_is_named_by_host_port_database_and_table() -> None:
    assert PLACE.full == "db.example.com:5432/shop (public.user_models)"
    assert changed(PLACE, host="::1").named == "[::1]:5432/shop"

"""Whether two places are one, and why not."""

import msgspec
import pytest

from audit.errors import SettingsError
from audit.model.place import Address, Place, check_place, label, names, place_differences
from tests.support.samples import place

PLACE = place(search_path='"$user", public', server_port="5432", server_started_at="1.5", database_oid="16384")
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
    assert list(place_differences(other, one)) == []


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
    assert list(place_differences(other, one))


def test_place_is_named_by_host_port_database_and_table() -> None:
    assert PLACE.full == "db.example.com:5432/shop (public.user_models)"
    assert changed(PLACE, host="::1").named == "[::1]:5432/shop"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("db.example.com:5432/shop", PLACE),
        ("DB.EXAMPLE.com:5432/shop", PLACE),
        ("/run/postgresql:5432/shop", SOCKET),
        ("[::1]:5432/shop", changed(PLACE, host="::1")),
        ("::1:5432/shop", changed(PLACE, host="::1")),
        ("a,B:5432,5433/shop", changed(PLACE, host="a,b", port="5432,5433")),
        ("db.example.com:5432/a:1/b", changed(PLACE, database="a:1/b")),
        ("db.example.com:1/shop", Address.of_label("DB.example.com/shop")),
        ("/tmp:5432/shop", Address.of_label("socket/shop")),
        ("socket:5432/shop", Address.of_label("socket/shop")),
        ("/run/postgresql,/var/run/postgresql,/tmp,localhost:5432/shop", Address.of_label("socket/shop")),
    ],
)
def test_place_is_named_by_host_port_and_database_or_what_is_known_of_them(text: str, place: Address) -> None:
    assert names(text, place)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("db.example.com:5432/Shop", PLACE),
        ("db.example.com:5433/shop", PLACE),
        ("db.example.com/shop", PLACE),
        ("/RUN/postgresql:5432/shop", SOCKET),
        ("a,b:5432/shop", changed(PLACE, host="a,b", port="5432,5433")),
        ("db.example.com:1/lab", Address.of_label("db.example.com/shop")),
    ],
)
def test_nothing_but_exactly_that_names_a_place(text: str, place: Address) -> None:
    assert not names(text, place)


ELSEWHERE = changed(PLACE, host="elsewhere", port="6432", database="store", system="8")


def test_move_excuses_all_but_the_tables() -> None:
    check_place(PLACE, ELSEWHERE, PLACE.named)
    with pytest.raises(SettingsError, match=r"the table is public\.users and tb\.users"):
        check_place(PLACE, changed(ELSEWHERE, users="tb.users"), PLACE.named)


def test_move_is_advised_where_it_would_help_in_words_for_a_shell() -> None:
    was = changed(PLACE, database="a shop")
    with pytest.raises(SettingsError) as caught:
        check_place(was, ELSEWHERE, None)
    assert "add --moved-from 'db.example.com:5432/a shop'; or" in caught.value.next_step
    with pytest.raises(SettingsError) as caught:
        check_place(was, changed(ELSEWHERE, users="tb.users"), None)
    assert "--moved-from" not in caught.value.next_step


def test_label_is_compared_where_no_more_is_known_and_is_too_little_to_write() -> None:
    older, now = Address.of_label("DB.example.com/shop"), Address(host="db.example.com", port="7", database="shop")
    check_place(older, now, None, to_write=False)
    check_place(older, ELSEWHERE, "db.example.com:7/shop")
    with pytest.raises(SettingsError, match="two audits do not mix"):
        check_place(older, ELSEWHERE, None, to_write=False)
    with pytest.raises(SettingsError, match="does not say where it was made"):
        check_place(older, now, None)


def test_label_of_an_address_is_that_of_its_url() -> None:
    hosts = ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")
    assert label(hosts, "shop") == Address(host=",".join(hosts), port="5432", database="shop").label == "socket/shop"

"""HTTPS_PROXY and NO_PROXY: which variable counts, and what is wrong with a value."""

from urllib.parse import quote

import pytest

from audit.errors import SettingsError
from audit.model.exit_status import COULD_NOT_RUN, INCOMPLETE
from audit.replicate.url import checked_base_url, credentials, proxy_for, proxy_url
from tests.support.audits import Servers, Shell

API = "https://api.replicate.com/v1"
SECRET = "geheim"
WRONG = [
    "http://user:geheim/wort@127.0.0.1:3128",
    "http://user:123/geheim@127.0.0.1:3128",
    "http://user:geheim?wort@127.0.0.1:3128",
    "http://user:geheim#wort@127.0.0.1:3128",
    "http://user:geheim\\wort@127.0.0.1:3128",
    "http://user:geheim wort@127.0.0.1:3128",
    "http://user%3Aname:geheim@127.0.0.1:3128",
    "http://geheim/wort@127.0.0.1:3128",
    *(f"http://u:geheim@h:{port}" for port in ("99999", "0", "-1", "x", "80:80", "٣", "3128/path", "1?q", "1#f")),
    *(
        f"http://u:geheim@{host}:3128"
        for host in ("", "[::1", "::1]", "[zz]", "]", "a..b", "a" * 300, "a,b", "a<b", "%41")
    ),
    *(f"{scheme}://u:geheim@h:3128" for scheme in ("socks5", "socks5h", "ftp", "file", "htp")),
    *("u:geheim@h:3128", "geheim:3128", "//u:geheim@h:3128", "http:geheim:1", "geheim", "http://", "http:///geheim:1"),
    *(" http://u:geheim@h:1", "http://u:geheim@h:1 ", "http://u:geheim@h:1\n", "http://u:ge\theim@h:1", "\t", " "),
    *("http://u:geheim@h\x1b[31m:1", "http://u:geheim@h\x7f:1", "http://u:geheim@h\xa0:1", "http://u:geheim@\udcff:1"),
    *("'http://u:geheim@h:1'", '"http://u:geheim@h:1"', "“http://u:geheim@h:1”"),
]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("value", WRONG, ids=ascii)
def test_a_proxy_that_cannot_be_used_is_refused_by_name_and_nothing_is_told_of_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        proxy_for(API, {name: value})
    said = f"{refused.value} {refused.value.next_step}"
    assert said.startswith(f"{name} ")
    assert not any(part in said for part in ("geheim", "wort", "127.0.0.1", "user%", "u:g", "zz", "aaa", "99999"))
    assert "NO_PROXY" in said


@pytest.mark.parametrize("value", WRONG[:4])
def test_whoever_did_not_encode_a_password_is_told_how(value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        proxy_for(API, {"HTTPS_PROXY": value})
    assert "percent-encode" in str(refused.value.next_step)
    assert "%2F" in str(refused.value.next_step)


RIGHT = [
    *(
        "http://h:3128",
        "https://h",
        "HTTP://h:1",
        "http://h:1/",
        "http://[::1]:3128",
        "http://10.0.0.1",
        "http://my_proxy:1",
    ),
    *(
        "http://u:p@h:1",
        "http://u@h:1",
        "http://:p@h:1",
        "http://u:p@ss@h:1",
        "http://u:100%@h:1",
        "http://bücher.example:1",
    ),
    "http://user:geheim%2Fwort@127.0.0.1:3128",
]


@pytest.mark.parametrize("value", RIGHT)
def test_any_other_proxy_is_used_as_it_is(value: str) -> None:
    assert proxy_for(API, {"HTTPS_PROXY": value}) == value
    proxy_url(value)


@pytest.mark.parametrize("password", ["geheim/wort", "p@ss:w#rd?", "50%", "äöü", "€", "%E4"])
def test_an_encoded_password_is_sent_byte_by_byte_and_known_as_a_secret(password: str) -> None:
    proxy = f"http://me:{quote(password, safe='')}@h:1"
    url = proxy_url(proxy)
    assert url.password is not None
    assert url.password.encode("latin-1") == password.encode()
    assert password in credentials(proxy)


@pytest.mark.parametrize("proxy", [None, "http://h:1", "http://user@h:1", "http://user:@h:1"])
def test_without_a_password_a_proxy_has_no_secret(proxy: str | None) -> None:
    assert credentials(proxy) == []


LOWER, UPPER = "http://lower:1", "http://upper:1"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({"https_proxy": LOWER, "HTTPS_PROXY": UPPER}, LOWER),
        ({"https_proxy": "", "HTTPS_PROXY": UPPER}, None),
        ({"https_proxy": LOWER, "HTTPS_PROXY": ""}, LOWER),
        ({"https_proxy": LOWER, "HTTPS_PROXY": "geheim"}, LOWER),
        ({"HTTPS_PROXY": UPPER}, UPPER),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": UPPER, "no_proxy": "api.replicate.com", "NO_PROXY": "x"}, None),
        ({"HTTPS_PROXY": UPPER, "no_proxy": "x", "NO_PROXY": "api.replicate.com"}, UPPER),
        ({"HTTPS_PROXY": UPPER, "no_proxy": "", "NO_PROXY": "*"}, UPPER),
        ({"HTTPS_PROXY": "geheim", "NO_PROXY": "*"}, None),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_lower_case_variable_wins_in_whatever_order_they_were_set(
    environ: dict[str, str], proxy: str | None, order: int
) -> None:
    assert proxy_for(API, dict(list(environ.items())[::order])) == proxy


COMMANDS = [
    ("run",),
    ("user", "1"),
    ("init", "--print"),
    ("run", "--resume", "run.sqlite"),
    ("sync", "run.sqlite", "--apply", "--yes"),
]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_every_command_that_asks_replicate_ends_in_2_and_names_the_variable(
    name: str, shell: Shell, synthetic_servers: Servers
) -> None:
    shell.environ = synthetic_servers.environ | {
        "REPLICATE_BASE_URL": "https://nowhere.invalid",
        "SYNC_AUDIT_RETRIES": "0",
    }
    assert shell("run", "--limit", "3", "--run-file", "run.sqlite").code == INCOMPLETE
    shell.environ |= {name: "http://user:geheim/wort@127.0.0.1:3128"}
    for command in COMMANDS:
        done = shell(*command)
        assert done.code == 2, (command, done.err)
        assert f"{name} is no URL of a proxy" in done.err, command
        assert "geheim" not in done.err + done.out
    done = shell("doctor", "-v")
    assert f"{name} is no URL of a proxy" in done.out + done.err
    assert "6 skipped" in done.out
    assert "geheim" not in done.err + done.out
    assert done.code == COULD_NOT_RUN, "to a doctor a wrong setting is a check that fails"


ODD_HOSTS = [
    "a\\b",
    "a,b",
    "a<b",
    "a..b",
    "%41",
    "*",
    "[zz]",
    "[::1",
    "]",
    "a" * 300,
    "xn--\u0378",
    "a|b",
    "(token)",
    "a;b",
    ".",
]


@pytest.mark.parametrize("path", ["", "/v1", ":443/v1"])
@pytest.mark.parametrize("host", ODD_HOSTS, ids=lambda host: ascii(host)[:20])
def test_a_base_url_of_a_host_that_cannot_be_asked_for_is_refused(host: str, path: str) -> None:
    with pytest.raises(SettingsError, match="is no URL"):
        checked_base_url(f"https://{host}{path}")


@pytest.mark.parametrize(
    "host", ["api.replicate.com", "my_host", "xn--bcher-kva.example", "[2001:db8::1]", "10.0.0.1:8443"]
)
def test_any_other_https_url_is_a_base_url(host: str) -> None:
    assert checked_base_url(f"https://{host}/") == f"https://{host}/v1"

"""URLs are read strictly, and addresses are judged before anything is connected to."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from servicekit.fetching.allowed_hosts import parse_allowed
from servicekit.fetching.settings import FetchSettings, read_fetch
from servicekit.fetching.urls import UrlError, parse_url

TAKEN = {
    "https://git.example.org/app.git": ("git.example.org", 443, "/app.git"),
    "https://GIT.Example.ORG:8443/a/b-c_d.e~f+g@h/": ("git.example.org", 8443, "/a/b-c_d.e~f+g@h"),
    "https://xn--bcher-kva.example/a": ("xn--bcher-kva.example", 443, "/a"),
    "https://192.0.2.1/a": ("192.0.2.1", 443, "/a"),
    "https://[2001:DB8::1]:1/a": ("2001:db8::1", 1, "/a"),
    "https://localhost/a": ("localhost", 443, "/a"),
}


@pytest.mark.parametrize("text", TAKEN)
def test_a_url_has_a_host_a_port_and_a_path(text: str) -> None:
    url = parse_url(text)

    assert (url.place.host, url.port, url.path) == TAKEN[text]
    assert parse_url(str(url)) == url


REFUSED = {
    "must begin with https://": ["http://h/a", "HTTPS://h/a", "ssh://h/a", "h/a", " https://h/a", "ext::sh -c id"],
    "a user or a password": ["https://anna@h/a", "https://anna:pw@h/a", "https://h\\@e/a", "https://@h/a"],
    "a path of": [
        *("https://h", "https://h/", "https://h//a", "https://h/a/../b", "https://h/.", "https://h/%2e%2e/a"),
        *("https://h/a?b", "https://h/a#b", "https://h/a b", "https://h/ä", "https://h/a\n", "https://h/a\\b"),
    ],
    "an IPv4 address as four": [
        *(
            "https://2130706433/a",
            "https://127.1/a",
            "https://0x7f.0.0.1/a",
            "https://0177.0.0.1/a",
            "https://1.2.3.256/a",
        ),
        *("https://0x7f000001/a", "https://127.0.0.01/a", "https://1.2.3.4.5/a", "https://evil.1/a"),
    ],
    "an IPv6 address in its shortest": [
        *("https://[::1%25eth0]/a", "https://[0:0:0:0:0:0:0:1]/a", "https://[1.2.3.4]/a", "https://[]/a"),
    ],
    "in ASCII": ["https://bücher.example/a", "https://example。org/a", "https://\uff47it.example/a"],
    "letters, digits, hyphens and single dots": [
        *("https://git.example.org./a", "https://a..b/a", "https://-a/a", "https://a-/a", "https:///a", "https://.a/a"),
        *("https://a%2eb/a", "https://a b/a", f"https://{'a' * 64}.b/a", f"https://{'a.' * 127}b/a", "https://a\0/a"),
    ],
    "a port from 1 to 65535": ["https://h:0/a", "https://h:65536/a", "https://h:/a", "https://h:08/a", "https://h:٣/a"],
    "must name a host as": ["https://::1/a", "https://[::1]x/a"],
    "has more than 2000": ["https://h/" + "a" * 2000],
}


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in REFUSED.items() for text in texts])
def test_a_url_that_could_be_read_in_two_ways_is_refused(why: str, text: str) -> None:
    with pytest.raises(UrlError, match=why):
        parse_url(text)


HOSTS = parse_allowed(["git.lan", "GIT.example.org:8443", "10.0.0.7", "[fd00::7]:443", "fd00::8"])


def test_a_host_is_allowed_by_its_exact_name_at_its_port_or_at_every_port() -> None:
    taken = ["https://git.lan/a", "https://git.lan:9/a", "https://git.example.org:8443/a", "https://10.0.0.7:1/a"]
    refused = ["https://git.example.org/a", "https://a.git.lan/a", "https://lan/a", "https://10.0.0.8/a"]

    assert all(HOSTS.allows(parse_url(text)) for text in taken)
    assert not any(HOSTS.allows(parse_url(text)) for text in refused)
    assert not parse_allowed([]).allows(parse_url("https://git.lan/a"))


ADDRESSES = {
    "": ["93.184.215.14", "2606:2800:220:1::1", "10.0.0.7", "fd00::7", "fd00::8"],
    "this machine itself": ["127.0.0.1", "127.8.8.8", "::1"],
    "a link-local address": ["169.254.169.254", "fe80::1"],
    "a multicast address": ["224.0.0.1", "ff02::1"],
    "no address of a machine": ["0.0.0.0", "::"],
    "a private address": ["10.0.0.8", "172.16.0.1", "192.168.1.1", "fd00::1", "192.0.2.1", "198.18.0.1", "240.0.0.1"],
    "not an address of the public internet": ["100.64.0.1"],
    "stands for an IPv4 address": ["::ffff:10.0.0.7", "64:ff9b::a00:7", "2002:a00:7::1", "2001:0:1::1", "::10.0.0.7"],
    "a reserved address": ["192.88.99.1"],
}


@pytest.mark.parametrize(("why", "address"), [(why, one) for why, each in ADDRESSES.items() for one in each])
def test_an_address_is_public_or_named_by_the_operator(why: str, address: str) -> None:
    told = HOSTS.why_refused(address, 443)

    assert why in told if why else not told


@pytest.mark.parametrize(
    "text", ["*.example.org", "https://git.lan", "10.0.0.0/8", "git.lan.", "127.1", "a@b", "", "::1%1"]
)
def test_a_host_that_an_operator_allows_is_one_exact_host(text: str) -> None:
    problems = list[str]()
    read_fetch({}, [text], {}, problems)

    assert len(problems) == 1
    assert problems[0].startswith(f"fetch.hosts (--allow-fetch): '{text}': ")


def test_settings_are_read_and_flags_win_over_the_file(tmp_path: Path) -> None:
    (ca := tmp_path / "ca.pem").write_text("")
    table = {
        "hosts": ["a.example"],
        "max_bytes": "2MiB",
        "max_seconds": 9,
        "at_once": 2,
        "ca": str(ca),
        "tokens": {"A.example": "env:A", "b.example": "env:B"},
    }
    problems = list[str]()
    read = read_fetch(table, ["b.example"], {"A": "abc\n", "B": "anna:pw"}, problems)

    assert not problems
    assert str(read.hosts) == "b.example"
    assert (read.max_bytes, read.max_seconds, read.at_once, read.ca) == (2 * 1024**2, 9, 2, ca)
    assert read.tokens == {
        "a.example": f"Basic {b64encode(b'x-access-token:abc').decode()}",
        "b.example": f"Basic {b64encode(b'anna:pw').decode()}",
    }
    assert "Basic" not in repr(read)
    assert read_fetch({}, (), {}, problems) == FetchSettings()


WRONG: dict[str, dict[str, Any]] = {
    "fetch.hosts must be a list of hosts, not 'a'": {"hosts": "a"},
    "fetch.max_bytes must be a whole number with a unit": {"max_bytes": 5},
    "at most 4GiB, not '5GiB'": {"max_bytes": "5GiB"},
    "fetch.max_seconds must be a whole number from 1 to 3600, not 0": {"max_seconds": 0},
    "fetch.at_once must be a whole number from 1 to 16, not True": {"at_once": True},
    "fetch.ca must be a file of certificates, not '/nowhere'": {"ca": "/nowhere"},
    "fetch.tokens: 'a' must have": {"tokens": {"a": "secret"}},
    "fetch.tokens: the variable A for 'a' is not set": {"tokens": {"a": "env:A"}},
    "there is no setting 'fetch.host': did you mean 'hosts'?": {"host": []},
}


@pytest.mark.parametrize("told", WRONG)
def test_a_wrong_setting_is_named_with_its_value(told: str) -> None:
    problems = list[str]()
    read_fetch(WRONG[told], (), {}, problems)

    assert len(problems) == 1
    assert told in problems[0]
    assert "secret" not in problems[0]

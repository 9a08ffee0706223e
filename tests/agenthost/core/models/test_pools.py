"""The name and the slots of a model's pool. Keeps C7 and C12."""

import pytest

from agenthost.core.models.endpoint import EndpointError, parse_endpoint
from agenthost.core.models.pools import ModelPool, must_be_resolved, pool_of
from agenthost.core.models.rate_limits import wait_before_next

OWN = "http://127.0.0.1:8080 on alpha"


@pytest.mark.parametrize(
    ("url", "address", "pool"),
    [
        ("http://127.0.0.1:8080/v1", "", ModelPool(OWN, 1, is_local=True)),
        ("http://localhost:8080", "", ModelPool(OWN, 1, is_local=True)),
        ("http://[::1]:8080", "", ModelPool(OWN, 1, is_local=True)),
        ("http://mine.lan:8080", "127.0.1.1", ModelPool(OWN, 1, is_local=True)),
        ("http://10.0.0.7:8080", "", ModelPool("http://10.0.0.7:8080", 1, is_local=True)),
        ("http://gpu.lan:8080/v1", "10.0.0.7", ModelPool("http://10.0.0.7:8080", 1, is_local=True)),
        ("http://gpu.lan:8080", "fd00::7", ModelPool("http://[fd00::7]:8080", 1, is_local=True)),
        ("https://api.example.com/v1", "8.8.8.8", ModelPool("https://api.example.com:443", 8)),
        ("https://api.example.com", "", ModelPool("https://api.example.com:443", 8)),
        ("http://8.8.8.8", "", ModelPool("http://8.8.8.8:80", 8)),
    ],
)
def test_a_pool_is_named_by_scheme_address_and_port_and_a_loopback_one_by_its_host(
    url: str, address: str, pool: ModelPool
) -> None:
    assert pool_of(parse_endpoint("x", {"url": url}), 0, "alpha", address) == pool


@pytest.mark.parametrize(
    ("table", "told", "slots"),
    [
        ({}, 0, 1),
        ({}, 4, 4),
        ({"slots": 2}, 4, 2),
        ({"max_concurrent": 3}, 4, 3),
        ({"slots": 2, "max_concurrent": 3}, 0, 2),
    ],
)
def test_slots_are_configured_or_told_by_the_server_or_usual(table: dict[str, int], told: int, slots: int) -> None:
    endpoint = parse_endpoint("x", {"url": "http://127.0.0.1:8080", "pool": "gpu0", **table})

    assert pool_of(endpoint, told, "alpha") == ModelPool("gpu0", slots, is_local=True)


def test_only_names_that_a_network_must_read_are_looked_up() -> None:
    asked = {
        url: must_be_resolved(parse_endpoint("x", {"url": url, **more}))
        for url, more in (
            ("http://gpu.lan", {}),
            ("http://gpu.lan:1", {"pool": "gpu0"}),
            ("http://10.0.0.7", {}),
            ("http://localhost", {}),
        )
    }

    assert [url for url, is_asked in asked.items() if is_asked] == ["http://gpu.lan"]


@pytest.mark.parametrize("name", ["gpu 0", "http://x", "-gpu", "x" * 64, 7])
def test_a_pools_name_that_would_not_read_well_is_refused(name: object) -> None:
    with pytest.raises(EndpointError, match=r"models\.x\.pool"):
        parse_endpoint("x", {"url": "http://127.0.0.1", "pool": name})


@pytest.mark.parametrize(
    ("asked", "waits", "seconds"),
    [
        (2, 0, 2.0),
        (60, 2, 60.0),
        (61, 0, None),
        (2, 3, None),
        (0, 0, 0.0),
        (None, 0, 1.0),
        (None, 2, 4.0),
        (None, 3, None),
    ],
)
def test_a_request_waits_a_minute_at_most_and_three_times(asked: int | None, waits: int, seconds: float | None) -> None:
    """C10."""
    assert wait_before_next(asked, waits) == seconds

"""Added hosts, drains and the requests for them in every store. Keeps C9."""

import pytest

from conductor.core.model.commands import Decision
from conductor.core.model.registry import Drain, HostChange, HostEntry
from conductor.store.port import RepeatedEventError, Store
from conductor.store.records import StoredRequest
from tests.conductor.store.contract.places import Place

ALPHA = HostEntry("alpha", "127.0.0.1:7420", drain=Drain("token:ci", 12.5))
BETA = HostEntry("beta", "unix:/run/b.sock")


def change(entry: HostEntry, request: str = "") -> Decision:
    return Decision(hosts=(HostChange(entry.name, entry, request, "digest"),), durable=True)


async def test_hosts_are_kept_changed_and_forgotten(store: Store) -> None:
    assert await store.hosts() == []

    await store.append(change(BETA), 1.0)
    await store.append(change(ALPHA), 2.0)
    assert await store.hosts() == [ALPHA, BETA]

    await store.append(change(HostEntry("alpha", "")), 3.0)
    await store.append(Decision(hosts=(HostChange("beta", None),), durable=True), 4.0)
    assert await store.hosts() == [HostEntry("alpha", "")]


async def test_a_request_for_a_host_is_known_afterwards_and_is_stored_once(store: Store) -> None:
    await store.append(change(ALPHA, "id"), 1.0)

    assert await store.requests(["id", "other"]) == {"id": StoredRequest("digest", "")}
    with pytest.raises(RepeatedEventError):
        await store.append(change(BETA, "id"), 2.0)
    assert await store.hosts() == [ALPHA]


async def test_a_kill_loses_no_host(place: Place) -> None:
    async with place.open() as store:
        await store.append(change(ALPHA, "id"), 1.0)
        place.kill()
    async with place.open() as store:
        assert await store.hosts() == [ALPHA]

"""The server of the metrics' page: one answer a connection, and an end to every wait. Keeps K11."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric

from servicekit.addresses import Address, AddressInUseError
from servicekit.metrics import exposition
from servicekit.metrics.exposition import MAX_CONNECTIONS, MAX_HEAD_BYTES, MAX_READERS, Exposition
from servicekit.metrics.names import OTHER, BoundedNames
from servicekit.metrics.page import Page, make_registry
from tests.kit.metrics import fetch, scrape
from tests.kit.waiting import side_by_side


async def read() -> bytes:
    return b"page\n"


@asynccontextmanager
async def serving(address: str) -> AsyncIterator[Exposition]:
    served = Exposition(Address.parse(address), read, "text/plain")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(served.run())
        await served.serves.wait()
        yield served
        task.cancel()


def ask(method: str = "GET", target: str = "/metrics") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (ask(), b"200", b"page\n"),
        (ask(target="/metrics?name=x"), b"200", b"page\n"),
        (ask("HEAD"), b"200", b""),
        (ask("POST"), b"405", b"only GET and HEAD are served\n"),
        (ask(target="/"), b"404", b"the metrics are at /metrics\n"),
        (b"nonsense\r\n\r\n", b"", b""),
        (b"GET /metrics HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES * 2, b"", b""),
    ],
)
async def test_it_answers_one_request_and_closes(request_: bytes, status: bytes, body: bytes, tmp_path: Path) -> None:
    async with serving(f"unix:{tmp_path}/m.sock"):
        head, told = await fetch(tmp_path / "m.sock", request_)

    assert head[9:12] == status
    assert told == body


async def test_a_reader_that_sends_no_head_is_cut_off_and_the_next_one_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposition, "HEAD_SECONDS", 0.1)
    async with serving(f"unix:{tmp_path}/m.sock"):
        silent, writer = await asyncio.open_unix_connection(tmp_path / "m.sock")
        assert await silent.read() == b""
        writer.close()
        head, _ = await fetch(tmp_path / "m.sock")

    assert head.startswith(b"HTTP/1.1 200")


async def test_only_so_many_readers_are_served_at_once(tmp_path: Path) -> None:
    is_made, path = asyncio.Event(), tmp_path / "m.sock"

    async def make() -> bytes:
        await is_made.wait()
        return b"page\n"

    served = Exposition(Address.parse(f"unix:{path}"), make, "text/plain")
    async with asyncio.TaskGroup() as tasks:
        serving_task = tasks.create_task(served.run())
        await served.serves.wait()
        waiting = [tasks.create_task(fetch(path)) for _ in range(MAX_READERS)]
        await asyncio.sleep(0.1)
        refused, _ = await fetch(path)
        is_made.set()
        heads = [(await task)[0] for task in waiting]
        serving_task.cancel()

    assert refused.startswith(b"HTTP/1.1 503")
    assert all(head.startswith(b"HTTP/1.1 200") for head in heads)


async def test_connections_that_ask_nothing_keep_no_reader_out(tmp_path: Path) -> None:
    async with serving(f"unix:{tmp_path}/m.sock"):
        opened = [await asyncio.open_unix_connection(tmp_path / "m.sock") for _ in range(MAX_CONNECTIONS + 8)]
        head, _ = await fetch(tmp_path / "m.sock")
        for _, writer in opened:
            writer.close()

    assert head.startswith(b"HTTP/1.1 200")


async def test_it_serves_on_loopback_and_a_second_server_there_is_refused() -> None:
    async with serving("127.0.0.1:0") as served:
        host, _, port = served.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(ask())
        assert (await reader.read()).endswith(b"page\n")
        writer.close()
        with pytest.raises(AddressInUseError, match="listens on"):
            await Exposition(Address.parse(served.address), read, "text/plain").run()


async def test_many_scrapes_at_once_cost_one_page(tmp_path: Path) -> None:
    gathered: list[int] = []

    def gather() -> Iterable[Metric]:
        gathered.append(1)
        yield GaugeMetricFamily("x", "x", value=len(gathered))

    page = Page(make_registry(), gather)
    served = Exposition(Address.parse(f"unix:{tmp_path}/m.sock"), page.read, "text/plain")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(served.run())
        await served.serves.wait()
        pages = await side_by_side(scrape(tmp_path / "m.sock") for _ in range(5))
        task.cancel()

    assert {one.value("x") for one in pages} == {1.0}
    assert len(gathered) == 1


def test_names_from_outside_are_bounded() -> None:
    names = BoundedNames(2)

    assert [names.label(name) for name in ("a", "b" * 500, "c", "a")] == ["a", "b" * 100, OTHER, "a"]
    assert BoundedNames().label("\ud800") == "?"

"""The page of metrics beyond this machine: TLS, and readers that the pool knows. Keeps K11 and K3."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servicekit.addresses import Address
from servicekit.metrics.exposition import Exposition
from servicekit.tls.files import TlsFiles, TlsFolder, write_whole
from servicekit.tls.readers import ReaderDoor
from servicekit.tls.revocations import Revoked
from tests.kit.tls_servers import ALPHA, ANN, EARLY, ENDED, SERVING, Pool

ASK = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"


async def read() -> bytes:
    return b"page\n"


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


@asynccontextmanager
async def serving(pool: Pool) -> AsyncIterator[int]:
    door = ReaderDoor(pool.files("serving", SERVING), pool.folder)
    served = Exposition(Address.parse("127.0.0.1:0"), read, "text/plain", door)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(served.run())
        await served.serves.wait()
        yield int(served.address.rpartition(":")[2])
        task.cancel()


def client(pool: Pool, files: TlsFiles | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pool.ca.certificate_pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])  # as Prometheus does
    if files:
        context.load_cert_chain(files.certificate, files.key)
    return context


async def ask(port: int, context: ssl.SSLContext | None) -> bytes:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        try:
            writer.write(ASK)
            return await reader.read()
        finally:
            writer.close()


async def test_a_client_of_the_pool_reads_the_page(pool: Pool) -> None:
    async with serving(pool) as port:
        answer = await ask(port, client(pool, pool.files("ann", ANN)))

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"page\n")


async def test_a_reader_without_a_certificate_is_told_what_it_needs(pool: Pool) -> None:
    async with serving(pool) as port:
        answer = await ask(port, client(pool, None))

    assert answer.startswith(b"HTTP/1.1 401")
    assert b"client certificate of the pool" in answer
    assert b"page" not in answer.partition(b"\r\n\r\n")[2].replace(b"this page", b"")


@pytest.mark.parametrize(("after", "words"), [(ENDED, b"ended at"), (EARLY, b"begins at")])
async def test_a_certificate_out_of_its_time_is_refused_with_both_clocks(
    after: object, words: bytes, pool: Pool
) -> None:
    async with serving(pool) as port:
        answer = await ask(port, client(pool, pool.files("ann", ANN, after=after)))  # type: ignore[arg-type]

    assert answer.startswith(b"HTTP/1.1 401")
    assert words in answer
    assert b"the clock here says" in answer


async def test_a_revoked_certificate_is_refused(pool: Pool) -> None:
    files = pool.files("ann", ANN)
    async with serving(pool) as port:
        context = client(pool, files)
        assert (await ask(port, context)).startswith(b"HTTP/1.1 200")
        now = datetime.now(UTC)
        listed = pool.ca.sign_list([Revoked(pool.serials["ann"], None, now)], 1, now)
        folder = TlsFolder.of(pool.folder)
        folder.prepare()
        write_whole(folder.revoked, listed)
        answer = await ask(port, context)

    assert answer.startswith(b"HTTP/1.1 401")
    assert b"was revoked" in answer


@pytest.mark.parametrize("who", ["host", "stranger", "plaintext"])
async def test_neither_hosts_nor_strangers_nor_plaintext_get_an_answer(who: str, pool: Pool) -> None:
    async with serving(pool) as port:
        contexts = {
            "host": lambda: client(pool, pool.files("alpha", ALPHA)),
            "stranger": lambda: client(pool, pool.files("eve", ANN, of=pool.other)),
            "plaintext": lambda: None,
        }
        try:
            answer = await ask(port, contexts[who]())
        except (OSError, ssl.SSLError):
            answer = b""
        assert not answer.startswith(b"HTTP/1.1 200")
        assert (await ask(port, client(pool, pool.files("ann", ANN)))).startswith(b"HTTP/1.1 200")

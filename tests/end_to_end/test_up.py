"""From nothing to an answer of one's own model in two commands. Keeps A11, D1 and K9."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conductor.cli.commands import up as up_command
from tests.agenthost.running_host import make_repository
from tests.fakes.chat import calls, models, words
from tests.fakes.model_server import ModelServer

pytestmark = pytest.mark.processes

say_model = up_command._say_model
CLI = (sys.executable, "-m", "conductor.cli")


class Up:
    """`conductor up` at work, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process, self.address = process, address
        self.said = ""

    async def until(self, text: str) -> None:
        assert self.process.stdout is not None
        while text not in self.said:
            line = await self.process.stdout.readline()
            assert line, self.said
            self.said += line.decode()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await self.process.wait()


@contextlib.asynccontextmanager
async def up(folder: Path, *options: str) -> AsyncIterator[Up]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *CLI, "up", "--listen", address, "--data", str(folder / "state"), *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Up(process, address)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def conductor(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *CLI, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "work")


@pytest.mark.timeout(120)
async def test_a_question_is_answered_by_the_model_of_the_one_who_asks(tmp_path: Path, repository: Path) -> None:
    answer = words("It greets,", " README.md:1.")
    async with ModelServer.serving() as model:
        listed = models({"id": "small", "max_model_len": 16_384})
        model.answers.extend((listed, listed, calls(("read_file", {"path": "README.md"})), answer))
        async with up(tmp_path, "--model", f"{model.url}/v1") as it:
            await it.until("stop:  Ctrl-C")
            code, out, err = await conductor(
                "--address", it.address, "run", "ask", str(repository), "--question", "What is it?"
            )
            ended = await it.stop()

    assert (code, ended) == (0, 0), err
    assert "✔ reader" in it.said
    assert f"✔ model  {model.url}/v1  small" in it.said
    assert "It greets, README.md:1." in out
    assert "The answer names 1 place; it exists." in out
    assert {json.loads(one.body)["model"] for one in model.asked if one.body} == {"small"}


@pytest.mark.timeout(120)
async def test_without_an_endpoint_it_says_what_to_type_and_a_dead_one_is_told(tmp_path: Path) -> None:
    async with up(tmp_path) as it:
        await it.until("stop:  Ctrl-C")
        assert "conductor up --model http://127.0.0.1:11434/v1" in it.said
        assert await it.stop() == 0
    async with up(tmp_path, "--model", "http://127.0.0.1:1/v1") as it:
        await it.until("stop:  Ctrl-C")
        assert "does not answer: " in it.said


async def test_what_keeps_a_service_from_starting_is_shown_and_ends_the_command(tmp_path: Path) -> None:
    async with up(tmp_path, "--model", "ftp://nowhere") as it:
        await it.until("http://HOST[:PORT]")
        assert await it.process.wait() == 1
    assert not os.path.exists(tmp_path / "state" / "agenthost.sock")  # noqa: PTH110


HOSTILE_LISTINGS = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b'HTTP/1.1 200 OK\r\n\r\n{"data":[{"id":"a\\ud800\\u001b[2J\\nb"}]}',
)


@pytest.mark.parametrize("listing", HOSTILE_LISTINGS, ids=["other protocol", "deep", "headers", "names"])
async def test_no_listing_of_an_endpoint_ends_the_command_or_acts_on_the_terminal(
    listing: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(listing)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await asyncio.to_thread(say_model, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    said = "".join(capsys.readouterr())
    assert said.count("\n") == 1
    assert "it lists no models" in said or "a? b" in said


async def test_a_listing_that_drips_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    ended = asyncio.Event()
    monkeypatch.setattr(up_command, "LOOK_SECONDS", 0.5)
    async with asyncio.timeout(10), await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        await asyncio.to_thread(say_model, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await ended.wait()

    assert "it lists no models (TimeoutError)" in capsys.readouterr().err


@pytest.mark.timeout(120)
async def test_a_second_one_over_the_same_data_is_refused_and_leaves_the_firsts_logs(tmp_path: Path) -> None:
    async with up(tmp_path) as first:
        await first.until("stop:  Ctrl-C")
        log = (tmp_path / "state" / "conductor-up" / "agenthost.log").read_text()
        async with up(tmp_path) as second:
            await second.until("another 'conductor up' uses")
            assert await second.process.wait() == 1

        assert (tmp_path / "state" / "conductor-up" / "agenthost.log").read_text() == log

"""A gateway with a model behind it and agents before it, all real but the model. For tests."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.attempt.process import AttemptProcess
from agenthost.core.models.endpoint import Api
from agenthost.core.models.gateway_rules import variables_for
from agenthost.models.link import ModelGateway
from agenthost.models.settings import read_models
from tests.fakes.model_server import ModelServer
from tests.kit.attempts import Done, Workbench, finish, records, until_longer
from tests.kit.processes import processes_with

PYTHON = str(Path(sys.executable).resolve())
KEY = "sk-real-key-of-the-test"
# Asks as it is told on stdin, one JSON array a line, and tells every piece of an answer as it comes.
AGENT = """
import http.client, json, sys
for line in sys.stdin:
    method, path, headers, body = json.loads(line)
    link = http.client.HTTPConnection("127.0.0.1", 8787, timeout=60)
    try:
        link.request(method, path, body=body.encode() or None, headers=headers)
        answer = link.getresponse()
        print("status", answer.status, answer.getheader("x-gateway-error"), flush=True)
        while piece := answer.read1(65536):
            print(piece.decode(), flush=True)
        print("end", flush=True)
    except (OSError, http.client.HTTPException) as error:
        print("failed", type(error).__name__, flush=True)
"""


class Stage:
    """A workbench, a model, and a gateway between them."""

    def __init__(self, bench: Workbench, model: ModelServer, gateway: ModelGateway) -> None:
        self.bench, self.model, self.gateway = bench, model, gateway
        self.asked = 0

    @contextlib.asynccontextmanager
    async def agent(self, model: str = "main") -> AsyncIterator["Asker"]:
        environment = variables_for(Api.OPENAI)
        launch: dict[str, Any] = {"model": model, "keeps_stdin": True, "environment": environment}
        async with await self.bench.spawn(PYTHON, "-I", "-S", "-c", AGENT, **launch) as attempt:
            asker = Asker(attempt, attempt._folder)
            self.gateway.attend(asker.name, asker.folder, model)
            try:
                yield asker
            finally:
                await attempt.cancel("enough")
                await finish(attempt)
                await self.gateway.leave(asker.name)


class Asker:
    """An agent that asks what it is told to ask."""

    def __init__(self, attempt: AttemptProcess, folder: Path) -> None:
        self.attempt, self.folder, self.name = attempt, folder, folder.name
        self.asked = 0

    async def ask(
        self, path: str = "/v1/chat/completions", method: str = "POST", body: str = "{}", **headers: str
    ) -> str:
        """Asks, and returns all that is answered."""
        before = len(self.said())
        await self.begin(path, method, body, **headers)
        while True:
            seen = self.attempt.spool_size()  # before it is read: what is said in between must not be waited for
            said = self.said()[before:]
            if said.endswith("end\n") or "failed" in said:
                return said
            await until_longer(self.attempt, seen)

    async def begin(
        self, path: str = "/v1/chat/completions", method: str = "POST", body: str = "{}", **headers: str
    ) -> None:
        self.asked += 1
        assert await self.attempt.give_input(self.asked, json.dumps([method, path, headers, body]) + "\n")

    def said(self) -> str:
        return Done(None, records(self.attempt)).stdout  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def opened(
    folder: Path, model: ModelServer, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    table = {"url": model.url, "key_env": "KEY_OF_THE_TEST"} | settings
    models = read_models({"main": table, "dead": {"url": "http://127.0.0.1:9"}})
    async with ModelGateway(folder, models) as gateway:
        await gateway.ready()
        yield Stage(await Workbench.make(folder), model, gateway)
        await gateway.end()
    await gone(folder)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Makes a certificate for `localhost` that nobody but itself signed; returns its file and its key's."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def gateways(folder: Path) -> list[int]:
    """The gateways of a folder: those that hold its lock."""
    found = []
    for pid in processes_with("agenthost.models.gateway"):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/fd/3").readlink() == folder / "gateway.lock":
                found.append(pid)
    return found


async def gone(folder: Path) -> None:
    while gateways(folder):
        await asyncio.sleep(0.01)

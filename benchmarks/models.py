"""Measures what a model's door and the gateway cost: per attempt, and per request.

Attempts with and without a door take turns; requests from inside stand beside the same requests straight to the model.
"""

import asyncio
import http.client
import json
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agenthost.attempt.launch import Launch
from agenthost.attempt.process import AttemptProcess
from agenthost.core.output.spool import RecordKind, SpoolReader
from agenthost.models.link import ModelGateway
from agenthost.models.settings import read_models
from agenthost.sandbox.find import Sandbox, find_sandbox, python_runtime
from benchmarks.measuring import Report, Sample, alternate
from benchmarks.services import proportional_kib, why_no_sandbox
from tests.kit.attempts import until_longer

PYTHON = str(Path(sys.executable).resolve())
ANSWER = json.dumps({"usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
# Both ways are timed by the same code: inside the sandbox through the door, and outside straight to the model.
ASKER = """
import http.client, json, sys, time
port, rounds, fresh = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "fresh"
taken, link = [], http.client.HTTPConnection("127.0.0.1", port)
for _ in range(rounds):
    begun = time.perf_counter()
    if fresh:
        link.close()
    link.request("POST", "/v1/chat/completions", body=b"{}")
    link.getresponse().read()
    taken.append(time.perf_counter() - begun)
print(json.dumps(taken))
"""


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


async def spawn(folder: Path, sandbox: Sandbox, name: str, model: str) -> float:
    place = folder / name
    place.mkdir()
    begun = time.perf_counter()
    launch = Launch(execution=name, argv=("echo", "hello"), tree=folder / "tree", model=model)
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        await until_longer(process, 0)
        taken = time.perf_counter() - begun
        await process.ended()
    return taken


async def ask_from_inside(folder: Path, sandbox: Sandbox, gateway: ModelGateway, rounds: int, how: str) -> list[float]:
    place = folder / f"asker-{how}"
    place.mkdir()
    argv = (PYTHON, "-I", "-S", "-c", ASKER, "8787", str(rounds), how)
    launch = Launch(execution=place.name, argv=argv, tree=folder / "tree", own_paths=python_runtime(), model="main")
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        gateway.attend(place.name, place, "main")
        await process.ended()
        pieces = SpoolReader().feed(process.read_spool(0, process.spool_size()))
        said = b"".join(piece.data for piece in pieces if piece.kind == RecordKind.STDOUT)
    await gateway.leave(place.name)
    taken: list[float] = json.loads(said)
    return taken


def ask_straight(port: int, rounds: int, *, fresh: bool) -> list[float]:
    link, taken = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(rounds):
        begun = time.perf_counter()
        if fresh:
            link.close()
        link.request("POST", "/v1/chat/completions", body=b"{}")
        link.getresponse().read()
        taken.append(time.perf_counter() - begun)
    return taken


def holds_lock(entry: Path, lock: Path) -> bool:
    try:
        return (entry / "fd/3").readlink() == lock
    except OSError:
        return False


def memory_of(folder: Path) -> float:
    gateway = next(entry for entry in Path("/proc").glob("[0-9]*") if holds_lock(entry, folder / "gateway.lock"))
    return proportional_kib(int(gateway.name)) / 1000


async def measure(report: Report) -> None:
    if why := await why_no_sandbox():
        report.remark(f"Not measured: this machine allows no sandbox. {why}")
        return
    rounds = 2 if report.is_short else 50
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tree").mkdir(mode=0o755)
        sandbox = await find_sandbox(folder)
        await _measure_spawns(report, folder, sandbox, rounds)
        async with ModelGateway(folder, read_models({"main": {"url": f"http://127.0.0.1:{port}"}})) as gateway:
            await gateway.ready()
            for how, told in (("fresh", "new connection"), ("kept", "same connection")):
                inside = await ask_from_inside(folder, sandbox, gateway, rounds * 4, how)
                straight = await asyncio.to_thread(ask_straight, port, rounds * 4, fresh=how == "fresh")
                report.add(f"a request straight to the model, {told}", "ms", [1000 * one for one in straight])
                report.add(f"a request from inside, {told}", "ms", [1000 * one for one in inside])
            report.add("the gateway's memory, proportional", "MB", [memory_of(folder)])
            await gateway.end()
    server.shutdown()
    server.server_close()


async def _measure_spawns(report: Report, folder: Path, sandbox: Sandbox, rounds: int) -> None:
    numbers = iter(range(2 * rounds))

    async def one(model: str) -> Sample:
        return {"ms": 1000 * await spawn(folder, sandbox, f"spawn{next(numbers)}", model)}

    found = await alternate(rounds, {"without network": lambda: one(""), "with a model": lambda: one("main")})
    for who, samples in found.items():
        report.add(f"an attempt {who}, to its first output", "ms", samples["ms"])

"""What a model's door and the gateway cost: per attempt, and per request.

Run as `./dev bench models [ROUNDS]`. Prints a table; only what stands side by side in one run compares.
"""

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agenthost.attempt_process import AttemptProcess, Launch
from agenthost.core.spool import RecordKind, SpoolReader
from agenthost.model_gateway import ModelGateway
from agenthost.model_settings import read_models
from agenthost.sandbox import Sandbox, find_sandbox, python_runtime

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
        """Nothing is logged."""


async def spawn(folder: Path, sandbox: Sandbox, name: str, model: str) -> float:
    place = folder / name
    place.mkdir()
    begun = time.perf_counter()
    launch = Launch(execution=name, argv=("echo", "hello"), tree=folder / "tree", model=model)
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        await process.changed(0)
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


def show(name: str, seconds: list[float]) -> None:
    milliseconds = sorted(1000 * one for one in seconds)
    worst = milliseconds[int(len(milliseconds) * 0.95)]
    print(f"{name:52} {statistics.median(milliseconds):7.2f} {worst:7.2f} {milliseconds[0]:7.2f}")


def holds_lock(entry: Path, lock: Path) -> bool:
    try:
        return (entry / "fd/3").readlink() == lock
    except OSError:
        return False


def memory_of(folder: Path) -> str:
    gateway = next(entry for entry in Path("/proc").glob("[0-9]*") if holds_lock(entry, folder / "gateway.lock"))
    lines = (gateway / "smaps_rollup").read_text().splitlines()[1:]
    facts = {line.split(":")[0]: line.split()[1] for line in lines}
    return f"the gateway's memory, KiB: resident {facts['Rss']}, proportional {facts['Pss']}"


async def main(rounds: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tree").mkdir(mode=0o755)
        sandbox = await find_sandbox(folder)
        spawns: dict[str, list[float]] = {"": [], "main": []}
        for number in range(rounds):
            for model, taken in spawns.items():
                taken.append(await spawn(folder, sandbox, f"spawn{number}{model}", model))
        async with ModelGateway(folder, read_models({"main": {"url": f"http://127.0.0.1:{port}"}})) as gateway:
            await gateway.ready()
            inside = {
                how: await ask_from_inside(folder, sandbox, gateway, rounds * 4, how) for how in ("fresh", "kept")
            }
            memory = memory_of(folder)
            await gateway.end()
        straight = {
            fresh: await asyncio.to_thread(ask_straight, port, rounds * 4, fresh=fresh) for fresh in (True, False)
        }
        print(f"{'ms':52} {'median':>7} {'p95':>7} {'least':>7}   ({rounds} spawns, {rounds * 4} requests)")
        show("an attempt without network, to its first output", spawns[""])
        show("an attempt with a model, to its first output", spawns["main"])
        show("a request straight to the model, new connection", straight[True])
        show("a request from inside, new connection", inside["fresh"])
        show("a request straight to the model, same connection", straight[False])
        show("a request from inside, same connection", inside["kept"])
        print(memory)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))

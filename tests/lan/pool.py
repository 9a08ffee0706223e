"""A conductor, three hosts and a laptop, each a machine on one network, with certificates of the pool's own CA."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import agenthost.cli
from tests.kit.tls_pair import client_bundle, typed
from tests.kit.waiting import wait_until
from tests.lan.network import Network

CONDUCTOR, LAPTOP = "conductor", "laptop"
ADDRESSES = {
    CONDUCTOR: "10.77.0.1",
    "alpha": "10.77.0.11",
    "beta": "10.77.0.12",
    "gamma": "10.77.0.13",
    LAPTOP: "10.77.0.50",
}
HOSTS = ("alpha", "beta", "gamma")
PORT, HOST_PORT = 7410, 7411
SLOTS = 4
ANSWER_SECONDS = 90.0
STOP_SECONDS = 30.0


@dataclass(slots=True)
class Pool:
    """The machines at work. People call from the laptop, with the bundle of an admin."""

    folder: Path
    network: Network
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def make_certificates(self) -> None:
        """Makes the pool's CA, carries a bundle to each host, and one to the laptop."""
        data = str(self.folder / CONDUCTOR)
        typed(["certs", "init", "--data", data, "--address", f"{ADDRESSES[CONDUCTOR]}:{PORT}"])
        for host in HOSTS:
            out = str(self.folder / f"{host}.agenthost")
            address = f"{ADDRESSES[host]}:{HOST_PORT}"
            typed(["certs", "host", host, "--address", address, "--data", data, "--out", out])
            assert agenthost.cli.main(["join", out, "--data", str(self.folder / host)]) == 0
        client_bundle(self.folder, "admin", "admin")

    def start_host(self, name: str) -> None:
        """Starts a host on its machine, at the machine's address."""
        listen = ("--listen", f"0.0.0.0:{HOST_PORT}", "--name", name, "--slots", f"{SLOTS}")
        self._start(name, "agenthost.cli", "serve", "--data", str(self.folder / name), *listen)

    def start_conductor(self) -> None:
        """Starts the conductor, which knows the hosts by their first addresses."""
        hosts = (word for host in HOSTS[:2] for word in ("--host", f"{host}={ADDRESSES[host]}:{HOST_PORT}"))
        data = str(self.folder / CONDUCTOR)
        self._start(CONDUCTOR, "conductor.cli", "serve", "--data", data, "--listen", f"0.0.0.0:{PORT}", *hosts)

    def kill(self, name: str) -> None:
        """Kills a service outright."""
        self.processes[name].kill()
        self.processes[name].wait(STOP_SECONDS)

    def call(self, *arguments: str) -> str:
        """Runs a command of the conductor's on the laptop, which must succeed; returns what it prints."""
        done = subprocess.run(self._typed(arguments), **self._inside(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr, self.tail(CONDUCTOR))
        return done.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command on the laptop, and leaves it running."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self._typed(arguments), **self._inside(), stdout=pipe, stderr=pipe, text=True)

    def ask(self, *arguments: str) -> Any:
        """Returns the only JSON object that a command prints."""
        return json.loads(self.call("--output", "json", *arguments))

    def spawned(self, run: str) -> dict[str, list[str]]:
        """Returns the attempts of a run that each host has started, as its own log of them says."""
        found: dict[str, list[str]] = {}
        for host in HOSTS:
            log = self.folder / host / "spawns.jsonl"
            lines = log.read_text().splitlines() if log.exists() else []
            attempts = [str(json.loads(line)["execution"]) for line in lines]
            found[host] = [attempt for attempt in attempts if attempt.startswith(run.removeprefix("runs/"))]
        return found

    def tail(self, name: str) -> str:
        """Returns the end of a service's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """Asks every service to end, the conductor first."""
        for name in (CONDUCTOR, *HOSTS):
            if (process := self.processes.get(name)) is not None and process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(STOP_SECONDS)

    def _start(self, machine: str, *arguments: str) -> None:
        command = [*self.network.entrance(machine), sys.executable, "-m", *arguments]
        with (self.folder / f"{machine}.log").open("ab") as log:
            self.processes[machine] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self._environment(),
            )

    def _typed(self, arguments: tuple[str, ...]) -> list[str]:
        shared = ("--address", f"{ADDRESSES[CONDUCTOR]}:{PORT}", "--bundle", str(self.folder / "admin"))
        return [*self.network.entrance(LAPTOP), sys.executable, "-m", "conductor.cli", *shared, *arguments]

    def _inside(self) -> dict[str, Any]:
        return {"stdin": subprocess.DEVNULL, "cwd": self.folder, "env": self._environment()}

    def _environment(self) -> dict[str, str]:
        own = {f"XDG_{kind}_HOME": str(self.folder / "home" / kind.lower()) for kind in ("CONFIG", "CACHE", "STATE")}
        return {**os.environ, **own}


@contextmanager
def running_pool(folder: Path, seed: str) -> Iterator[Pool]:
    """Starts all of it, and yields when the hosts are ready. The third host is added while the conductor serves."""
    with ExitStack() as stack:
        pool = Pool(folder, stack.enter_context(Network(seed, ADDRESSES)))
        stack.callback(pool.stop)
        pool.make_certificates()
        for host in HOSTS:
            pool.start_host(host)
        pool.start_conductor()
        wait_until(lambda: "service_started" in pool.tail(CONDUCTOR))
        pool.call("hosts", "add", HOSTS[2], f"{ADDRESSES[HOSTS[2]]}:{HOST_PORT}")
        wait_until(lambda: states_of(pool) == dict.fromkeys(HOSTS, "STATE_READY"), ANSWER_SECONDS)
        yield pool


def states_of(pool: Pool) -> dict[str, str]:
    """Returns the state of each host, as the laptop is told it."""
    told = [json.loads(line) for line in pool.call("--output", "json", "hosts").splitlines()]
    return {host["name"].removeprefix("hosts/"): host["state"] for host in told}

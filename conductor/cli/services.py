"""A conductor and its hosts as child processes: for `conductor demo` and `conductor up`."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.v1 import pool_service_pb2

START_SECONDS = 60.0  # the proof of the sandbox included
LOOK_SECONDS = 2.0
MODEL_SECONDS = 8.0  # above what a host waits for its model's answer
MODEL_PAUSE_SECONDS = 0.2
PAUSE_SECONDS = 0.02
# Above what either service takes to stop: 10 s for the conductor's calls, 5 s and 5 s for a host's agents and calls.
STOP_SECONDS = 15.0
LOG_LINES = 15


@contextmanager
def services_in(folder: Path) -> Iterator["Services"]:
    """Yields no services yet, with logs in `folder`; stops them at the end, in order. A second Ctrl-C does not hasten that."""
    reading, writing = os.pipe()
    services = Services(folder, reading)
    try:
        yield services
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        services.stop()
        os.close(reading)
        os.close(writing)


@dataclass(slots=True)
class Services:
    """Service processes, each in a session of its own, so that Ctrl-C reaches it only through us, in order.

    They hold the reading end of a pipe of ours as stdin: should we be killed, the pipe ends, and they with it.
    """

    folder: Path
    lifeline: int
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, module: str, name: str, *arguments: str) -> None:
        """Starts one; what it says goes to its log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            # -P: this command is given from within the code under review, whose `json.py` must not become ours.
            self.running[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", module, "serve", "--until-eof", *arguments],
                stdin=self.lifeline,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def stop(self) -> None:
        """Stops the conductor, which was started last, then the hosts side by side: these end their agents."""
        last = self.running.popitem()[1] if self.running else None
        for group in ([last] if last else [], list(self.running.values())):
            for child in group:
                child.terminate()
            for child in group:
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def ended(self) -> str:
        """Returns the name of a service that ended by itself, or nothing."""
        return next((name for name, child in self.running.items() if child.poll() is not None), "")


def wait_for_hosts(pool: Any, services: Services) -> list[pool_service_pb2.Host]:
    """Returns the hosts once each is ready and its sandbox proven; raises a CommandError that says why one cannot be used."""
    deadline = time.monotonic() + START_SECONDS
    request = pool_service_pb2.ListHostsRequest()
    hosts: list[pool_service_pb2.Host] = []
    while time.monotonic() < deadline and not services.ended():
        with contextlib.suppress(grpc.RpcError):  # not there yet
            hosts = list(pool.ListHosts(request, timeout=LOOK_SECONDS).hosts)
        # A host names its mechanism once the proof has ended, whatever its outcome.
        if hosts and all(host.state == host.STATE_READY and host.sandbox_mechanism for host in hosts):
            break
        time.sleep(PAUSE_SECONDS)
    ended = services.ended()
    problems = tuple(dict.fromkeys(host.problem for host in hosts if host.problem))
    if not ended and not problems:
        return hosts
    lines = problems or last_logs(services.folder, ended)
    if not problems and not any(line.startswith("agenthost: ") for line in lines):  # else it says itself what to do
        lines = (*lines, "see what is missing on this machine:  agenthost doctor")
    what = f"the service '{ended}' ended at its start" if ended else "no agent can run on this machine"
    raise CommandError(what, lines=lines, code=RUN_FAILED)


def wait_for_models(pool: Any, services: Services) -> list[pool_service_pb2.Host]:
    """Returns the hosts once their models have answered, or have not for a while; raises as `wait_for_hosts` does."""
    hosts = wait_for_hosts(pool, services)
    deadline = time.monotonic() + MODEL_SECONDS
    while any(not (each.answers or each.problem) for host in hosts for each in host.models):
        if time.monotonic() > deadline:
            break
        time.sleep(MODEL_PAUSE_SECONDS)
        hosts = list(pool.ListHosts(pool_service_pb2.ListHostsRequest(), timeout=LOOK_SECONDS).hosts)
    return hosts


def last_logs(folder: Path, service: str = "*") -> tuple[str, ...]:
    """Returns the last lines of a service's log, or of all logs in the folder, each with the service's name once."""
    lines = []
    for log in sorted(folder.glob(f"{service or '*'}.log")):
        last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        lines += [line if line.startswith(f"{log.stem}: ") else f"{log.stem}: {line}" for line in last]
    return tuple(lines)


def stop_on_terminate() -> None:
    """Lets SIGTERM and SIGHUP end the command as Ctrl-C does: through every `finally`, so that nothing is left running."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)

"""`conductor demo`: a conductor and two agent hosts of its own, one run of the survey flow, and nothing left behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import grpc

from conductor.cli.commands.flows import project_of
from conductor.cli.commands.requests import is_file, set_flow
from conductor.cli.commands.run import create_from, follow_to_end
from conductor.cli.connection import connected
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.cli.text.names import short
from conductor.v1 import pool_service_pb2, run_service_pb2

HOSTS = ("alpha", "beta")
START_SECONDS = 30.0
LOOK_SECONDS = 2.0
PAUSE_SECONDS = 0.02
# Above what either service takes to stop: 10 s for the conductor's calls, 5 s and 5 s for a host's agents and calls.
STOP_SECONDS = 15.0
LOG_LINES = 15
LONGEST_PLACE = 24


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--flow", default="survey", show_default=True, help="A flow's name, or a file.")
@click.option("--keep", is_flag=True, help="Keep the database and the logs, and say where.")
@click.pass_obj
def demo(context: Context, path: Path, flow: str, *, keep: bool) -> int:
    """Start a conductor and two agent hosts, run a flow over PATH, show its report, stop everything.

    Should this command be killed outright, its services end by themselves; their temporary folder then stays.
    """
    request = run_service_pb2.CreateRunRequest(workspace=run_service_pb2.Workspace(path=str(path.resolve())))
    # Before anything is started: a file that is no flow is told at once.
    set_flow(request, flow)
    project = project_of(Path(flow)) if is_file(flow) else None
    _stop_on_terminate()
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(keep=keep))
        services = stack.enter_context(_services(folder))
        click.echo("starting a conductor and two agent hosts …", err=True)
        address = _start_all(services, folder, project)
        with connected(address) as connection:
            _wait_for_hosts(connection.pool, services, folder)
            shown = Context(address=address, output=context.output)
            created = create_from(shown, connection, request, flow=flow, is_passing=True)
            return follow_to_end(shown, connection, created.name, is_passing=True)


def _stop_on_terminate() -> None:
    """Lets SIGTERM and SIGHUP end the demo as Ctrl-C does: through every `finally`, so that nothing is left running."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    # TMPDIR where it is short: the path of a unix socket holds at most 107 bytes, and a host makes some below its data.
    place = tempfile.gettempdir()
    short_place = place if len(place) <= LONGEST_PLACE else "/tmp"  # noqa: S108 - a new folder, only ours to enter
    folder = Path(tempfile.mkdtemp(prefix="conductor-demo-", dir=short_place))
    try:
        yield folder
    finally:
        if keep:
            click.echo(f"kept: {folder}", err=True)
        else:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Snapshots are checked out read-only: their folders are opened first, from above, then removed."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            child = Path(parent, name)
            if not child.is_symlink():
                child.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def _services(folder: Path) -> Iterator["Services"]:
    """Yields the demo's services, and stops them at the end, in order. A second Ctrl-C does not hasten that."""
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


def _start_all(services: Services, folder: Path, project: Path | None) -> str:
    sockets = {name: f"unix:{folder}/{name}.sock" for name in HOSTS}
    for name, address in sockets.items():
        services.start("agenthost.cli", name, "--listen", address, "--data", str(folder / name), "--name", name)
    address = f"unix:{folder}/conductor.sock"
    pairs = [argument for name, socket in sockets.items() for argument in ("--host", f"{name}={socket}")]
    pairs += ["--project", str(project)] if project else []
    services.start("conductor.cli", "conductor", "--listen", address, "--data", str(folder / "conductor"), *pairs)
    return address


def _wait_for_hosts(pool: Any, services: Services, folder: Path) -> None:
    """Waits until every host is ready; raises a CommandError with the logs when one cannot be, or a service ends."""
    deadline = time.monotonic() + START_SECONDS
    request = pool_service_pb2.ListHostsRequest()
    hosts: list[pool_service_pb2.Host] = []
    while time.monotonic() < deadline and not services.ended():
        try:
            hosts = list(pool.ListHosts(request, timeout=LOOK_SECONDS).hosts)
        except grpc.RpcError:
            hosts = []  # not there yet
        if hosts and all(host.state == pool_service_pb2.Host.STATE_READY for host in hosts):
            return
        time.sleep(PAUSE_SECONDS)
    problems = tuple(f"{short(host.name)}: {host.problem}" for host in hosts if host.problem)
    what = (
        f"the service '{services.ended()}' ended at its start" if services.ended() else "the hosts did not become ready"
    )
    lines = (*problems, *_last_logs(folder), "see what is missing on this machine:  agenthost doctor")
    raise CommandError(what, lines=lines, code=RUN_FAILED)


def _last_logs(folder: Path) -> tuple[str, ...]:
    lines = []
    for log in sorted(folder.glob("*.log")):
        lines += [f"{log.stem}: {line}" for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]]
    return tuple(lines)

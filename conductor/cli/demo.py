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
from pathlib import Path

import click

from conductor.cli.connection import CREATE_SECONDS, connected
from conductor.cli.failure import RUN_FAILED, CommandError
from conductor.cli.main import Context
from conductor.cli.run import follow_to_end
from conductor.v1 import pool_service_pb2, run_service_pb2

HOSTS = ("alpha", "beta")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
LOG_LINES = 15


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--flow", default="survey", show_default=True)
@click.option("--keep", is_flag=True, help="Keep the database and the logs, and say where.")
@click.pass_obj
def demo(context: Context, path: Path, flow: str, *, keep: bool) -> int:
    """Start a conductor and two agent hosts, run a flow over PATH, show its report, stop everything."""
    _stop_on_terminate()
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(keep=keep))
        click.echo("starting a conductor and two agent hosts …", err=True)
        address = _start_all(stack, folder)
        with connected(address) as connection:
            _wait_for_hosts(connection.pool, folder)
            request = run_service_pb2.CreateRunRequest(
                flow=f"flows/{flow}", workspace=run_service_pb2.Workspace(path=str(path.resolve()))
            )
            created = connection.runs.CreateRun(request, timeout=CREATE_SECONDS)
            shown = Context(address=address, output=context.output)
            return follow_to_end(shown, connection, created.name, is_passing=True)


def _stop_on_terminate() -> None:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: through every `finally`, so that nothing is left running."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    # Short, because the path of a unix socket holds at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="conductor-demo-", dir="/tmp"))
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


def _start_all(stack: ExitStack, folder: Path) -> str:
    sockets = {name: f"unix:{folder}/{name}.sock" for name in HOSTS}
    for name, address in sockets.items():
        arguments = ["serve", "--listen", address, "--data", str(folder / name), "--name", name]
        stack.enter_context(_service("agenthost.cli", name, arguments, folder))
    address = f"unix:{folder}/conductor.sock"
    arguments = ["serve", "--listen", address, "--data", str(folder / "conductor")]
    for name, socket in sockets.items():
        arguments += ["--host", f"{name}={socket}"]
    stack.enter_context(_service("conductor.cli", "conductor", arguments, folder))
    return address


@contextmanager
def _service(module: str, name: str, arguments: list[str], folder: Path) -> Iterator[None]:
    """One service as a child in a session of its own, so that Ctrl-C reaches it only through us, in order."""
    with (folder / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_for_hosts(pool: object, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    request = pool_service_pb2.ListHostsRequest()
    hosts: list[pool_service_pb2.Host] = []
    while time.monotonic() < deadline:
        answer = pool.ListHosts(request, timeout=START_SECONDS, wait_for_ready=True)  # type: ignore[attr-defined]
        hosts = list(answer.hosts)
        if hosts and all(host.state == pool_service_pb2.Host.STATE_READY for host in hosts):
            return
        time.sleep(0.05)
    problems = tuple(f"{host.name}: {host.problem}" for host in hosts if host.problem)
    raise CommandError("the hosts did not become ready", lines=(*problems, *_last_logs(folder)), code=RUN_FAILED)


def _last_logs(folder: Path) -> tuple[str, ...]:
    lines = []
    for log in sorted(folder.glob("*.log")):
        lines += [f"{log.stem}: {line}" for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]]
    return tuple(lines)

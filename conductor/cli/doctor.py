"""`conductor doctor`: looks at what a run needs, and says for each thing that is missing what to do about it.

The database it looks through itself, row by row, beside the conductor or without it; everything else it asks the conductor.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import grpc

from conductor.cli.connection import Connection, connected
from conductor.cli.failure import RUN_FAILED, from_rpc
from conductor.cli.flows import bad_files
from conductor.cli.hosts import AGENT_INDENT, agent_lines, host_line
from conductor.cli.local_data import data_option, local_data
from conductor.cli.main import Context
from conductor.cli.names import short
from conductor.cli.page import say
from conductor.cli.terminal_text import one_line, printable
from conductor.cli.wording import counted, size
from conductor.v1 import flow_service_pb2, pool_service_pb2, server_service_pb2

LOOK_SECONDS = 5.0
SHOWN_DAMAGES = 10


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at. `advice` says what to do when it is not good; `details` are shown always."""

    good: bool
    text: str
    advice: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


@click.command()
@data_option
@click.pass_obj
def doctor(context: Context, data: Path | None) -> int:
    """Look for what is wrong, and say what to do."""
    looks = []
    for look in _looks(context, data):
        say(f"{'✔' if look.good else '✘'} {look.text}")
        for line in look.details:
            say(f"    {line}", AGENT_INDENT if line.startswith(("✔", "✘", "?")) else 6)
        for line in () if look.good else look.advice:
            say(f"    {line}", 6)
        looks.append(look)
    bad = sum(not look.good for look in looks)
    if bad:
        say(f"\n{counted(bad, 'thing')} to mend; then try again:  conductor doctor")
        return RUN_FAILED
    say("\nall good; try:  conductor run survey PATH")
    return 0


def _looks(context: Context, data: Path | None) -> Iterator[Look]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Look(sys.version_info >= (3, 11), f"Python {version}", ("Python 3.11 or newer is needed",))
    git = shutil.which("git")
    yield Look(git is not None, f"git at {git}" if git else "git is missing", ("install it:  apt install git",))
    yield from _storage_looks(data)
    with connected(context.address) as connection:
        try:
            asked = server_service_pb2.GetServerInfoRequest()
            info = connection.server.GetServerInfo(asked, timeout=LOOK_SECONDS)
        except grpc.RpcError as error:
            failure = from_rpc(error, context.address)
            yield Look(good=False, text=str(failure), advice=failure.lines)
            return
        yield Look(good=True, text=f"conductor {info.version} at {context.address}, start {info.epoch} of its database")
        yield from _server_looks(connection)


def _storage_looks(data: Path | None) -> Iterator[Look]:
    """Looks through the database of the folder that is named, or of the usual one, should there be any."""
    from conductor.errors import StorageError
    from conductor.store.examination import examine
    from conductor.store.folder import DATABASE_NAME

    folder = local_data(data)
    if data is None and not (folder / DATABASE_NAME).exists():
        return
    try:
        found = examine(folder)
    except StorageError as error:
        yield Look(good=False, text=str(error), advice=(error.hint,) if error.hint else ())
        return
    if found.usage is None:
        yield Look(good=not found.damages, text=f"the database {found.path} is of version {found.version}, sound")
        return
    size_now = f"{size(found.usage.file_bytes)}, {counted(found.usage.runs, 'run')}"
    if not found.damages:
        yield Look(good=True, text=f"database {found.path}: {size_now}, every row can be read")
        return
    named = tuple(printable(str(damage)) for damage in found.damages[:SHOWN_DAMAGES])
    more = ("and more",) if len(found.damages) > SHOWN_DAMAGES or found.is_cut else ()
    runs = sorted({damage.run for damage in found.damages if damage.run})
    advice = [f"let go of what is damaged:  conductor delete {run}" for run in runs[:SHOWN_DAMAGES]]
    if len(runs) < len({damage.run for damage in found.damages}):
        advice.append(
            f"stop the conductor, move {folder} away, and restore a backup:  conductor restore FILE --data {folder}"
        )
    yield Look(
        good=False, text=f"database {found.path}: {size_now}, damaged", advice=tuple(advice), details=named + more
    )


def _server_looks(connection: Connection) -> Iterator[Look]:
    asked = flow_service_pb2.ListFlowsRequest(page_size=500)
    listed = connection.flows.ListFlows(asked, timeout=LOOK_SECONDS)
    nothing = ("the installation holds no flows; install it again:  ./dev setup",)
    yield Look(bool(listed.flows), counted(len(listed.flows), "flow"), nothing)
    for title, first, advice in bad_files(listed.problems):
        yield Look(good=False, text=title, advice=(first, advice))
    hosts = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=LOOK_SECONDS).hosts
    yield Look(
        bool(hosts), f"{counted(len(hosts), 'host')} configured", ("name one:  conductor serve --host NAME=ADDRESS",)
    )
    for host in hosts:
        yield _host_look(host)


def _host_look(host: pool_service_pb2.Host) -> Look:
    name, address = short(host.name), printable(host.address)
    advice = (
        f"start it:  agenthost serve --listen {address} --data DIR --name {name}",
        "if it runs, ask there:  agenthost doctor",
    )
    problem = (one_line(host.problem, 300),) if host.problem else ()
    ready = host.state == pool_service_pb2.Host.STATE_READY
    return Look(ready, host_line(host)[2:], advice, details=(*problem, *(line.strip() for line in agent_lines(host))))

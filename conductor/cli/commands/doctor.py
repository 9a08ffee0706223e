"""`conductor doctor`: looks at what a run needs, and says for each thing that is missing what to do about it.

The database it looks through itself, row by row, beside the conductor or without it; everything else it asks the conductor.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.addresses import read_addresses
from conductor.cli.commands.flows import bad_files
from conductor.cli.commands.upkeep.examining import look_at_database
from conductor.cli.commands.upkeep.look import Look
from conductor.cli.commands.upkeep.roles import meet, role_looks
from conductor.cli.connection import Connection, connected
from conductor.cli.local_data import LOOK_SECONDS, data_option, folder_of, typed, usual_is_meant
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.cli.text.following import completed, say_next
from conductor.cli.text.names import short
from conductor.cli.text.wording import SETTLED_RUN, counted, elapsed, size
from conductor.cli.views.hosts import AGENT_INDENT, agent_lines, has_trouble, host_line, other_folder
from conductor.cli.views.models import model_lines
from conductor.v1 import flow_service_pb2, pool_service_pb2, run_service_pb2
from conductor.v1.server_service_pb2 import ServerInfo
from servicekit.printing.output_lost import OutputLostError
from servicekit.printing.page import put_json, say
from servicekit.printing.terminal_text import one_line, printable

if TYPE_CHECKING:
    from conductor.store.sqlite.upkeep.examination import Examination

SHOWN_DAMAGES = 10
DOUBT_SECONDS = 3600.0
_OF_MODELS = frozenset({"MODEL_UNREACHABLE", "AUTH_FAILED"})
UNASKED = ("name it:  conductor doctor --data DIR",)


@click.command()
@data_option
@click.option(
    "--store",
    metavar="URL",
    help="The conductor's PostgreSQL database.  [default: what the conductor at --address says]",
)
@click.pass_obj
def doctor(context: Context, data: Path | None, store: str | None) -> int:
    """Look for what is wrong, and say what to do."""
    looks, bad, doubts = _looks(context, data, store), 0, 0
    try:
        for look in looks:
            bad += not look.good
            doubts += look.is_doubt
            _tell(context, look)
        if not context.is_json:
            _say_verdict(bad, doubts, ("--data", data), ("--store", store))
    except OutputLostError as lost:
        bad += sum(not look.good for look in looks)
        lost.verdict = RUN_FAILED if bad else 0
        raise
    return RUN_FAILED if bad else 0


def _tell(context: Context, look: Look) -> None:
    advice = [completed(line) for line in look.advice if not look.good or look.is_doubt]
    if context.is_json:
        put_json({"good": look.good, "text": look.text, "details": look.details, "advice": advice})
        return
    say(f"{look.glyph} {look.text}")
    for line in look.details:
        say(f"    {line}", AGENT_INDENT if line.startswith(("✔", "✘", "?")) else 6)
    for line in advice:
        say(f"    {line}", 6)


def _say_verdict(bad: int, doubts: int, *named: tuple[str, object]) -> None:
    if bad:
        say_next(f"\n{counted(bad, 'thing')} to mend; then try again:  conductor doctor{typed(*named)}")
        return
    if doubts:
        say("\nnothing is seen to be wrong now, but the newest run failed; see the line with ? above")
        return
    say_next("\nall good; try:  conductor run ask PATH --question …\nwithout a model:  conductor run survey PATH")


def _looks(context: Context, data: Path | None, store: str | None) -> Iterator[Look]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Look(sys.version_info >= (3, 11), f"Python {version}", ("Python 3.11 or newer is needed",))
    git = shutil.which("git")
    yield Look(git is not None, f"git at {git}" if git else "git is missing", ("install it:  apt install git",))
    met = tuple(meet(one.text) for one in read_addresses(context.address))
    answers = [one.info for one in met if one.info is not None]
    # The active one knows most; without any, only what is named is looked at.
    info = next((one for one in answers if one.role == "active"), answers[0] if answers else ServerInfo())
    told = info.settings.get("store", "") if info.store == "postgresql" else ""
    is_known = bool(answers) or data is not None or store is not None or usual_is_meant()
    if url := store or told:
        yield from (Look(*seen) for seen in look_at_database(url, info.conductor_id, is_named=store is not None))
    elif is_known:
        yield from _storage_looks(folder_of(data, info), info, is_named=data is not None)
    yield from role_looks(met)
    if not is_known:
        yield Look(good=False, text="the database was not checked, because its folder is unknown", advice=UNASKED)
    if answers:
        if info.caller_role:
            yield Look(good=True, text=f"it knows you as {info.caller}, with the role {info.caller_role}")
        yield from _server_looks(context.address)


def _storage_looks(folder: Path, info: ServerInfo, *, is_named: bool) -> Iterator[Look]:
    """Looks through the database of a folder: the one that is named, or else that of the conductor, if it is to be had here."""
    from conductor.errors import StorageError
    from conductor.store.sqlite.folder import DATABASE_NAME
    from conductor.store.sqlite.upkeep.examination import examine

    try:
        if not is_named and not (folder / DATABASE_NAME).exists():
            return
        found = examine(folder)
    except StorageError as error:
        yield Look(good=False, text=str(error), advice=tuple(error.hint.splitlines()))
        return
    except OSError as error:
        text = f"the data folder {folder} cannot be looked into: {error.strerror}"
        yield Look(good=False, text=text, advice=("call this as the conductor's user",))
        return
    yield _database_look(found, folder)
    yield from _certificate_looks(folder, found.conductor_id)
    if info.conductor_id and found.conductor_id not in ("", info.conductor_id):
        advice = "name its folder with --data, or its address with --address"
        told = f"the conductor that answers uses {info.settings['data']}"
        yield Look(good=False, text="this is not that conductor's database", advice=(advice,), details=(told,))


def _certificate_looks(folder: Path, conductor_id: str) -> Iterator[Look]:
    # Without certificates, nothing that reads them is loaded.
    if not any((folder / "tls" / name).exists() for name in ("server.pem", "issued.json")):
        return
    from conductor.cli.commands.certs.looks import certificate_looks

    yield from certificate_looks(folder, conductor_id, datetime.now(UTC))


def _database_look(found: "Examination", folder: Path) -> Look:
    if found.usage is None:
        named = tuple(printable(str(damage)) for damage in found.damages[:SHOWN_DAMAGES])
        state = "damaged" if named else "sound"
        old = ("restore a backup:  conductor restore FILE --data DIR",)
        text = f"the database {found.path} is of version {found.version}, {state}"
        return Look(good=not named, text=text, advice=old, details=named)
    room = f"{size(found.usage.file_bytes)}, {size(found.usage.used_bytes)} used, {counted(found.usage.runs, 'run')}"
    if not found.damages:
        return Look(good=True, text=f"database {found.path}: {room}, every row can be read")
    named = tuple(printable(str(damage)) for damage in found.damages[:SHOWN_DAMAGES])
    more = ("and more",) if len(found.damages) > SHOWN_DAMAGES or found.is_cut else ()
    runs = sorted({damage.run for damage in found.damages if damage.run})
    advice = tuple(f"let go of what is damaged:  conductor delete {run}" for run in runs[:SHOWN_DAMAGES])
    if any(not damage.run for damage in found.damages):
        restore = f"conductor restore FILE --data {folder}"
        advice += (f"stop the conductor, move {folder} away, and restore a backup:  {restore}",)
    return Look(good=False, text=f"database {found.path}: {room}, damaged", advice=advice, details=named + more)


def _server_looks(address: str) -> Iterator[Look]:
    """Looks through what the conductor serves; a failure ends this with a line of its own, since others were printed before."""
    try:
        with connected(address, LOOK_SECONDS) as connection:
            yield from _look_at_pool(connection)
    except CommandError as failure:
        yield Look(good=False, text=str(failure), advice=failure.lines)


def _look_at_pool(connection: Connection) -> Iterator[Look]:
    asked = flow_service_pb2.ListFlowsRequest(page_size=500)
    listed = connection.flows.ListFlows(asked, timeout=LOOK_SECONDS)
    nothing = ("the installation holds no flows; install it again:  ./dev setup",)
    yield Look(bool(listed.flows), counted(len(listed.flows), "flow"), nothing)
    for title, first, advice in bad_files(listed.problems):
        yield Look(good=False, text=title, advice=(first, advice))
    hosts = connection.pool.ListHosts(pool_service_pb2.ListHostsRequest(page_size=500), timeout=LOOK_SECONDS).hosts
    yield Look(
        bool(hosts), f"{counted(len(hosts), 'host')} configured", ("add one:  conductor hosts add NAME ADDRESS",)
    )
    for host in hosts:
        yield from host_looks(host)
    ended = run_service_pb2.ListRunsRequest(page_size=1, states=sorted(SETTLED_RUN))
    for run in connection.runs.ListRuns(ended, timeout=LOOK_SECONDS).runs:
        yield from model_doubts(run, time.time())


def model_doubts(run: run_service_pb2.Run, now: float) -> Iterator[Look]:
    """Returns a line where the newest run failed not long ago because of its model: the hosts' own answers may be older."""
    ago = now - run.end_time.ToMilliseconds() / 1000
    if run.failure.reason not in _OF_MODELS or ago > DOUBT_SECONDS:
        return
    step = f" {short(run.failure.step)}" if run.failure.step else ""
    advice = (
        f"see why:  conductor show {short(run.name)}{step}",
        "a host asks its models every 30 seconds, hosted ones every 10 minutes: in that time, ask again:  conductor doctor",
    )
    text = f"the newest run failed {elapsed(ago)} ago: {run.failure.reason}"
    yield Look(good=True, text=text, advice=advice, details=(one_line(run.failure.message, 300),), is_doubt=True)


def host_looks(host: pool_service_pb2.Host) -> Iterator[Look]:
    """Returns a line for a host, one for every model that does not answer it, and one for every spec that cannot be read."""
    yield _host_look(host)
    answers = host.state == pool_service_pb2.Host.STATE_READY
    for model in host.models if answers else ():  # a host that is away told of its models long ago
        if model.problem and not model.answers:
            yield _model_look(model, short(host.name))
    for agent in host.agents:
        # An agent that only lacks its program is shown, not counted.
        if agent.spec_refused:
            title = f"the spec of agent {printable(agent.name)} on {short(host.name)} cannot be read"
            advice = "mend the file there, then start that host again; there:  agenthost doctor --agents-dir DIR"
            yield Look(good=False, text=title, advice=(advice,), details=(one_line(agent.unavailable_reason, 300),))


def _model_look(model: pool_service_pb2.HostModel, host: str) -> Look:
    advice = (
        f"start its server at {printable(model.url)}, or correct --model or the file of --config, and start that host again",
        "the host asks it again every 5 seconds",
    )
    details = (one_line(model.problem, 300),)
    return Look(
        good=False, text=f"model {printable(model.name)} on {host} does not answer", advice=advice, details=details
    )


def _host_look(host: pool_service_pb2.Host) -> Look:
    name, address = short(host.name), printable(host.address)
    problem = (one_line(host.problem, 500),) if host.problem else ()
    has_other_folder = bool(host.attempts_of_earlier_instance)
    folder = (other_folder(host),) if has_other_folder else ()
    details = (*problem, *folder, *(line.strip() for line in (*model_lines(host), *agent_lines(host))))
    answers = host.state == pool_service_pb2.Host.STATE_READY
    advice: tuple[str, ...] = (
        f"start it:  agenthost serve --listen {address} --data DIR --name {name}",
        "if it ran before, DIR is the folder that it had then: with another one, what it runs is given up",
        "if it runs, ask there:  agenthost doctor",
    )
    if answers:  # what it says of its problem says what to do
        mend = (
            "stop it, and start it with the --data folder that it had before; else these attempts are given up as lost"
        )
        advice = (mend,) if has_other_folder else ()
    return Look(answers and not has_trouble(host), host_line(host)[2:], advice, details=details)

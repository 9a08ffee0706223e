"""`conductor demo`: a conductor and two agent hosts of its own, one run of the survey flow, and nothing left behind."""

from contextlib import ExitStack
from pathlib import Path

import click

from conductor.cli.commands.flows import project_of
from conductor.cli.commands.launching.options import BANDS
from conductor.cli.commands.requests import is_file, set_flow, workspace_at
from conductor.cli.commands.run import Ending, create_from, follow_to_end
from conductor.cli.connection import connected
from conductor.cli.local_services import temporary_folder
from conductor.cli.main import Context
from conductor.cli.services import Services, services_in, stop_on_terminate, wait_for_hosts
from conductor.v1 import run_service_pb2
from servicekit.printing.page import say

HOSTS = ("alpha", "beta")
ADVICE = (
    "another directory:  conductor demo PATH  (in a clone: ./dev demo PATH)",
    "every finding:      conductor demo PATH --band large",
    "to keep it running: conductor up, conductor run; see README.md",
)


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--flow", default="survey", show_default=True, help="A flow's name, or a file.")
@click.option(
    "--band", type=click.Choice(BANDS), help="How much effort, and how much the report shows.  [default: small]"
)
@click.option("--keep", is_flag=True, help="Keep the database and the logs, and say where.")
@click.pass_obj
def demo(context: Context, path: Path, flow: str, band: str | None, *, keep: bool) -> int:
    """Start a conductor and two agent hosts, run a flow over PATH, show its report, stop everything.

    Should this command be killed outright, its services end by themselves; their temporary folder then stays.
    """
    request = run_service_pb2.CreateRunRequest(workspace=workspace_at(path))
    # Before anything is started: a file that is no flow is told at once.
    set_flow(request, flow)
    if band is not None:
        request.inputs["band"] = band
    project = project_of(Path(flow)) if is_file(flow) else None
    stop_on_terminate()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("conductor-demo-", keep=keep))
        services = stack.enter_context(services_in(folder))
        say("starting a conductor and two agent hosts …", err=True)
        address = _start_all(services, folder, project)
        with connected(address) as connection:
            wait_for_hosts(connection.pool, services)
            shown = Context(address=address, output=context.output)
            created = create_from(shown, connection, request, flow=flow, is_passing=True)
            return follow_to_end(shown, connection, created.name, ending=Ending(is_passing=True, advice=ADVICE))


def _start_all(services: Services, folder: Path, project: Path | None) -> str:
    sockets = {name: f"unix:{folder}/{name}.sock" for name in HOSTS}
    for name, address in sockets.items():
        services.start("agenthost.cli", name, "--listen", address, "--data", str(folder / name), "--name", name)
    address = f"unix:{folder}/conductor.sock"
    pairs = [argument for name, socket in sockets.items() for argument in ("--host", f"{name}={socket}")]
    pairs += ["--project", str(project)] if project else []
    services.start("conductor.cli", "conductor", "--listen", address, "--data", str(folder / "conductor"), *pairs)
    return address

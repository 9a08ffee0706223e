"""`conductor serve`: runs the conductor in this terminal until it is told to stop."""

from pathlib import Path
from typing import Any

import click

from conductor.cli.main import DEFAULT_ADDRESS, Context
from conductor.cli.text.failure import CommandError
from servicekit.printing.tls_options import tls_options
from servicekit.runtime.process import user_folder


def usual_data() -> Path | None:
    """Returns the folder where a conductor keeps its state by default; None where this user has no home."""
    state = user_folder("XDG_STATE_HOME", ".local/state")
    return state / "conductor" if state else None


@click.command()
@click.option(
    "--listen",
    help=f"HOST:PORT, with TLS beyond loopback, or unix:PATH.  [default: CONDUCTOR_ADDRESS, or {DEFAULT_ADDRESS}]",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder for the database and the snapshots.")
@click.option(
    "--store",
    metavar="URL",
    help="The database: postgresql://USER@HOST/DB, the password in PGPASSFILE.  [default: SQLite in the data folder]",
)
@click.option(
    "--blobs",
    metavar="URL",
    help="Where copies of the runs' snapshots go: s3://BUCKET/PREFIX?endpoint=URL, or a folder.  [default: with --store"
    " postgresql:// the database, else nowhere]",
)
@click.option("--shared-data", is_flag=True, help="The folder of --blobs is the same on every machine.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="An agent host; repeatable. Without one no agent can run.",
)
@click.option("--root", "roots", multiple=True, type=click.Path(path_type=Path), help="Allow workspaces below it only.")
@click.option(
    "--project", type=click.Path(path_type=Path), help="Directory whose .conductor/ holds flows and personas."
)
@click.option(
    "--allow-fetch",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Fetch repositories from this host, by https; repeatable. A private address is named beside its host.",
)
@click.option("--metrics", metavar="ADDRESS", help="Serve metrics for Prometheus at http://ADDRESS/metrics.")
@tls_options
@click.option("--config", type=click.Path(path_type=Path), help="A TOML file with these and further settings.")
@click.option("--until-eof", is_flag=True, hidden=True, help="Stop also when stdin ends.")
@click.pass_obj
def serve(context: Context, /, **options: Any) -> int:
    """Run the conductor."""
    import os
    import sys

    from servicekit.runtime.lean_imports import lean_imports

    with lean_imports():
        from conductor.app import run
    from conductor.config import load
    from conductor.errors import StatusError
    from servicekit.runtime.process import stop_at_end_of, take_descriptors

    if options["store"] == "":  # of a variable that is not set, for example: it must not become another conductor
        lines = ("leave --store out for SQLite in the data folder, or write postgresql://USER@HOST/DB",)
        raise CommandError("--store is empty", lines=lines, code=1)
    try:
        settings = load(
            config=options["config"],
            listen=options["listen"],
            data=options["data"],
            store=options["store"],
            blobs=options["blobs"],
            shared_data=options["shared_data"],
            default_listen=context.address,
            default_data=usual_data(),
            hosts=options["hosts"],
            roots=options["roots"],
            project=options["project"],
            metrics=options["metrics"],
            allow_fetch=options["allow_fetch"],
            tls={key: options[f"tls_{key}"] for key in ("cert", "key", "ca")},
            environment=os.environ,
        )
        if options["until_eof"]:
            stop_at_end_of(sys.stdin.fileno())
        take_descriptors()
        return run(settings)
    except StatusError as error:
        raise CommandError(str(error), lines=tuple(error.hint.splitlines()), code=1) from error

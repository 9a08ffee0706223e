"""`conductor store renew`: a new id for a database that was restored, copied or promoted."""

import asyncio

import click

from conductor.cli.local_data import of_the_service
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED, CommandError
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say


@click.group("store")
def store() -> None:
    """Work on the PostgreSQL database of a conductor."""


@store.command()
@click.argument("url")
@click.pass_obj
def renew(context: Context, url: str) -> int:
    """Give the database at URL a new id, after it was restored, copied or promoted.

    The conductor begins as a new one there: hosts end what runs for the old id, and steps at work are tried again.
    """
    with of_the_service(RUN_FAILED):
        old, new = asyncio.run(_renew(url))
    with verdict(0):
        if context.is_json:
            put_json({"formerConductorId": old, "conductorId": new})
        else:
            say(f"the database is that of conductor {new} now; it was that of {old}")
            say("conductors that served the former database must not start again with it", err=True)
    return 0


async def _renew(url: str) -> tuple[str, str]:
    try:
        from conductor.store.postgresql.place import renew as renew_database
    except ImportError as error:
        hint = "pip install 'conductor-agenthost[postgresql]'"
        raise CommandError(f"the driver of PostgreSQL cannot be loaded: {error}", lines=(hint,), code=1) from error
    return await renew_database(url)

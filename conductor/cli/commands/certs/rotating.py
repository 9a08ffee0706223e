"""`conductor certs rotate-ca`: replaces the pool's CA in two steps."""

import shlex
from pathlib import Path

import click

from conductor.cli.commands.certs.deliveries import folder_option, make_folder, tell_written, write_bundles
from conductor.cli.commands.certs.pool_folder import data_option, issuing, named
from conductor.cli.local_data import folder_of
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.wording import counted
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say


@click.command("rotate-ca")
@folder_option
@click.option("--finish", "is_finish", is_flag=True, help="Trust the former CA no longer.")
@click.option("--force", is_flag=True, help="With --finish: shut out members that have no new bundle yet.")
@data_option
@click.pass_obj
def rotate_ca(context: Context, /, *, out: Path | None, is_finish: bool, force: bool, data: Path | None) -> int:
    """Replace the pool's CA, without a gap.

    That is for one whose key was stolen, or that ends. First, with --out, a new CA issues a bundle for every member;
    both CAs are trusted. When all members have taken theirs in, --finish drops the former CA.
    """
    if is_finish == (out is not None):
        raise click.UsageError("give --out FOLDER to begin, or --finish to end")
    if out is not None:
        return _begin_rotation(context, out, data)
    return _finish_rotation(context, data, force=force)


def _begin_rotation(context: Context, out: Path, data: Path | None) -> int:
    from conductor.maintenance.certificates import rotation

    with issuing(data) as certificates:
        make_folder(out)
        rotation.begin(certificates)
        written = write_bundles(certificates, rotation.left_behind(certificates), out)
    with verdict(0):
        tell_written(context, written)
        if not context.is_json:
            say(
                "the pool has a new CA, and trusts both; this conductor goes on with its certificates of the former one"
            )
            say(f"when all members have theirs:  conductor certs rotate-ca --finish{named(data)}", err=True)
    return 0


def _finish_rotation(context: Context, data: Path | None, *, force: bool) -> int:
    from conductor.maintenance.certificates import rotation
    from conductor.maintenance.certificates.identity import conductor_id_of

    with issuing(data) as certificates:
        behind = rotation.left_behind(certificates)
        if behind and not force:
            names = " ".join(shlex.quote(f"{each.entry.kind}/{each.entry.name}") for each in behind)
            raise CommandError(
                f"{counted(len(behind), 'member')} would be shut out, without a bundle of the new CA",
                lines=(f"write them:  conductor certs renew {names}{named(data)} --out FOLDER", "or add --force"),
            )
        end = rotation.finish(certificates, conductor_id_of(folder_of(data, None)))
    with verdict(0):
        if context.is_json:
            put_json({"end": end.isoformat()})
            return 0
        say(f"the former CA is trusted no longer; this conductor has new certificates until {end:%Y-%m-%d}")
        say(f"see all:  conductor certs list{named(data)}", err=True)
    return 0

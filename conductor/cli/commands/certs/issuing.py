"""`conductor certs init`, `host`, `client`, `conductor` and `join`: make the CA, make bundles by it, and take one in."""

import shlex
from pathlib import Path

import click

from conductor.cli.commands.certs.deliveries import taking_in, tell, write_bundle_file
from conductor.cli.commands.certs.pool_folder import (
    CONDUCTOR_PORT,
    HOST_PORT,
    data_option,
    issuing,
    named,
    now,
    out_option,
    tls_folder,
    with_port,
)
from conductor.cli.local_data import folder_of, of_the_service
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED
from conductor.cli.text.following import say_next
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say
from servicekit.tls.identity import ROLES


@click.command()
@click.option(
    "--address", "addresses", multiple=True, help="Name or IP address that clients reach this conductor by; repeatable."
)
@click.option("--pool", default="pool", show_default=True, help="What the pool is called.")
@click.option("--name", default="conductor", show_default=True, help="What this conductor is called in it.")
@data_option
@click.pass_obj
def init(context: Context, /, addresses: tuple[str, ...], pool: str, name: str, data: Path | None) -> int:
    """Make the pool's own CA, and this conductor's certificates."""
    from conductor.maintenance.certificates.identity import conductor_id_of
    from conductor.maintenance.certificates.pool import make_pool
    from servicekit.tls.issuing.membership import listen_address

    reached_at = with_port(addresses, CONDUCTOR_PORT)
    folder = tls_folder(data)
    with of_the_service(RUN_FAILED):
        make_pool(folder, pool, name, reached_at, now())
        conductor_id = conductor_id_of(folder_of(data, None))
    with issuing(data) as certificates:
        end = certificates.equip(conductor_id)
    with verdict(0):
        if context.is_json:
            put_json({"pool": pool, "folder": str(folder.path), "conductorId": conductor_id, "end": end.isoformat()})
            return 0
        say(f"{folder.path}: the CA of the pool '{pool}', and certificates of this conductor until {end:%Y-%m-%d}")
        say(f"keep a copy of this folder in a safe place: {folder.ca_key.name} is in no backup", err=True)
        say(f"for a host:    conductor certs host NAME --address ADDRESS{named(data)} --out NAME.agenthost", err=True)
        say(f"for a person:  conductor certs client NAME --role operator{named(data)} --out NAME.client", err=True)
        if reached_at:
            say(f"to serve:      conductor serve{named(data)} --listen {listen_address(reached_at)}", err=True)
    return 0


@click.command()
@click.argument("name")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    required=True,
    help="Name or IP address of the host, with its port if not 7420; repeatable.",
)
@data_option
@out_option
@click.pass_obj
def host(context: Context, /, name: str, addresses: tuple[str, ...], data: Path | None, out: Path) -> int:
    """Write the bundle of the host NAME to FILE."""
    reached_at = with_port(addresses, HOST_PORT)
    with issuing(data, out) as certificates:
        delivery = certificates.host(name, reached_at)
        write_bundle_file(delivery, out)
    with verdict(0):
        tell(delivery, out, is_json=context.is_json)
        if not context.is_json:
            say(f"carry it to that machine, and there:  {taking_in('host', out.name)}", err=True)
            say_next(f"then, to the conductor:               conductor hosts add {name} {reached_at[0]}", err=True)
    return 0


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What its holder may do.")
@data_option
@out_option
@click.pass_obj
def client(context: Context, /, name: str, role: str, data: Path | None, out: Path) -> int:
    """Write the bundle of the person or program NAME to FILE."""
    from servicekit.tls.identity import Kind

    with issuing(data, out) as certificates:
        delivery = certificates.client(name, role)
        write_bundle_file(delivery, out)
        told = "" if certificates.register.addresses else "ADDRESS"
        member = certificates.register.member(Kind.CLIENT, name, certificates.now)
        other_roles = sorted({each.role for each in member.earlier} - {role}) if member else []
    with verdict(0):
        tell(delivery, out, is_json=context.is_json)
        if not context.is_json:
            if other_roles:
                said = f"an earlier certificate of '{name}' still holds, as {' and '.join(other_roles)}"
                say(f"{said}; revoke it by its serial:  conductor certs list --all{named(data)}", err=True)
            say(f"its holder calls:  {taking_in('client', str(out), told)}", err=True)
    return 0


@click.command()
@click.argument("name")
@click.option(
    "--address", "addresses", multiple=True, help="Name or IP address that clients reach that conductor by; repeatable."
)
@click.option("--id", "conductor_id", help="Its id, if its database holds runs already.  [default: a new one]")
@click.option("--standby", is_flag=True, help="It shares this one's PostgreSQL database, and so has its id.")
@data_option
@out_option
@click.pass_obj
def conductor(
    context: Context,
    /,
    name: str,
    *,
    addresses: tuple[str, ...],
    conductor_id: str | None,
    standby: bool,
    data: Path | None,
    out: Path,
) -> int:
    """Write the bundle of another conductor to FILE. It is to share this pool's hosts."""
    from conductor.maintenance.certificates.identity import conductor_id_of, new_conductor_id
    from servicekit.tls.identity import Kind

    reached_at = with_port(addresses, CONDUCTOR_PORT)
    with issuing(data, out) as certificates:
        there = certificates.register.member(Kind.CONDUCTOR, name, certificates.now)
        known = there.entry.id if there and not there.is_revoked else new_conductor_id()
        own = conductor_id_of(folder_of(data, None)) if standby else ""
        delivery = certificates.conductor(name, conductor_id or own or known, reached_at)
        write_bundle_file(delivery, out)
    with verdict(0):
        tell(delivery, out, is_json=context.is_json)
        if not context.is_json:
            say(f"carry it to that machine, and there:  {taking_in('conductor', out.name)}", err=True)
    return 0


@click.command()
@click.argument("bundle", metavar="FILE", type=click.Path(path_type=Path))
@data_option
@click.pass_obj
def join(context: Context, /, bundle: Path, data: Path | None) -> int:
    """Join a pool by the bundle FILE. `certs conductor` made it elsewhere; a newer one renews this conductor."""
    from conductor.maintenance.certificates.joining import join_as_conductor

    with of_the_service(RUN_FAILED):
        home = folder_of(data, None)
        joined, is_changed = join_as_conductor(bundle, home, now())
    with verdict(0):
        if context.is_json:
            put_json({"identity": joined.identity.uri, "end": joined.not_after.isoformat(), "changed": is_changed})
            return 0
        state = "is" if is_changed else "was already"
        pool, end = joined.identity.pool, joined.not_after
        say(f"this conductor {state} {joined.identity.name} of the pool '{pool}', until {end:%Y-%m-%d}")
        say(f"remove the copy:  rm {shlex.quote(str(bundle))}", err=True)
        listen = next((f" --listen {each}" for each in joined.addresses), "")
        say(f"serve:            conductor serve{named(data)}{listen}", err=True)
    return 0

"""`conductor certs init`, `host` and `client`: make the CA, and bundles by it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.commands.certs.pool_folder import (
    CONDUCTOR_PORT,
    HOST_PORT,
    data_option,
    issuing,
    named,
    now,
    out_option,
    with_port,
)
from conductor.cli.local_data import folder_of, of_the_service
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from conductor.maintenance.certificates import Delivery

_ROLES = ("viewer", "operator", "admin")


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
    from conductor.maintenance.certificates import make_pool
    from conductor.maintenance.identity import conductor_id_of
    from servicekit.tls.files import TlsFolder

    reached_at = with_port(addresses, CONDUCTOR_PORT)
    with of_the_service(RUN_FAILED):
        home = folder_of(data, None)
        folder = TlsFolder.of(home)
        make_pool(folder, pool, name, reached_at, now())
        conductor_id = conductor_id_of(home)
    with issuing(home) as certificates:
        end = certificates.equip(conductor_id)
    with verdict(0):
        if context.is_json:
            put_json({"pool": pool, "folder": str(folder.path), "conductorId": conductor_id, "end": end.isoformat()})
            return 0
        say(f"{folder.path}: the CA of the pool '{pool}', and certificates of this conductor until {end:%Y-%m-%d}")
        say(f"keep a copy of this folder in a safe place: {folder.ca_key.name} is in no backup", err=True)
        say(f"for a host:    conductor certs host NAME --address ADDRESS{named(data)} --out NAME.agenthost", err=True)
        say(f"for a person:  conductor certs client NAME --role operator{named(data)} --out NAME.client", err=True)
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
        _deliver(delivery, out)
    with verdict(0):
        _tell(context, delivery, out)
        if not context.is_json:
            file = shlex.quote(out.name)
            say(f"carry it to that machine, and there:  agenthost join {file} --data DIR", err=True)
            say(f"then, to the conductor:               conductor hosts add {name} {reached_at[0]}", err=True)
    return 0


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), required=True, help="What its holder may do.")
@data_option
@out_option
@click.pass_obj
def client(context: Context, /, name: str, role: str, data: Path | None, out: Path) -> int:
    """Write the bundle of the person or program NAME to FILE."""
    with issuing(data, out) as certificates:
        delivery = certificates.client(name, role)
        _deliver(delivery, out)
        reached_at = certificates.register.addresses
    with verdict(0):
        _tell(context, delivery, out)
        if not context.is_json:
            address = reached_at[0] if reached_at else "ADDRESS"
            file = shlex.quote(str(out))
            say(f"its holder calls:  conductor --address {address} --bundle {file} runs", err=True)
    return 0


def _deliver(delivery: "Delivery", out: Path) -> None:
    from servicekit.tls.files import write_whole

    write_whole(out.absolute(), delivery.data)


def _tell(context: Context, delivery: "Delivery", out: Path) -> None:
    if context.is_json:
        put_json({"path": str(out), "identity": delivery.identity.uri, "end": delivery.not_after.isoformat()})
        return
    say(f"{out}: {delivery.identity.uri}, until {delivery.not_after:%Y-%m-%d}")

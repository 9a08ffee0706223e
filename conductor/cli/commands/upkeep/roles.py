"""What `conductor doctor` sees of each conductor that it was given: its role, its lease, how far it is behind, and its database."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import grpc

from conductor.cli.commands.upkeep.look import Look
from conductor.cli.connection import connected
from conductor.cli.local_data import LOOK_SECONDS
from conductor.cli.text.failure import CommandError, from_rpc
from conductor.cli.text.wording import elapsed
from conductor.v1.server_service_pb2 import GetServerInfoRequest, ServerInfo
from servicekit.printing.terminal_text import printable

# Renewed four times in its length, a lease never has less left while its holder lives.
LEAST_SHARE = 0.5
MOST_LAG_SECONDS = 10.0
_USUAL_LEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Met:
    """The conductor at an address: what it says of itself, or why it does not answer."""

    address: str
    info: ServerInfo | None
    failure: CommandError | None = None


def meet(address: str) -> Met:
    """Asks the conductor at one address what it is."""
    with connected(address, LOOK_SECONDS) as connection:
        try:
            return Met(address, connection.server.GetServerInfo(GetServerInfoRequest(), timeout=LOOK_SECONDS))
        except grpc.RpcError as error:
            return Met(address, None, from_rpc(error, address, LOOK_SECONDS))


def role_looks(met: tuple[Met, ...]) -> Iterator[Look]:
    """Returns a line for each conductor, and one where two of them have two databases."""
    for one in met:
        if one.info is not None:
            yield _role_look(one.address, one.info, [other.address for other in met])
        elif one.failure is not None:
            yield Look(good=False, text=str(one.failure), advice=one.failure.lines)
    ids = {one.info.conductor_id: one.address for one in met if one.info is not None}
    if len(ids) > 1:
        text = f"the conductors at {' and '.join(ids.values())} have different databases"
        advice = ("name the conductors of one database with --address, or give them the same --store",)
        yield Look(good=False, text=text, advice=advice)


def _role_look(address: str, info: ServerInfo, given: list[str]) -> Look:
    name = f"conductor {info.version} at {address}"
    if info.store != "postgresql":
        return Look(good=True, text=f"{name}, start {info.epoch} of its database")
    if info.store_problem:
        text = f"{name}: {info.role}, and its database does not answer"
        return Look(good=False, text=text, advice=tuple(map(printable, info.store_problem.split("; "))))
    if info.role == "active":
        lease = f"its lease lasts {elapsed(info.lease_seconds)} more"
        return Look(good=True, text=f"{name}: active in its PostgreSQL database, epoch {info.epoch}, {lease}")
    standby = f"{name}: standby, {info.lag_seconds:.1f} s behind"
    if not info.active_address:
        advice = (
            "start a conductor of this database, or look at the conductors' logs: a standby takes over by itself",
        )
        return Look(good=False, text=f"{standby}; no conductor of its database is active", advice=advice)
    return _standby_look(info, standby, given)


def _standby_look(info: ServerInfo, standby: str, given: list[str]) -> Look:
    active, lease = printable(info.active_address), _lease_of(info.settings)
    text = f"{standby}; the active one is at {active}"
    if info.lease_seconds < lease * LEAST_SHARE:
        silent = elapsed(lease - info.lease_seconds)
        advice = (
            f"look at that conductor: it may be dead, stopped or cut off; a standby takes over in {elapsed(info.lease_seconds)}",
            "then look again:  conductor doctor",
        )
        return Look(good=False, text=f"{text}, which has not renewed its lease for {silent}", advice=advice)
    if info.lag_seconds > MOST_LAG_SECONDS:
        return Look(good=False, text=text, advice=("look at the standby's log, and at the load of the database",))
    if info.active_address not in given:
        both = ",".join([*given, active])
        return Look(good=True, text=text, details=(f"name both for what changes something:  --address {both}",))
    return Look(good=True, text=text)


def _lease_of(settings: Mapping[str, str]) -> float:
    told = settings.get("limits.lease_seconds", "")
    return float(told) if told.isdecimal() else _USUAL_LEASE_SECONDS

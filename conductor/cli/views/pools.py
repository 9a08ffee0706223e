"""Says in lines how pools of model slots are used, and which two of them may be one."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from conductor.cli.text.wording import counted, elapsed
from conductor.v1 import pool_service_pb2
from servicekit.printing.terminal_text import printable

Host = pool_service_pb2.Host
HostModel = pool_service_pb2.HostModel
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def pool_lines(hosts: Iterable[Host], now: float) -> list[str]:
    """Returns a line for each pool of model slots, once for all hosts that use it."""
    pools = {pool.name: pool for host in hosts for pool in host.pools}
    return [pool_line(pool, now) for _, pool in sorted(pools.items())]


def pool_line(pool: pool_service_pb2.ModelPool, now: float) -> str:
    """Returns `pool gpu0  1 of 1 slot in use by this conductor  4 waiting  parked for 2 min 05 s (rate limited)`."""
    left = pool.parked_until_time.ToNanoseconds() / 1e9 - now
    parts = (
        f"pool {printable(pool.name)}",
        f"{pool.in_use} of {counted(pool.slots, 'slot')} in use by this conductor",
        f"{pool.waiting} waiting" if pool.waiting else "",
        f"parked for {elapsed(left)} (rate limited)" if left > 0 else "",
        f"last asked: {printable(pool.loaded_model)}" if pool.loaded_model else "",
    )
    return "  ".join(part for part in parts if part)


def likeness_lines(hosts: Iterable[Host]) -> list[str]:
    """Returns a line for each two pools that look like one server, which then has twice its slots."""
    models = [model for host in hosts for model in host.models if model.pool and model.listed]
    pairs = {(one.pool, other.pool) for one in models for other in models if _may_be_one(one, other)}
    return [
        f"pools {printable(one)} and {printable(other)} look like one server: the same port and the same models. If they are, "
        'give both one name, as pool = "gpu0" under [models.NAME]'
        for one, other in sorted(pairs)
    ]


def _may_be_one(own: HostModel, other: HostModel) -> bool:
    """Returns whether a server on a host itself may be the one that another host finds in the network."""
    is_near = urlsplit(own.url).hostname in LOOPBACK and urlsplit(other.url).hostname not in LOOPBACK
    is_alike = urlsplit(own.url).port == urlsplit(other.url).port and set(_names(own)) == set(_names(other))
    return is_near and is_alike and own.pool != other.pool


def _names(model: HostModel) -> Iterator[str]:
    return (each.name for each in model.listed)

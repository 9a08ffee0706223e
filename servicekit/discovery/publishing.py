"""Announces a host by multicast DNS for as long as it serves."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import ifaddr  # of zeroconf
import structlog
from zeroconf import Error, InterfaceChoice
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from servicekit.discovery.announcement import SERVICE

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def announcing(name: str, address: str, texts: Mapping[str, str]) -> AsyncIterator[None]:
    """Announces a host that listens at `HOST:PORT`, from a moment on: the start of the host does not wait for it."""
    host, _, port = address.rpartition(":")
    working = asyncio.create_task(_announce(name, _own_addresses(host.strip("[]")), int(port), texts))
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def _own_addresses(host: str) -> list[str]:
    """Returns the addresses of this machine at which the host is reached; those beyond loopback where it listens at all."""
    if not ipaddress.ip_address(host).is_unspecified:
        return [host]
    found = (address.ip for adapter in ifaddr.get_adapters() for address in adapter.ips)
    return [text for text in found if isinstance(text, str) and not ipaddress.ip_address(text).is_loopback]


async def _announce(name: str, addresses: list[str], port: int, texts: Mapping[str, str]) -> None:
    packed = [ipaddress.ip_address(text).packed for text in addresses]
    info = AsyncServiceInfo(
        SERVICE, f"{name}.{SERVICE}", port, addresses=packed, properties=dict(texts), server=f"{name}.local."
    )
    try:
        network = AsyncZeroconf(interfaces=addresses or InterfaceChoice.All)
    except (OSError, Error) as error:
        _log.warning("host_not_announced", host=name, problem=str(error))
        return
    try:
        await (await network.async_register_service(info))
        _log.info("host_announced", host=name, addresses=addresses, port=port, **texts)
        await asyncio.Event().wait()
    except (OSError, Error) as error:
        problem = str(error) or f"another host announces the name {name}"
        _log.warning("host_not_announced", host=name, problem=problem)
    finally:
        await network.async_unregister_all_services()
        await network.async_close()

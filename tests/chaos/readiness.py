"""Waits until a conductor serves and all its hosts can be used."""

import asyncio
import time

import grpc

from conductor.v1 import pool_service_pb2_grpc
from conductor.v1.pool_service_pb2 import Host, ListHostsRequest

PAUSE_SECONDS = 0.05


async def wait_until_ready(channel: grpc.aio.Channel, seconds: float) -> None:
    """Returns when every host is ready; TimeoutError after so many seconds."""
    pool = pool_service_pb2_grpc.PoolServiceStub(channel)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            await asyncio.sleep(PAUSE_SECONDS)
            hosts = (await pool.ListHosts(ListHostsRequest(), timeout=2)).hosts
        except grpc.aio.AioRpcError:
            continue
        if hosts and all(host.state == Host.STATE_READY for host in hosts):
            return
    raise TimeoutError(f"the hosts did not become ready within {seconds:.0f} s")

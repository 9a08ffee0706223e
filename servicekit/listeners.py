"""Opens the sockets of an address that listen: one for each address that its name stands for, all at one port."""

import asyncio
import socket
from contextlib import ExitStack

from servicekit.addresses import Address, unusable


async def open_listeners(address: Address) -> list[socket.socket]:
    """Returns listening sockets of an address `HOST:PORT`; raises AddressError. Port 0 becomes the port of the first."""
    host, _, digits = address.target.rpartition(":")
    port, opened = int(digits), list[socket.socket]()
    with ExitStack() as stack:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            for family, place in dict.fromkeys((family, place[0]) for family, *_, place in found):
                opened.append(stack.enter_context(_listener(family, str(place), port)))
                port = opened[0].getsockname()[1]
        except OSError as error:
            raise unusable(address) from error
        stack.pop_all()
    return opened


def _listener(family: int, host: str, port: int) -> socket.socket:
    is_every_one = family == socket.AF_INET6 and host == "::"
    listener = socket.create_server((host, port), family=family, dualstack_ipv6=is_every_one, reuse_port=False)
    listener.settimeout(0)
    return listener

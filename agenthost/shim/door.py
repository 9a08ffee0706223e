"""Opens the one door of an agent's network: a socket that listens inside its namespace and is held outside.

The process that has the descriptor answers the agent. The shim keeps it for as long as the attempt lives and gives it to every
gateway that asks, so that a gateway's death costs requests in flight, not the door.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket

from agenthost.shim.kernel import Interrupted, Refused, call, now
from agenthost.shim.setup_failure import FROM_OTHERS, signal_in

NS_GET_USERNS = 0xB701
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
BACKLOG = 128  # connections wait here while there is no gateway
MAX_COMPLAINT_BYTES = 1000
LEAST_SECONDS = 0.01  # a time limit of 0 would mean not to wait at all


def open_door(pid: int, port: int, deadline: float) -> socket.socket:
    """Listens on 127.0.0.1 in the network of a process, which has its loopback up: bubblewrap sees to that.

    A child does it: a process that entered another user namespace cannot come back, and only the owner of the network may enter it.
    It has until the deadline of the whole set-up: if it is stopped, no other clock would notice.
    """
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        _listen_inside(network, port, there)
    there.close()
    os.close(network)
    with here:
        here.settimeout(max(LEAST_SECONDS, deadline - now()))
        try:
            said, descriptors, _, _ = socket.recv_fds(here, MAX_COMPLAINT_BYTES, 1)
        except TimeoutError as error:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise Interrupted("the socket of the agent's model was not opened in time") from error
    ended_by = signal_in(os.waitpid(child, 0)[1])
    if not descriptors and not said and ended_by in FROM_OTHERS:
        raise Interrupted(f"signal {ended_by} killed the process that opens the socket of the agent's model")
    if not descriptors:
        raise Refused(
            f"cannot open the socket of the agent's model: {said.decode(errors='replace') or 'no reason was given'}"
        )
    door = socket.socket(fileno=descriptors[0])
    door.set_inheritable(False)
    return door


def _listen_inside(network: int, port: int, answer: socket.socket) -> None:
    """Opens the door in the forked child. Never returns."""
    try:
        owner = fcntl.ioctl(network, NS_GET_USERNS)
        call("setns", owner, CLONE_NEWUSER)
        call("setns", network, CLONE_NEWNET)
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        door.bind(("127.0.0.1", port))
        door.listen(BACKLOG)
        socket.send_fds(answer, [b"open"], [door.fileno()])
    except BaseException as error:  # noqa: BLE001 - the child must neither return nor unwind into the shim's code
        answer.send(str(error).encode()[:MAX_COMPLAINT_BYTES])
    finally:
        os._exit(0)


def listeners_of(pid: int) -> list[tuple[str, int]]:
    """Returns what listens in the network of a process, by the kernel's tables; IPv6 included."""
    found = []
    for family in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{family}", encoding="ascii") as table:
            rows = [line.split() for line in table.read().splitlines()[1:]]
        for row in rows:
            if row[3] == "0A":
                address, _, number = row[1].rpartition(":")
                found.append((address, int(number, 16)))
    return found

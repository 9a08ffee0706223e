"""Machines on one network, by the process that holds them (`network_process`), for tests without an event loop.

Where a machine does not allow it, `NetworkRefusedError` says why.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.chaos import namespaces
from tests.chaos.wire import Condition

REPOSITORY = Path(__file__).parent.parent.parent
STOP_SECONDS = 20.0


class NetworkRefusedError(Exception):
    """This machine makes no networks; the text says why."""


class Network:
    """A network of machines, each with its name and address. Use it as a context."""

    def __init__(self, seed: str, addresses: dict[str, str]) -> None:
        named = [f"{name}={address}" for name, address in addresses.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lan.network_process", seed, *named],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=REPOSITORY,
        )
        self._orders = 0
        told = self._hear()
        if "refused" in told:
            self.__exit__()
            raise NetworkRefusedError(told["refused"])
        self._pid: int = told["pid"]
        self._places: dict[str, int] = told["places"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends all processes on its machines as well."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def entrance(self, machine: str) -> tuple[str, ...]:
        """Returns the words before a program that make it run on a machine."""
        return (sys.executable, "-I", "-S", namespaces.__file__, f"{self._pid}:{self._places[machine]}")

    def set_condition(self, machine: str, condition: Condition) -> None:
        """Sets what the wire of a machine does to packets, both ways."""
        self._order(machine, condition=asdict(condition))

    def plug(self, machine: str, *, is_plugged: bool) -> None:
        """Pulls the plug of a machine, or puts it back. Its connections stay, and hear nothing."""
        self._order(machine, is_plugged=is_plugged)

    def move(self, machine: str, address: str) -> None:
        """Gives a machine another address: what was sent to the old one is lost."""
        self._order(machine, address=address)

    def _order(self, machine: str, **order: Any) -> None:
        assert self._process.stdin is not None
        self._orders += 1
        self._process.stdin.write(json.dumps({"order": self._orders, "machine": machine, **order}) + "\n")
        self._process.stdin.flush()
        assert self._hear()["order"] == self._orders

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the network's process ended"
        told: dict[str, Any] = json.loads(line)
        return told

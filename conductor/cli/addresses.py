"""The addresses of conductors that a command was given, and which of them is asked next.

`--address a,b` names conductors of one database. One of them is the active one; the others are standbys, which refuse what changes
something. A conductor's word about who is active counts only where it names an address that the command was given.
"""

import time
from collections.abc import Callable, Sequence

from conductor.cli.text.failure import CommandError
from servicekit.addresses import Address, AddressError
from servicekit.statuses import Refusal

NOT_ACTIVE = "NOT_ACTIVE"
# So long a conductor that takes over may need, with its lease of 10 s.
PATIENCE_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
MOST_ADDRESSES = 16

# Refusals after which another conductor, or the same one a little later, may answer. Without a reason: none was reached.
_PASSING = frozenset({"", NOT_ACTIVE, "SHUTTING_DOWN", "STORAGE_UNAVAILABLE"})
_UNCONNECTED = ("failed to connect", "before receiving settings")


def read_addresses(text: str) -> tuple[Address, ...]:
    """Reads addresses with commas between them; raises a CommandError for what gRPC would misread, or look up for too long."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MOST_ADDRESSES:
        raise CommandError(f"{len(parts)} addresses are given; give at most {MOST_ADDRESSES}")
    try:
        return tuple(Address.parse_dialled(part, is_anywhere=True) for part in dict.fromkeys(parts))
    except AddressError as error:
        raise CommandError(str(error)) from error


class Turns:
    """Whose turn it is to be asked. With one address it is always that one's, and no question is repeated."""

    def __init__(self, addresses: Sequence[str], sleep: Callable[[float], None] = time.sleep) -> None:
        self.place = 0
        self._addresses = tuple(addresses)
        self._sleep = sleep

    @property
    def are_several(self) -> bool:
        """Returns whether there is another address to ask."""
        return len(self._addresses) > 1

    def move(self, refusal: Refusal) -> bool:
        """Goes to the address that may answer instead; returns whether there is one."""
        if not self.are_several or refusal.code != "UNAVAILABLE" or refusal.reason not in _PASSING:
            return False
        told = dict(refusal.metadata).get("address", "")
        is_followed = refusal.reason == NOT_ACTIVE and told in self._addresses
        if is_followed and self._addresses[self.place] != told:
            self.place = self._addresses.index(told)
        else:
            self.place = (self.place + 1) % len(self._addresses)
        return True

    def pauses(self) -> "Pauses":
        """Returns the pauses of one call that is repeated."""
        return Pauses(len(self._addresses), self._sleep)


class Pauses:
    """Bounds how long and how often one call is repeated: at each address once, and then with pauses between."""

    def __init__(self, addresses: int, sleep: Callable[[float], None]) -> None:
        self._left = addresses - 1
        self._sleep = sleep
        self._pause = FIRST_PAUSE_SECONDS
        self._until = time.monotonic() + PATIENCE_SECONDS

    def wait(self) -> bool:
        """Waits until the next try; returns False where it is over."""
        if self._left > 0:
            self._left -= 1
            return True
        if time.monotonic() + self._pause > self._until:
            return False
        self._sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return True


def may_repeat(method: str, request: object, refusal: Refusal) -> bool:
    """Returns whether a call may be made again: it was refused at the door, changes nothing, or has an id and so counts once."""
    from conductor.core.access.roles import is_read

    was_refused = refusal.reason == NOT_ACTIVE or any(text in refusal.message.lower() for text in _UNCONNECTED)
    return was_refused or is_read(method) or bool(getattr(request, "request_id", ""))

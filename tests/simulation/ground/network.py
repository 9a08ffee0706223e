"""The network between conductors and hosts: calls with bytes both ways, in order each way, that come late, or never.

What it does is what gRPC over TCP does (grpc.md 2): nothing is lost or turned round within a call that lives; a call that breaks
loses what is on its way, either side learns of it in its own time, and the server sees a half-close first. A dead program's
calls break at once; those of a dead or unreachable machine break when keepalive notices.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import grpc

from servicekit.statuses import LOST_BY_GRPC
from tests.simulation.ground.agenda import Action, Agenda
from tests.simulation.ground.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

KEEPALIVE_SECONDS = 10.0
LATENCY_SECONDS = 0.02
STATUS_LOST_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class End:
    """The status of a call, with what the server said."""

    code: grpc.StatusCode
    details: str = ""
    trailing: tuple[tuple[str, bytes], ...] = ()


OK = End(grpc.StatusCode.OK)
BROKEN = End(grpc.StatusCode.UNAVAILABLE, "the connection was lost")
STATUS_LOST = End(grpc.StatusCode.INTERNAL, LOST_BY_GRPC)


class Call:
    """One call. Each side is told through functions, in its own program."""

    def __init__(self, network: "Network", client: Process, server: Process) -> None:
        self._network = network
        self.client = client
        self.server = server
        self._slowness = network.slowness if network.rng.random() < 0.15 else 0.0
        self._arrivals = {"there": 0.0, "back": 0.0}
        self.on_response: Callable[[bytes], None] = lambda _: None
        self.on_end: Callable[[End], None] = lambda _: None
        self.on_request: Callable[[bytes], None] = lambda _: None
        self.on_half_close: Action = lambda: None
        self.on_broken: Action = lambda: None
        self.has_ended = False  # as its client sees it
        self.is_answered = False
        self.is_broken = False  # as its server sees it, like the next
        self._is_half_closed = False
        self.is_severed = False
        self._was_written_late = False
        self.has_told_end = False  # the last frame was written

    # The client's side.

    def request(self, data: bytes) -> None:
        if not self.has_ended and self.client.is_alive:
            self._was_written_late = self._was_written_late or self.is_answered
            self._carry("there", self.server, lambda: self._tell_request(data))

    def half_close(self) -> None:
        if not self.has_ended and self.client.is_alive:
            self._carry("there", self.server, self._tell_half_close)

    def cancel(self) -> None:
        if not self.has_ended and self.client.is_alive:
            self.has_ended = True
            self._carry("there", self.server, self._break_server)

    # The server's side.

    def respond(self, data: bytes) -> None:
        if not self.is_answered and not self.is_severed and self.server.is_alive:
            self._carry("back", self.client, lambda: self._tell_response(data))

    def finish(self, end: End) -> None:
        if not self.is_answered and self.server.is_alive:
            self.is_answered = True
            if not self.is_severed:
                self._carry("back", self.client, lambda: self._tell_end(self._as_heard(end)))

    # Trouble.

    def strand(self) -> None:
        """What is sent arrives late, and the client believes it lost: what it sends on another call arrives before."""
        self._slowness = 9.0
        self.break_(0.05, KEEPALIVE_SECONDS)

    def lose_what_is_on_its_way(self) -> None:
        self.break_(0.05, 0.0)

    def involves(self, process: Process) -> bool:
        return process in (self.client, self.server)

    def break_(self, client_notices: float, server_notices: float) -> None:
        """Breaks it: each side learns of it after so many seconds, and what arrives for it later is lost."""
        self.client.after(client_notices, lambda: self._tell_end(BROKEN))
        self.server.after(server_notices, self._break_server)

    def _carry(self, way: str, receiver: Process, arrive: Action) -> None:
        arrival = max(self._arrivals[way], self._network.arrival(self._slowness))
        self._arrivals[way] = arrival
        receiver.after(arrival - self._network.agenda.now, arrive)

    def _as_heard(self, end: End) -> End:
        """gRPC loses the status of a call now and then that ended while its client wrote (grpc.md 4)."""
        if self._was_written_late and self._network.rng.random() < STATUS_LOST_CHANCE:
            self._network.seen["status lost"] += 1
            return STATUS_LOST
        return end

    def _tell_response(self, data: bytes) -> None:
        if not self.has_ended:
            self.on_response(data)

    def _tell_end(self, end: End) -> None:
        if not self.has_ended:
            self.has_ended = True
            self.on_end(end)

    def _tell_request(self, data: bytes) -> None:
        if not self._is_half_closed:
            self.on_request(data)

    def _tell_half_close(self) -> None:
        if not self._is_half_closed:
            self._is_half_closed = True
            self.on_half_close()

    def _break_server(self) -> None:
        """A lost connection looks like a half-close first; that the call is over shows a little later."""
        self.is_severed = True  # from here on nothing gets back, though the server may still try
        self._tell_half_close()
        self.server.after(self._network.rng.random() * 0.2, self._tell_broken)

    def _tell_broken(self) -> None:
        if not self.is_broken:
            self.is_broken = True
            self.on_broken()


class Network:
    """Who reaches whom, how fast, and every call that is open."""

    def __init__(self, agenda: Agenda, rng: Random, seen: Counter[str]) -> None:
        self.agenda = agenda
        self.rng = rng
        self.seen = seen
        self._calls: list[Call] = []
        self.slowness = 0.0  # of some calls, so that others overtake them
        self._slow_until = 0.0
        self._cut_off: dict[str, float] = {}
        self._alone_since: dict[str, float] = {}

    def arrival(self, slowness: float) -> float:
        """When what is sent now arrives."""
        slowest = LATENCY_SECONDS + slowness + (2.0 if self.agenda.now < self._slow_until else 0.0)
        return self.agenda.now + self.rng.random() * slowest

    def reaches(self, host: str) -> bool:
        return self._cut_off.get(host, 0.0) <= self.agenda.now

    @property
    def is_whole(self) -> bool:
        return all(map(self.reaches, self._cut_off))

    def call(self, client: Process, server: Process) -> Call:
        self._calls = [call for call in self._calls if not (call.has_ended and (call.is_answered or call.is_broken))]
        call = Call(self, client, server)
        self._calls.append(call)
        return call

    def slow_down(self, seconds: float) -> None:
        self._slow_until = self.agenda.now + seconds

    def reset_some(self) -> None:
        """Breaks calls here and there; both sides notice, one perhaps much later (half-open)."""
        for call in self._calls:
            if self.rng.random() < 0.5:
                self.seen["call reset"] += 1
                notices = [self.rng.random() * 0.1, self.rng.random() * 0.1]
                if self.rng.random() < 0.5:
                    self.seen["call half-open"] += 1
                    notices[self.rng.randrange(2)] = KEEPALIVE_SECONDS
                call.break_(*notices)

    def cut_off(self, host: str, daemon: Process | None, seconds: float) -> None:
        """Nobody reaches a host for a while. A short while only delays; a longer one breaks what is open."""
        if self.reaches(host):
            self._alone_since.pop(host, None)
        self._cut_off[host] = max(self._cut_off.get(host, 0.0), self.agenda.now + seconds)
        if daemon is not None and seconds > KEEPALIVE_SECONDS / 2:
            self.lose(daemon, at_once=False)
            self._alone_since.setdefault(host, self.agenda.now)

    def alone_for(self, host: str) -> float:
        """Returns for how long a host has had no connection to any conductor; 0 where it may have one."""
        if self.reaches(host) or host not in self._alone_since:
            return 0.0
        return max(0.0, self.agenda.now - self._alone_since[host] - KEEPALIVE_SECONDS)

    def lose(self, process: Process, *, at_once: bool) -> None:
        """A program died, and the system closes its connections; or its machine is gone, and only keepalive finds out.

        What it wrote last may be on its way until then, and arrives as from one that lives.
        """
        for call in self._calls:
            if call.involves(process):
                notice = self.rng.random() * 0.1 if at_once else KEEPALIVE_SECONDS * (0.5 + self.rng.random() / 2)
                call.break_(notice, notice)

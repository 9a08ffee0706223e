"""The network between conductors and hosts: calls with messages both ways, in order each way, that come late, or never.

What it does is what gRPC over TCP does (grpc.md 2): nothing is lost or turned round within a call that lives; a call that breaks
loses what is on its way, either side learns of it in its own time, and the server sees a half-close first. A dead program's
calls break at once; those of a dead or unreachable machine break when keepalive notices.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.agenda import Action, Agenda, Bell, Process

if TYPE_CHECKING:
    from collections.abc import Callable

KEEPALIVE_SECONDS = 10.0
LATENCY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class End:
    """The status of a call: the name of a code, with what the server said."""

    code: str
    reason: str = ""
    message: str = ""


BROKEN = End("UNAVAILABLE", "", "the connection was lost")


class Call:
    """One call. The client's side is told through functions, the server's through bells and a queue."""

    def __init__(self, network: "Network", client: Process, server: Process) -> None:
        self._network = network
        self._client = client
        self._server = server
        self._slowness = network.slowness if network.rng.random() < 0.15 else 0.0
        self._arrivals = {"there": 0.0, "back": 0.0}
        self.on_response: Callable[[object], None] = lambda _: None
        self.on_end: Callable[[End | None], None] = lambda _: None
        self.has_ended = False  # as its client sees it
        self.requests: list[object] = []
        self.is_half_closed = False  # as its server sees it, like the next
        self.is_broken = False
        self.is_answered = False
        self._is_severed = False
        self.bell = Bell()

    # The client's side.

    def request(self, message: object) -> None:
        if not self.has_ended:
            self._carry("there", self._server, lambda: self._take_request(message))

    def half_close(self) -> None:
        if not self.has_ended:
            self._carry("there", self._server, self._take_half_close)

    def cancel(self) -> None:
        if not self.has_ended:
            self.has_ended = True
            self._carry("there", self._server, self._break_server)

    # The server's side.

    def respond(self, message: object) -> None:
        if not self.is_answered and not self._is_severed:
            self._carry("back", self._client, lambda: self._tell_response(message))

    def finish(self, end: End | None) -> None:
        if not self.is_answered:
            self.is_answered = True
            if not self._is_severed:
                self._carry("back", self._client, lambda: self._tell_end(end))

    # Trouble.

    def strand(self) -> None:
        """What is sent arrives late, and the client believes it lost: what it sends on another call arrives before."""
        self._slowness = 9.0
        self.break_(0.05, KEEPALIVE_SECONDS)

    def lose_what_is_on_its_way(self) -> None:
        self.break_(0.05, 0.0)

    def involves(self, process: Process) -> bool:
        return process in (self._client, self._server)

    def break_(self, client_notices: float, server_notices: float) -> None:
        """Breaks it: each side learns of it after so many seconds, and what arrives for it later is lost."""
        self._client.after(client_notices, lambda: self._tell_end(BROKEN))
        self._server.after(server_notices, self._break_server)

    def _carry(self, way: str, receiver: Process, arrive: Action) -> None:
        arrival = max(self._arrivals[way], self._network.arrival(self._slowness))
        self._arrivals[way] = arrival

        self._network.agenda.at(arrival, lambda: receiver.do(arrive))

    def _tell_response(self, message: object) -> None:
        if not self.has_ended:
            self.on_response(message)

    def _tell_end(self, end: End | None) -> None:
        if not self.has_ended:
            self.has_ended = True
            self.on_end(end)

    def _take_request(self, message: object) -> None:
        if not self.is_half_closed:
            self.requests.append(message)
            self.bell.ring()

    def _take_half_close(self) -> None:
        self.is_half_closed = True
        self.bell.ring()

    def _break_server(self) -> None:
        """A lost connection looks like a half-close first; that writing fails shows a little later."""
        self._is_severed = True  # from here on nothing gets back, though the server may still try
        self._take_half_close()
        self._server.after(self._network.rng.random() * 0.2, self._fail_writing)

    def _fail_writing(self) -> None:
        self.is_broken = True
        self.bell.ring()


class Network:
    """Who reaches whom, how fast, and every call that is open."""

    def __init__(self, agenda: Agenda, rng: Random, seen: Counter[str]) -> None:
        self.agenda = agenda
        self.rng = rng
        self._seen = seen
        self._calls: list[Call] = []
        self.slowness = 0.0  # of some calls, so that others overtake them
        self._slow_until = 0.0
        self._cut_off: dict[str, float] = {}

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
                self._seen["call reset"] += 1
                notices = [self.rng.random() * 0.1, self.rng.random() * 0.1]
                if self.rng.random() < 0.5:
                    self._seen["call half-open"] += 1
                    notices[self.rng.randrange(2)] = KEEPALIVE_SECONDS
                call.break_(*notices)

    def cut_off(self, host: str, daemon: Process | None, seconds: float) -> None:
        """Nobody reaches a host for a while. A short while only delays; a longer one breaks what is open."""
        self._cut_off[host] = max(self._cut_off.get(host, 0.0), self.agenda.now + seconds)
        if daemon is not None and seconds > KEEPALIVE_SECONDS / 2:
            self.lose(daemon, at_once=False)

    def lose(self, process: Process, *, at_once: bool) -> None:
        """A program died, and the system closes its connections; or its machine is gone, and only keepalive finds out.

        What it wrote last may be on its way until then, and arrives as from one that lives.
        """
        for call in self._calls:
            if call.involves(process):
                notice = self.rng.random() * 0.1 if at_once else KEEPALIVE_SECONDS * (0.5 + self.rng.random() / 2)
                call.break_(notice, notice)

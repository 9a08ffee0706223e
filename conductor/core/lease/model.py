"""What a conductor knows of the lease, what it hears, and what it is told to do.

A shared database has one row with the lease: its holder, the holder's epoch, and until when it is held by the database's own clock.
A conductor is a standby until it takes the lease, and the active one until it gives the lease away, loses it, or lets it run out.
"""

from dataclasses import dataclass, field
from enum import StrEnum

# The holder counts less than the database does: the clocks of two machines do not run equally fast.
SAFE_SHARE = 0.9
RENEWALS = 4  # in the time of one lease
LOOK_SECONDS = 0.5


class Role(StrEnum):
    """The role of a conductor."""

    STANDBY = "standby"
    TAKING_OVER = "taking over"
    ACTIVE = "active"
    HANDING_OVER = "handing over"
    SUPERSEDED = "superseded"


# Every step from one role to another; any other is a defect.
TRANSITIONS = {
    Role.STANDBY: frozenset({Role.TAKING_OVER}),
    Role.TAKING_OVER: frozenset({Role.ACTIVE, Role.STANDBY, Role.HANDING_OVER, Role.SUPERSEDED}),
    Role.ACTIVE: frozenset({Role.HANDING_OVER, Role.SUPERSEDED}),
    Role.HANDING_OVER: frozenset({Role.STANDBY, Role.SUPERSEDED}),
    Role.SUPERSEDED: frozenset({Role.STANDBY}),
}


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as the database told it. `left` is how long it is still held, by the database's clock; 0 where it is free."""

    holder: str = ""
    epoch: int = 0
    left: float = 0.0
    address: str = ""


class Question(StrEnum):
    """A statement for the database about the lease. Each answer tells the lease as it is after the statement."""

    LOOK = "look"
    # Takes a lease that is free, has run out, or is this conductor's own, if its epoch is still the one that was seen. Raises it.
    TAKE = "take"
    # Extends the lease of this conductor and epoch, unless it has run out.
    RENEW = "renew"
    # Frees the lease of this conductor and epoch.
    GIVE_AWAY = "give away"


@dataclass(frozen=True, slots=True)
class Answered:
    """The database answered. `asked_at` is the time before the question was sent, by CLOCK_BOOTTIME, as every time here."""

    question: Question
    asked_at: float
    lease: Lease


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The database did not answer in time, or the connection broke. The statement may have been carried out."""

    question: Question


@dataclass(frozen=True, slots=True)
class Ready:
    """This conductor has recovered with its new epoch and presented it to the hosts."""


@dataclass(frozen=True, slots=True)
class FenceLost:
    """A write was refused because of a newer epoch, or what the database holds of the last write is not known."""


@dataclass(frozen=True, slots=True)
class HandOverAsked:
    """The lease is to be given away. `for_good`: this process ends, and takes it never again."""

    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """All parts of the active conductor have ended: they send nothing and store nothing any more."""


Input = Answered | Unanswered | Ready | FenceLost | HandOverAsked | Ended


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks the database. One answer follows, `Answered` or `Unanswered`. `epoch` is the one that was seen (TAKE), or one's own."""

    question: Question
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Recover:
    """Begins to be the active conductor of this epoch. `Ready` follows, unless a Stop comes first."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Sends nothing more from now on, and ends the parts of the active conductor; `Ended` follows.

    `politely`: the lease is still held, so what waits to be stored is stored first.
    """

    politely: bool = False


Deed = Ask | Recover | Stop


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one conductor stands. `me` is a name that no other living process has."""

    me: str
    seconds: float = 10.0  # of a lease
    role: Role = Role.STANDBY
    epoch: int = 0
    until: float = 0.0  # the own lease, 0 where there is none
    ask_at: float = 0.0
    is_asking: bool = False
    has_ended: bool = True
    # A conductor that gave the lease of this epoch away lets others take it first; one that took it just now waits, too.
    rests_until: float = 0.0
    rests_at: int = -1
    is_leaving: bool = False
    told: Lease = field(default_factory=Lease)

    @property
    def wake_at(self) -> float | None:
        """Returns when something is to be done without an input; None where only an input can follow."""
        due = [self.ask_at] if not self.is_asking and self.role is not Role.SUPERSEDED else []
        due += [self.until] if self.until else []
        return min(due, default=None)

    def may_send(self, now: float) -> bool:
        """Returns whether this conductor may send something to a host now."""
        return self.role in {Role.TAKING_OVER, Role.ACTIVE} and now < self.until

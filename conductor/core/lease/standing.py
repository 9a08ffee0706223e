"""Decides what a conductor does about the lease. Pure: times are arguments, and the database is asked by the caller.

The rules, before the code:

- The holder counts its lease from before the renewal was asked, and a little less than the database does. So it stops before any
  other conductor can take the lease, however long an answer took. When the lease has run out, it stops sending in the same call.
- Whether a lease of another conductor has run out, only the database says, by its own clock.
- Only taking the lease raises the epoch. A conductor that lost the lease, or does not know whether it holds it, discards what it
  had in memory and takes the lease again, with a new epoch and by the same recovery as at a start.
- A lease that is given away is free at once. It is given away after the parts have ended, so that everything is stored before.
"""

from collections.abc import Iterable
from dataclasses import replace

from conductor.core.lease.model import (
    LOOK_SECONDS,
    RENEWALS,
    SAFE_SHARE,
    TRANSITIONS,
    Answered,
    Ask,
    Deed,
    Ended,
    FenceLost,
    HandOverAsked,
    Input,
    Lease,
    Question,
    Ready,
    Recover,
    Role,
    Standing,
    Stop,
    Unanswered,
)

SHORTEST_SECONDS = 0.01


def decide(standing: Standing, inputs: Iterable[Input], now: float) -> tuple[Standing, tuple[Deed, ...]]:
    """Returns where the conductor stands after these inputs at this time, and what it does."""
    draft = _Draft(standing, now)
    draft.judge_clock()
    for entry in inputs:
        draft.take(entry)
        draft.judge_clock()
    draft.ask_what_is_due()
    return draft.standing, tuple(draft.deeds)


class _Draft:
    """A decision in the making."""

    def __init__(self, standing: Standing, now: float) -> None:
        self.standing = standing
        self.now = now
        self.deeds: list[Deed] = []

    def take(self, entry: Input) -> None:
        """Takes one input."""
        role = self.standing.role
        match entry:
            case Answered():
                self._change(is_asking=False, told=entry.lease, ask_at=self.now)
                self._take_answer(entry)
            case Unanswered():
                self._change(is_asking=False, ask_at=self.now + LOOK_SECONDS)
                self._take_silence(entry.question)
            case Ready() if role is Role.TAKING_OVER and self.standing.until:
                self._become(Role.ACTIVE)
            case FenceLost() if self.standing.until:
                self._lose()
            case HandOverAsked():
                self._hand_over(for_good=entry.for_good)
            case Ended():
                self._change(has_ended=True)
                if role is Role.SUPERSEDED:
                    self._become(Role.STANDBY, epoch=0, ask_at=self.now)

    def judge_clock(self) -> None:
        """Notes that the own lease has run out."""
        if self.standing.until and self.now >= self.standing.until:
            self._lose()

    def ask_what_is_due(self) -> None:
        """Asks the one question that is due now."""
        standing = self.standing
        if standing.is_asking:
            return
        if standing.role is Role.HANDING_OVER and standing.has_ended:
            self._ask(Question.GIVE_AWAY)
        elif self.now >= standing.ask_at and standing.role is not Role.SUPERSEDED:
            self._ask(Question.RENEW if standing.until else Question.LOOK)

    def _take_answer(self, answer: Answered) -> None:
        standing, lease = self.standing, answer.lease
        is_mine = lease.holder == standing.me and lease.left > 0
        match answer.question:
            case Question.LOOK if standing.role is Role.STANDBY:
                self._look(lease)
            case Question.TAKE if is_mine:
                self._hold(answer)
                self._change(epoch=lease.epoch)
                self._begin()
            case Question.TAKE:
                self._become(Role.STANDBY, ask_at=self.now + LOOK_SECONDS)
            case Question.RENEW if standing.until and is_mine and lease.epoch == standing.epoch:
                self._hold(answer)
            case Question.RENEW if standing.until:
                self._lose()
            case Question.GIVE_AWAY if standing.role is Role.HANDING_OVER:
                self._rest()

    def _take_silence(self, question: Question) -> None:
        if question is Question.TAKE:
            self._become(Role.STANDBY)
        elif question is Question.GIVE_AWAY and self.standing.role is Role.HANDING_OVER:
            self._rest()
        elif question is Question.RENEW:
            self._change(ask_at=self.now + self.standing.seconds / RENEWALS / RENEWALS)

    def _look(self, lease: Lease) -> None:
        """Takes a lease that is free, has run out, or is one's own: what one does with that is not known any more."""
        standing = self.standing
        is_free = lease.left <= 0 or lease.holder == standing.me
        is_resting = self.now < standing.rests_until and lease.epoch == standing.rests_at
        if is_free and not standing.is_leaving and not is_resting:
            self._become(Role.TAKING_OVER)
            self._ask(Question.TAKE, lease.epoch)
        else:
            wait = min(LOOK_SECONDS, lease.left) if lease.left > 0 else LOOK_SECONDS
            self._change(ask_at=self.now + max(wait, SHORTEST_SECONDS))

    def _hold(self, answer: Answered) -> None:
        """Holds the lease for as long as the answer is worth, which may be over already."""
        seconds = self.standing.seconds
        self._change(until=answer.asked_at + seconds * SAFE_SHARE, ask_at=answer.asked_at + seconds / RENEWALS)

    def _begin(self) -> None:
        if self.standing.is_leaving:
            self._become(Role.HANDING_OVER)
        else:
            epoch = self.standing.epoch
            # A tenure that fails at its beginning fails again: epochs must not rise a hundred times a second.
            self._change(has_ended=False, rests_until=self.now + LOOK_SECONDS, rests_at=epoch)
            self.deeds.append(Recover(epoch))

    def _hand_over(self, *, for_good: bool) -> None:
        self._change(is_leaving=self.standing.is_leaving or for_good)
        if self.standing.until and self.standing.role is not Role.HANDING_OVER:
            self._become(Role.HANDING_OVER)
            self.deeds.append(Stop(politely=True))

    def _lose(self) -> None:
        """Stops at once: the lease is not held any more."""
        has_ended = self.standing.has_ended
        self._become(Role.SUPERSEDED, until=0.0)
        if has_ended:
            self._become(Role.STANDBY, epoch=0, ask_at=self.now)
        else:
            self.deeds.append(Stop())

    def _rest(self) -> None:
        until, epoch = self.now + self.standing.seconds, self.standing.epoch
        self._become(Role.STANDBY, epoch=0, until=0.0, rests_until=until, rests_at=epoch)

    def _ask(self, question: Question, epoch: int | None = None) -> None:
        self._change(is_asking=True)
        self.deeds.append(Ask(question, self.standing.epoch if epoch is None else epoch))

    def _become(self, role: Role, **changes: object) -> None:
        if role not in TRANSITIONS[self.standing.role]:
            raise ValueError(f"a conductor that is {self.standing.role} cannot become {role}")
        self._change(role=role, **changes)

    def _change(self, **changes: object) -> None:
        self.standing = replace(self.standing, **changes)  # type: ignore[arg-type] # names of its fields

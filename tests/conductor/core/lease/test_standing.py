"""What a conductor does about the lease, case by case."""

import pytest

from conductor.core.lease.model import (
    LOOK_SECONDS,
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
from conductor.core.lease.standing import decide

LOOK, TAKE, RENEW, GIVE_AWAY = Question
SECONDS = 10.0
FREE, MINE, THEIRS = Lease("", 3, 0.0), Lease("me", 4, 10.0), Lease("other", 4, 8.0)
OUT = Lease("other", 3, 0.0)


class Conductor:
    """One conductor at a time of CLOCK_BOOTTIME that starts at 100."""

    def __init__(self, *inputs: Input | float) -> None:
        self.now = 100.0
        self.standing = Standing("me", SECONDS)
        self.deeds: tuple[Deed, ...] = ()
        self.hear()
        for entry in inputs:
            if isinstance(entry, float):
                self.now += entry
                self.hear()
            else:
                self.hear(entry)

    def hear(self, *inputs: Input) -> tuple[Role, tuple[Deed, ...]]:
        self.standing, self.deeds = decide(self.standing, inputs, self.now)
        return self.standing.role, self.deeds


TAKEN = (Answered(LOOK, 100.0, FREE), Answered(TAKE, 100.0, MINE))
ACTIVE = (*TAKEN, Ready())


@pytest.mark.parametrize(
    ("before", "entry", "role", "deeds"),
    [
        ((), Answered(LOOK, 100.0, FREE), Role.TAKING_OVER, (Ask(TAKE, 3),)),
        ((), Answered(LOOK, 100.0, OUT), Role.TAKING_OVER, (Ask(TAKE, 3),)),
        ((), Answered(LOOK, 100.0, THEIRS), Role.STANDBY, ()),
        ((), Answered(LOOK, 100.0, MINE), Role.TAKING_OVER, (Ask(TAKE, 4),)),
        ((), Unanswered(LOOK), Role.STANDBY, ()),
        (TAKEN[:1], Answered(TAKE, 100.0, MINE), Role.TAKING_OVER, (Recover(4),)),
        (TAKEN[:1], Answered(TAKE, 100.0, THEIRS), Role.STANDBY, ()),
        (TAKEN[:1], Unanswered(TAKE), Role.STANDBY, ()),
        (TAKEN, Ready(), Role.ACTIVE, ()),
        (TAKEN, FenceLost(), Role.SUPERSEDED, (Stop(),)),
        ((*ACTIVE, 2.5), Answered(RENEW, 102.5, THEIRS), Role.SUPERSEDED, (Stop(),)),
        ((*ACTIVE, 2.5), Answered(RENEW, 102.5, Lease("me", 5, 10.0)), Role.SUPERSEDED, (Stop(),)),
        ((*ACTIVE, 2.5), Answered(RENEW, 102.5, OUT), Role.SUPERSEDED, (Stop(),)),
        ((*ACTIVE, 2.5), Unanswered(RENEW), Role.ACTIVE, ()),
        (ACTIVE, HandOverAsked(), Role.HANDING_OVER, (Stop(politely=True),)),
        ((*ACTIVE, HandOverAsked()), Ended(), Role.HANDING_OVER, (Ask(GIVE_AWAY, 4),)),
        ((*ACTIVE, HandOverAsked(), Ended()), Answered(GIVE_AWAY, 100.0, FREE), Role.STANDBY, (Ask(LOOK, 0),)),
        ((*ACTIVE, FenceLost()), Ended(), Role.STANDBY, (Ask(LOOK, 0),)),
        ((HandOverAsked(for_good=True),), Answered(LOOK, 100.0, FREE), Role.STANDBY, ()),
        ((*TAKEN[:1], HandOverAsked(for_good=True)), TAKEN[1], Role.HANDING_OVER, (Ask(GIVE_AWAY, 4),)),
    ],
)
def test_what_follows_from_each_input(
    before: tuple[Input | float, ...], entry: Input, role: Role, deeds: tuple[Deed, ...]
) -> None:
    assert Conductor(*before).hear(entry) == (role, deeds)


def test_a_tenure_that_fails_at_once_is_not_begun_again_at_once() -> None:
    """For example where the server has room for one connection, and not for all that a tenure needs."""
    conductor = Conductor(*TAKEN, FenceLost(), Ended())
    asked = conductor.hear(Answered(LOOK, 100.0, MINE))
    conductor.now = conductor.standing.wake_at or 0.0

    assert asked == (Role.STANDBY, ())
    assert conductor.now == 100.0 + LOOK_SECONDS
    assert conductor.hear() == (Role.STANDBY, (Ask(LOOK, 0),))
    assert conductor.hear(Answered(LOOK, conductor.now, MINE)) == (Role.TAKING_OVER, (Ask(TAKE, 4),))


def test_a_standby_looks_at_once_and_again_when_the_lease_of_another_runs_out() -> None:
    conductor = Conductor()
    assert conductor.deeds == (Ask(LOOK, 0),)

    conductor.hear(Answered(LOOK, 100.0, Lease("other", 3, 0.2)))

    assert conductor.standing.wake_at == pytest.approx(100.2)


def test_a_lease_counts_from_before_it_was_asked_and_less_than_the_database_counts() -> None:
    conductor = Conductor(TAKEN[0], 3.0, Answered(TAKE, 100.0, MINE), Ready())

    assert conductor.standing.until == 100.0 + SECONDS * SAFE_SHARE
    assert conductor.standing.may_send(108.9)
    assert not conductor.standing.may_send(109.0)


def test_a_conductor_that_was_stopped_stops_sending_before_it_hears_anything() -> None:
    """Also of an answer that came in time: it may be too late for what it allowed."""
    conductor = Conductor(*ACTIVE)
    conductor.now += 60.0

    assert not conductor.standing.may_send(conductor.now)
    assert conductor.hear(Answered(RENEW, 102.5, MINE)) == (Role.SUPERSEDED, (Stop(),))


def test_an_answer_that_comes_after_the_lease_ran_out_gives_it_back_to_nobody() -> None:
    conductor = Conductor(*ACTIVE, 2.5, 6.5)
    assert conductor.standing.role is Role.SUPERSEDED

    conductor.hear(Ended())
    role, deeds = conductor.hear(Answered(RENEW, 102.5, MINE))
    assert (role, deeds) == (Role.STANDBY, (Ask(LOOK, 0),))
    assert conductor.hear(Answered(LOOK, 109.0, MINE))[1] == (Ask(TAKE, 4),), "with a new epoch"


def test_an_active_conductor_renews_before_a_third_of_its_lease_is_over() -> None:
    conductor = Conductor(*ACTIVE)
    assert conductor.deeds == ()

    conductor.now = 102.5
    assert conductor.hear() == (Role.ACTIVE, (Ask(RENEW, 4),))
    conductor.hear(Answered(RENEW, 102.5, MINE))
    assert conductor.standing.until == 102.5 + SECONDS * SAFE_SHARE


def test_the_lease_is_renewed_during_a_long_recovery() -> None:
    assert Conductor(*TAKEN, 2.5).deeds == (Ask(RENEW, 4),)


def test_a_conductor_that_gave_the_lease_away_lets_others_take_it_first() -> None:
    conductor = Conductor(*ACTIVE, HandOverAsked(), Ended(), Answered(GIVE_AWAY, 100.0, FREE))

    given = Lease("", MINE.epoch, 0.0)
    assert conductor.hear(Answered(LOOK, 100.0, given)) == (Role.STANDBY, ())
    conductor.now += SECONDS
    conductor.hear()
    assert conductor.hear(Answered(LOOK, 110.0, given)) == (Role.TAKING_OVER, (Ask(TAKE, 4),))


def test_a_lease_that_another_took_and_gave_back_is_taken_at_once() -> None:
    conductor = Conductor(*ACTIVE, HandOverAsked(), Ended(), Answered(GIVE_AWAY, 100.0, FREE))

    assert conductor.hear(Answered(LOOK, 100.0, Lease("", 5, 0.0))) == (Role.TAKING_OVER, (Ask(TAKE, 5),))


def test_only_a_stopped_conductor_gives_the_lease_away_and_asks_nothing_else_meanwhile() -> None:
    conductor = Conductor(*ACTIVE, 2.5, HandOverAsked())
    assert not conductor.standing.may_send(conductor.now)

    assert conductor.hear(Ended())[1] == (), "a renewal is asked already"
    assert conductor.hear(Answered(RENEW, 102.5, MINE))[1] == (Ask(GIVE_AWAY, 4),)


def test_an_unlisted_step_between_roles_is_a_defect() -> None:
    assert set(TRANSITIONS) == set(Role)
    with pytest.raises(ValueError, match="a conductor that is standby cannot become superseded"):
        decide(Standing("me", until=1.0), (), 2.0)

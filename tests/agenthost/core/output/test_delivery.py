"""The numbers of an attempt: what was made, and what its conductor has."""

import pytest

from agenthost.core.output.delivery import Delivery
from agenthost.errors import InvalidRequestError


def test_an_attempt_is_settled_when_its_last_frame_is_acknowledged() -> None:
    delivery = Delivery()
    delivery.note(1)
    delivery.note(2, is_end=True)
    delivery.acknowledge(1)
    assert not delivery.is_settled
    assert delivery.is_unheard
    delivery.acknowledge(2)
    delivery.acknowledge(1)

    assert delivery.is_settled
    assert not delivery.is_unheard
    assert delivery.acknowledged == 2


def test_a_number_that_was_never_made_is_neither_resumed_from_nor_acknowledged() -> None:
    delivery = Delivery()
    delivery.note(3)
    delivery.resume(3)

    with pytest.raises(InvalidRequestError, match="must be 0 to 3"):
        delivery.resume(4)
    with pytest.raises(InvalidRequestError, match="above the last number, 3"):
        delivery.acknowledge(4)
    with pytest.raises(InvalidRequestError, match="must be 0 to 3"):
        delivery.resume(-1)


def test_after_a_restart_of_the_daemon_the_conductor_knows_how_many_were_made() -> None:
    delivery = Delivery(recalled=True)
    delivery.resume(7)
    delivery.acknowledge(7)

    with pytest.raises(InvalidRequestError, match="must be 0 to 9: no other was ever sent"):
        delivery.resume(10, highest=9)
    assert delivery.last == 7
    with pytest.raises(InvalidRequestError, match="must be 0 to 7"):
        delivery.resume(-1)
    assert not delivery.is_settled, "an earlier daemon made them: which one is the end is not known yet"

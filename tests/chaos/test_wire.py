"""A wire does to packets what its condition says: some are lost, repeated, held up or overtaken, none is early."""

from itertools import pairwise

from tests.chaos.wire import CLEAR, LONGEST_QUEUE_SECONDS, Condition, Wire

PACKETS, BYTES = 2000, 1000


def arrivals(condition: Condition, pause: float = 0.001) -> list[tuple[float, ...]]:
    wire = Wire("a seed")
    wire.condition = condition
    return [wire.arrivals(BYTES, number * pause) for number in range(PACKETS)]


def test_a_clear_wire_carries_each_packet_once_and_at_once() -> None:
    assert arrivals(CLEAR) == [(number * 0.001,) for number in range(PACKETS)]


def test_a_lossy_wire_loses_the_share_that_it_is_to_lose() -> None:
    lost = sum(not times for times in arrivals(Condition(loss=0.2)))

    assert 0.15 * PACKETS < lost < 0.25 * PACKETS


def test_a_repeating_wire_carries_some_packets_twice() -> None:
    twice = sum(len(times) == 2 for times in arrivals(Condition(repeats=0.2)))

    assert 0.15 * PACKETS < twice < 0.25 * PACKETS


def test_packets_that_are_held_up_for_different_times_overtake_each_other_and_none_is_early() -> None:
    came = [times[0] for times in arrivals(Condition(delay_seconds=0.01, jitter_seconds=0.02))]

    assert came != sorted(came)
    assert all(number * 0.001 + 0.01 <= time <= number * 0.001 + 0.03 for number, time in enumerate(came))


def test_a_narrow_wire_keeps_its_pace_and_loses_what_would_wait_too_long() -> None:
    pace = 100_000
    all_arrivals = arrivals(Condition(bytes_per_second=pace))  # ten times as much is sent
    came = [times[0] for times in all_arrivals if times]

    assert all(later - earlier > 0.99 * BYTES / pace for earlier, later in pairwise(came))
    assert all(times[0] - number * 0.001 <= LONGEST_QUEUE_SECONDS for number, times in enumerate(all_arrivals) if times)
    assert 0.05 * PACKETS < len(came) < 0.2 * PACKETS


def test_a_seed_gives_the_same_again() -> None:
    bad = Condition(loss=0.1, repeats=0.1, jitter_seconds=0.1)

    assert arrivals(bad) == arrivals(bad)

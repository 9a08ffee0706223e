"""A flood of strangers costs no more in a second than a limit says."""

from servicekit.tls.pace import Pace


def test_so_many_happen_at_once_and_then_so_many_a_second() -> None:
    pace = Pace(per_second=10, at_once=3)

    assert [round(pace.delay(100.0), 3) for _ in range(6)] == [0, 0, 0, 0.1, 0.2, 0.3]
    assert round(pace.delay(100.4), 3) == 0
    assert round(pace.delay(100.4), 3) == 0.1
    assert [round(pace.delay(200.0), 3) for _ in range(4)] == [0, 0, 0, 0.1]


def test_what_has_no_turn_now_takes_none() -> None:
    pace = Pace(per_second=1, at_once=2)

    assert [pace.is_free(at) for at in (0.0, 0.0, 0.0, 0.5, 1.1, 1.1, 9.0, 9.0, 9.0)] == [
        *(True, True, False, False, True, False, True, True, False)
    ]

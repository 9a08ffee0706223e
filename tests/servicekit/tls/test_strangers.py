"""One machine with many connections does not keep out others. Keeps K3."""

from servicekit.tls.strangers import Strangers


def of(*connections: str) -> Strangers[str]:
    strangers: Strangers[str] = Strangers()
    for connection in connections:
        strangers.add(connection[0], connection)
    return strangers


def test_the_oldest_of_the_machine_with_the_most_gives_way() -> None:
    strangers = of("b1", "a1", "a2", "a3", "b2")
    left = []
    while (connection := strangers.most_crowded()) is not None:
        strangers.discard(connection[0], connection)
        strangers.discard(connection[0], connection)
        left.append(connection)

    assert left[:2] == ["a1", "b1"]
    assert len(left) == 5
    assert len(strangers) == 0


def test_machines_take_turns() -> None:
    strangers = of("a1", "a2", "a3", "b1", "c1", "b2")

    assert [strangers.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(strangers) == 0

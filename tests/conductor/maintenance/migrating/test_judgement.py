"""Whether a migration may begin. Two stores are never both served, and nothing newer is overwritten."""

import pytest

from conductor.errors import MigrationError
from conductor.maintenance.migrating.judgement import Way, arriving, judge, leaving, standing_after
from conductor.store.raw import Move, Standing

HERE = Standing("a", 7, 100)
MOVED = Standing("a", 7, 100, leaving(HERE, "there"))
COMING = Standing("a", 0, 0, arriving(HERE, "here"))
WHOLE = standing_after(HERE)


@pytest.mark.parametrize(
    ("source", "target", "way"),
    [
        (HERE, None, Way.BEGIN),
        (HERE, COMING, Way.GO_ON),
        (MOVED, COMING, Way.GO_ON),  # killed between the two halves of the switch
        (Standing("a", 8, 120), COMING, Way.BEGIN),  # the source was served meanwhile
        (MOVED, WHOLE, Way.NOTHING),
        (MOVED, Standing("a", 12, 900), Way.NOTHING),  # it was served there
        (Standing("a", 12, 900), Standing("a", 7, 100, Move("here", "a", 7)), Way.BEGIN),  # back to where it was
    ],
)
def test_it_begins_goes_on_or_has_nothing_to_do(source: Standing, target: Standing | None, way: Way) -> None:
    assert judge(source, target, "here", "there") is way


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (None, None, "there is no conductor in here"),
        (COMING, None, "here is not whole"),
        (Standing("a", 7, 100, Move("elsewhere", "a", 7)), None, "was moved to elsewhere"),
        (MOVED, None, "nothing is there"),
        (HERE, Standing("b", 1, 1), "there holds another conductor, b"),
        (HERE, Standing("b", 0, 0, Move("x", "b", 3, is_arriving=True)), "there holds another conductor, b"),
        (HERE, WHOLE, "there holds this conductor already, with epoch 8; the source has 7"),
        (HERE, Standing("a", 9, 1, Move("x", "a", 9)), "holds this conductor already"),
    ],
)
def test_it_is_refused_with_a_sentence(source: Standing | None, target: Standing | None, why: str) -> None:
    with pytest.raises(MigrationError, match=why) as caught:
        judge(source, target, "here", "there")

    assert caught.value.hint


def test_a_mark_reads_as_it_was_written() -> None:
    move = Move("postgresql://a@b/c", "id", 3, is_arriving=True)

    assert Move.decode(move.encode()) == move
    assert Move.decode("") is None

import pytest

from agenthost.core.snapshots.integrity import Judgement, Look, judge, needs_contents

SAME, TOUCHED = Look("a", "a"), Look("a", "b")
DAMAGED, GONE = Look("a", "b", "'README.md' is not what it was"), Look("a", "")


@pytest.mark.parametrize(("look", "needed"), [(SAME, False), (TOUCHED, True), (GONE, False)])
def test_contents_are_read_only_where_they_can_decide(look: Look, *, needed: bool) -> None:
    assert needs_contents(look) is needed


@pytest.mark.parametrize(
    ("look", "in_use", "judgement"),
    [
        (SAME, False, Judgement("a")),
        (SAME, True, Judgement("a")),
        (TOUCHED, False, Judgement("b")),
        (DAMAGED, False, Judgement("b", is_given_up=True)),
        (GONE, False, Judgement("", is_given_up=True)),
        (TOUCHED, True, Judgement("b", "its contents are right, but it was touched", is_given_up=True)),
        (DAMAGED, True, Judgement("b", "'README.md' is not what it was", is_given_up=True)),
        (GONE, True, Judgement("", "it is gone", is_given_up=True)),
    ],
)
def test_every_look_has_one_consequence(look: Look, judgement: Judgement, *, in_use: bool) -> None:
    """Keeps E7: while an agent reads, any difference is a violation; while none does, contents decide."""
    assert judge(look, in_use=in_use) == judgement

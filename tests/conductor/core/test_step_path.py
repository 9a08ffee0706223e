"""Ids of steps are paths, and both services, each with a grammar of its own, take the same ones."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agenthost.core.admission.order import check_execution_id
from conductor.api.messages.names import read_step, step_name
from conductor.core.folded.attempt import attempt_id, attempt_owner
from conductor.core.model.step_path import is_child_path, is_step_name, is_step_path
from conductor.errors import InvalidRequestError
from tests.conductor.core.bench import RUN

LONGEST = ".".join(["a" * 40, "9" * 8, "b" * 40])


@pytest.mark.parametrize("name", ["a", "look_2", "a" * 40])
def test_what_an_author_may_call_a_step_is_a_path_of_one_name(name: str) -> None:
    """Keeps K7: such are the ids of every stored run."""
    assert is_step_name(name)
    assert is_step_path(name)
    assert not is_child_path(name)


@pytest.mark.parametrize("path", ["angles.3.look", "refine.0.ask.12.merge", "a.b", "a.0", LONGEST])
def test_a_child_has_a_path_that_no_author_may_write(path: str) -> None:
    assert is_step_path(path)
    assert is_child_path(path)
    assert not is_step_name(path)
    assert attempt_owner(attempt_id(RUN, path, 12)) == (RUN, path)
    assert read_step(step_name(RUN, path)) == (RUN, path)


WRONG = [
    "",
    ".",
    "3.look",
    "a.",
    ".a",
    "a..b",
    "a.03",
    "a.B",
    "a-b",
    "a b",
    "a.b\n",
    "a" * 41,
    f"{LONGEST}9",
    "a/b",
    "ä",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_path_is_refused(text: str) -> None:
    assert not is_step_path(text)
    with pytest.raises(InvalidRequestError):
        read_step(f"runs/{RUN}/steps/{text}")


@example(LONGEST)
@example(f"{LONGEST}9")
@example("a\n")
@given(st.text("ab09_.-AB\n", max_size=100) | st.from_regex(r"[a-b_0-9.]{80,100}"))
def test_a_host_takes_the_attempts_of_exactly_these_steps(text: str) -> None:
    violations = tuple(check_execution_id(attempt_id(RUN, text, 1), "start.execution"))

    assert is_step_path(text) == (not violations)
    assert len(attempt_id(RUN, text, 999_999)) <= 128 or not is_step_path(text)

"""Every event comes back as it was, and what cannot be read is never guessed."""

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.core.model.events.attempt_events import AttemptStarted
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import RunStarted, StepSkipped, StepSucceeded
from conductor.core.model.plan import AgentPlan, FoldPlan, OnFailure, StepPlan
from conductor.core.model.states import Failure
from conductor.store.codec import EVENT_TYPES, UndecodableEventError, decode, decode_event, encode

SCALARS = {
    str: st.text(max_size=8),
    int: st.integers(-(2**62), 2**62),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    NoneType: st.none(),
}


@cache
def values(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation in SCALARS:
        return SCALARS[annotation]
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of(*(values(option) for option in get_args(annotation)))
    if get_origin(annotation) is tuple:
        items = get_args(annotation)
        if items[1:] == (Ellipsis,):
            return st.lists(values(items[0]), max_size=2).map(tuple)
        return st.tuples(*(values(item) for item in items))
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    assert is_dataclass(annotation)
    return st.deferred(lambda: built(annotation))  # a plan may hold plans


def built(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_comes_back_as_it_was(name: str) -> None:
    """Keeps I1."""

    @given(values(EVENT_TYPES[name]))
    def check(event: Any) -> None:
        assert decode_event(name, encode(event)) == event

    check()


def test_text_without_a_utf8_form_comes_back_as_it_was() -> None:
    event = StepSkipped("a", "half a character: \ud83d")

    assert decode_event("StepSkipped", encode(event)) == event
    encode(event).encode("utf-8")


def test_an_unknown_field_is_passed_over() -> None:
    """Keeps K7."""
    assert decode_event("RunStarted", '{"speed": 9}') == RunStarted()


def test_a_field_that_a_row_lacks_takes_its_default() -> None:
    """Keeps K7."""
    assert decode_event("StepSucceeded", '{"step": "a"}') == StepSucceeded("a")
    assert decode_event("AttemptStarted", '{"step": "a", "attempt": "x", "confinement": {}}') == AttemptStarted(
        "a", "x", Confinement()
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("StepInvented", "{}"),
        ("StepSkipped", "{"),
        ("StepSkipped", "[]"),
        ("StepSkipped", '{"step": "a"}'),
        ("StepSkipped", '{"step": "a", "reason": 3}'),
        ("StepRequeued", '{"step": "a", "failure": {"reason": "r", "message": "m"}, "not_before": true}'),
        ("RunSettled", '{"state": "exploded"}'),
        ("AttemptStarted", '{"step": "a", "attempt": "x", "confinement": {"argv": "sh"}}'),
        ("RunSettled", "[" * 100_000),
    ],
)
def test_what_is_not_the_event_is_refused(name: str, text: str) -> None:
    """Keeps I5."""
    with pytest.raises(UndecodableEventError):
        decode_event(name, text)


def test_what_has_no_form_in_json_is_refused_when_it_is_written() -> None:
    with pytest.raises(TypeError):
        encode(object())


def test_the_json_says_the_names_of_the_fields() -> None:
    assert json.loads(encode(Failure("R", "m", step="a"))) == {
        "reason": "R",
        "message": "m",
        "kind": "FATAL",
        "step": "a",
        "cause": None,
    }


def test_a_step_is_written_with_the_kind_of_its_plan() -> None:
    asked, folded = StepPlan("a", AgentPlan(("survey",))), StepPlan("b", FoldPlan(), needs=("a",))

    assert json.loads(encode(asked))["work"]["kind"] == "agent"
    assert json.loads(encode(folded))["work"] == {"kind": "fold"}
    assert [decode(StepPlan, encode(step)) for step in (asked, folded)] == [asked, folded]


def test_a_step_of_an_earlier_version_is_read_from_its_kind_and_its_agent() -> None:
    """Keeps K7: these are rows as f9ac01c wrote them."""
    asked = (
        '{"id":"a","kind":"agent","label":"A","needs":[],"agent":{"agents":["survey"],"max_attempts":2},"parent":""}'
    )
    folded = '{"id":"b","kind":"fold","needs":["a"],"on_failure":"continue","agent":null}'

    assert decode(StepPlan, asked) == StepPlan("a", AgentPlan(("survey",), max_attempts=2), label="A")
    assert decode(StepPlan, folded) == StepPlan("b", FoldPlan(), needs=("a",), on_failure=OnFailure.CONTINUE)


@pytest.mark.parametrize("work", ['{"kind": "dance"}', "{}", "null", "[]", '{"kind": ["agent"]}'])
def test_a_step_of_an_unknown_kind_is_refused(work: str) -> None:
    """Keeps I5: a later version may have written it."""
    with pytest.raises(UndecodableEventError, match="none of agent, fold"):
        decode(StepPlan, f'{{"id": "a", "work": {work}}}')

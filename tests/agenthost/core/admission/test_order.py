import dataclasses
import re

import pytest

from agenthost.core.admission.order import (
    WIDEST,
    Limits,
    Order,
    Parameter,
    check_order,
    check_parameters,
    with_defaults,
)

GOOD = Order(
    execution=f"{'0' * 26}-look-1", agent="scripted", prompt="hello", snapshot="a" * 40, parameters={}, limits=Limits()
)
LENS = (Parameter("lens", re.compile("risks|docs"), "docs"),)


def wrong_fields(order: Order) -> list[str]:
    return [violation.field for violation in check_order(order, WIDEST, max_prompt_bytes=5)]


def test_a_good_order_has_nothing_wrong() -> None:
    assert wrong_fields(GOOD) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("execution", "../../etc"),
        ("execution", f"{'0' * 26}-look-0"),
        ("execution", f"{'0' * 26}-Look-1"),
        ("execution", f"{'0' * 26}-look-1\n"),
        ("agent", ""),
        ("prompt", "hellö"),
        ("snapshot", "HEAD"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str) -> None:
    assert wrong_fields(dataclasses.replace(GOOD, **{field: value})) == [f"start.{field}"]


@pytest.mark.parametrize("name", Limits.__slots__)
def test_a_request_can_only_narrow_a_limit(name: str) -> None:
    """Keeps E1."""
    widest = getattr(WIDEST, name)
    field = f"start.{name.removesuffix('_seconds')}"

    for value in (0, -1, widest + 1, float("nan")):
        assert wrong_fields(dataclasses.replace(GOOD, limits=dataclasses.replace(Limits(), **{name: value}))) == [field]
    assert wrong_fields(dataclasses.replace(GOOD, limits=dataclasses.replace(Limits(), **{name: widest}))) == []


@pytest.mark.parametrize(("loading", "granted"), [(0.0, 600.0), (300.0, 900.0), (1e9, 1200.0)])
def test_loading_a_model_has_a_bounded_time_beside_the_first_output_clock(loading: float, granted: float) -> None:
    """C12: beyond this host's policy for the first output, which does not count it."""
    order = dataclasses.replace(GOOD, loading_seconds=loading)
    narrow = dataclasses.replace(WIDEST, first_output_timeout_seconds=600.0)

    assert order.granted == dataclasses.replace(order.limits, first_output_timeout_seconds=granted)
    assert list(check_order(order, narrow, max_prompt_bytes=5)) == []


def test_parameters_must_be_declared_and_match_as_a_whole() -> None:
    assert [violation.field for violation in check_parameters({"lens": "risks "}, LENS)] == ["start.parameters[lens]"]
    assert [violation.field for violation in check_parameters({"model": "x"}, LENS)] == ["start.parameters[model]"]
    assert list(check_parameters({"lens": "risks"}, LENS)) == []


def test_a_parameter_that_is_not_given_has_its_default() -> None:
    assert with_defaults({}, LENS) == {"lens": "docs"}
    assert with_defaults({"lens": "risks"}, LENS) == {"lens": "risks"}

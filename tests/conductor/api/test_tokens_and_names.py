"""Names and tokens: what is read back is what was written, and nothing else is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.api.messages.names import read_host, read_run, read_step, run_name, step_name
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.errors import InvalidRequestError

RUN = "01m7yam95y7n2bkeh1hg2pbvea"
PLACES = st.lists(
    st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    max_size=4,
)


@given(PLACES, st.text(max_size=30))
def test_a_token_gives_back_its_place_in_its_context(place: list[int | float | str], context: str) -> None:
    assert unseal(seal(context, *place), context, "page_token") == place


@given(st.text(max_size=80))
def test_whatever_was_not_sealed_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        unseal(text, "list", "page_token")
    assert caught.value.violations[0].field == "page_token"


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_token_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    token = seal("list", 1234567, "abcdefgh")
    position = place % len(token)
    changed = token[:position] + chr((ord(token[position]) ^ change) & 0x7F) + token[position + 1 :]
    if changed != token:
        with pytest.raises(InvalidRequestError):
            unseal(changed, "list", "page_token")


def test_a_token_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        unseal(seal("flow=a", 3), "flow=b", "page_token")


@pytest.mark.parametrize(("given_", "size"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_a_page_has_a_size(given_: int, size: int) -> None:
    assert read_page_size(given_) == size


def test_a_page_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        read_page_size(-1)


def test_names_are_read_back() -> None:
    assert read_run(run_name(RUN)) == RUN
    assert read_step(step_name(RUN, "survey_risks")) == (RUN, "survey_risks")
    assert read_host("hosts/alpha-1") == "alpha-1"
    assert step_name(RUN, "") == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "runs/",
        RUN,
        f"runs/{RUN.upper()}",
        f"runs/{RUN}/",
        f"runs/{RUN}\n",
        f"runs/{RUN}x",
        "runs/../../etc/passwd",
        f" runs/{RUN}",
    ],
)
def test_what_is_no_name_of_a_run_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_run(name)


@pytest.mark.parametrize("place", [10**30, -(2**63) - 1, True, float("inf"), float("nan"), "\ud800", None])
def test_a_forged_token_whose_place_no_database_knows_is_refused(place: object) -> None:
    with pytest.raises(InvalidRequestError):
        unseal(seal("list", place), "list", "page_token")  # type: ignore[arg-type]

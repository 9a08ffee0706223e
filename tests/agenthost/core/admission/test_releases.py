"""A spec says which releases it was tested with. Keeps D12."""

import pytest

from agenthost.core.admission.agent_spec import SpecError, parse_spec
from agenthost.core.admission.releases import is_tested

PLAIN = {"name": "tool", "description": "A tool.", "argv": ["tool"]}


@pytest.mark.parametrize(
    ("tested", "version", "is_within"),
    [
        ("", "anything", True),
        (">=0.24, <0.26", "0.24.4", True),
        (">=0.24, <0.26", "0.26", False),
        (">=0.24, <0.26", "0.26.0", False),
        (">=0.24,<=0.26", "qwen 0.26.0 (linux)", True),
        (">0.24", "0.24.0", False),
        ("==2", "2.0.0", True),
        ("==2", "2.0.1", False),
        (">=0.9", "0.10", True),
        (">=1", "no number", False),
    ],
)
def test_a_release_is_within_the_range_or_not(tested: str, version: str, *, is_within: bool) -> None:
    assert is_tested(parse_spec({**PLAIN, "tested": tested}).tested, version) is is_within


@pytest.mark.parametrize("wrong", ["1.2", "newest", ">=", ">=1 <2", "=>1", ">=1,", ">=1.x"])
def test_a_range_that_is_none_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(SpecError, match=r"tested is '.*': it must be comparisons such as '>=0.24, <0.26'"):
        parse_spec({**PLAIN, "tested": wrong})

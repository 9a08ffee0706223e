from collections.abc import Callable

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.testing.hollow_tests import find_powerless_tests
from agenthost.agents.survey.testing.untested import find_untested

Looker = Callable[..., list[Finding]]
BRANCHES = "".join(f"    if a == {n}:\n        a += {n}\n" for n in range(40))
MODULE = f"def handle_first(a):\n{BRANCHES}\ndef handle_second(a):\n{BRANCHES}\ndef handle_third(a):\n    return a\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "def test_a():\n    try:\n        assert f()\n    except Exception:\n        pass\n",
            "lens:swallowed-assertion",
        ),
        (
            "def test_a():\n    try:\n        self.assertTrue(f())\n    except:\n        pass\n",
            "lens:swallowed-assertion",
        ),
        ("class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(f(), 3)\n", "lens:assert-true-of-two"),
    ],
)
def test_a_test_that_cannot_fail_is_found(look: Looker, text: str, expected: str) -> None:
    (found,) = look(find_powerless_tests, {"tests/test_x.py": text})
    assert found.rule == expected


@pytest.mark.parametrize(
    "text",
    [
        "def test_a():\n    try:\n        assert f()\n    except ValueError:\n        pass\n",
        "def test_a():\n    try:\n        assert f()\n    except Exception:\n        raise Bad\n",
        "def test_a():\n    try:\n        f()\n    except Exception:\n        pass\n    assert g()\n",
        "class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(f(), 'why')\n",
        "class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(f(), why)\n",
    ],
)
def test_a_near_miss_is_left_alone(look: Looker, text: str) -> None:
    assert look(find_powerless_tests, {"tests/test_x.py": text}) == []


def repository(**named: str) -> dict[str, str]:
    tested = {f"shop/part{n}.py": MODULE for n in range(9)}
    tests = {f"tests/test_part{n}.py": f"from shop import part{n}\n" for n in range(9)}
    return {**tested, **tests, **named}


def test_larger_modules_that_no_test_names_are_found(look: Looker) -> None:
    others = {f"shop/{name}.py": MODULE.replace("handle_", f"{name}_") for name in ("refunds", "rebates", "returns")}
    (found,) = look(find_untested, repository(**others))
    assert (found.title, found.severity) == ("No test names 3 of the 12 larger modules", "low")
    assert found.evidence[0].quote == "def rebates_first(a):"


def test_a_few_modules_of_many_are_no_finding(look: Looker) -> None:
    others = {f"shop/{name}.py": MODULE.replace("handle_", f"{name}_") for name in ("refunds", "rebates")}

    assert look(find_untested, repository(**others)) == []


def test_a_project_that_tests_little_hears_it_most(look: Looker) -> None:
    others = {f"shop/more{n}.py": MODULE.replace("handle_", f"refund{n}_") for n in range(20)}
    (found,) = look(find_untested, repository(**others))
    assert (found.title, found.severity, len(found.evidence)) == (
        "No test names 20 of the 29 larger modules",
        "medium",
        5,
    )


def test_a_project_without_tests_is_judged_too(look: Looker) -> None:
    (found,) = look(find_untested, {"shop/part.py": MODULE, "shop/other.py": MODULE})
    assert found.title == "No test names any of the 2 larger modules"


@pytest.mark.parametrize(
    "more",
    [
        {"shop/refunds.py": "def refund(a):\n    return a\n"},
        {"shop/refunds.py": MODULE.replace("handle_", "refund_"), "tests/test_z.py": "import shop.refunds\n"},
        {"shop/refunds.py": MODULE.replace("handle_", "refund_"), "tests/cases/refunds/case.yaml": "a: 1\n"},
        {"shop/refunds.py": MODULE.replace("handle_", "refund_"), "tests/test_z.py": "refund_first()\n"},
        {"scripts/refunds.py": MODULE.replace("handle_", "refund_")},
    ],
    ids=["small", "imported", "named by a folder", "a function named", "tooling"],
)
def test_a_module_that_is_small_or_named_is_left_alone(look: Looker, more: dict[str, str]) -> None:
    assert look(find_untested, repository(**more)) == []

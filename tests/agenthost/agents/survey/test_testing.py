from collections.abc import Callable

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.testing.untested import find_untested

Looker = Callable[..., list[Finding]]
BRANCHES = "".join(f"    if a == {n}:\n        a += {n}\n" for n in range(40))
MODULE = f"def handle_first(a):\n{BRANCHES}\ndef handle_second(a):\n{BRANCHES}\ndef handle_third(a):\n    return a\n"


def repository(**named: str) -> dict[str, str]:
    tested = {f"shop/part{n}.py": MODULE for n in range(9)}
    tests = {f"tests/test_part{n}.py": f"from shop import part{n}\n" for n in range(9)}
    return {**tested, **tests, **named}


def unnamed(count: int) -> dict[str, str]:
    return {f"shop/more{n}.py": MODULE.replace("handle_", f"refund{n}_") for n in range(count)}


def test_a_project_that_tests_less_than_half_of_its_larger_modules_hears_it(look: Looker) -> None:
    (found,) = look(find_untested, repository(**unnamed(20)))
    assert (found.title, found.severity) == ("No test names 20 of the 29 larger modules", "low")
    assert [item.quote for item in found.evidence] == [f"def refund{n}_first(a):" for n in (0, 1, 10, 11, 12)]


def test_some_modules_of_many_are_no_finding(look: Looker) -> None:
    assert look(find_untested, repository(**unnamed(8))) == []


def test_a_project_without_tests_is_judged_too(look: Looker) -> None:
    (found,) = look(find_untested, {"shop/part.py": MODULE, "shop/other.py": MODULE})
    assert (found.title, found.severity) == ("There are no tests for 2 larger modules", "low")


def test_go_files_are_named_by_what_they_define_or_by_their_package(look: Looker) -> None:
    cases = "\n".join(f"\tcase {n}:\n\t\ta += {n}" for n in range(60))
    body = f"(a int) int {{\n\tswitch a {{\n{cases}\n\t}}\n\treturn a\n}}\n"
    files = {f"ui/pager{n}.go": "".join(f"func pager{n}{name}{body}" for name in "abc") for n in range(5)}
    (found,) = look(find_untested, {**files, "main_test.go": "package main\n\nvar pager0, pager1 bool\n"})
    assert found.title == "No test names any of the 5 larger modules"
    assert look(find_untested, {**files, "ui/a_test.go": "func TestA() { pager0a(1); pager1b(1); pager2c(1) }\n"}) == []


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
    given = {**unnamed(4), "tests/test_a.py": "import shop\n"}
    assert look(find_untested, {**given, **more}) == []
    assert look(find_untested, {**given, "shop/more4.py": MODULE.replace("handle_", "refund4_")})

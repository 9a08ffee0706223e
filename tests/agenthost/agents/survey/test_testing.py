from collections.abc import Callable

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.testing.lens import find_powerless_tests
from agenthost.agents.survey.testing.test_manners import find_skips, find_sleeps
from agenthost.agents.survey.testing.untested import find_untested

Looker = Callable[..., list[Finding]]
BRANCHES = "".join(f"    if a == {n}:\n        a += {n}\n" for n in range(40))
MODULE = f"def handle_first(a):\n{BRANCHES}\ndef handle_second(a):\n{BRANCHES}\ndef handle_third(a):\n    return a\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_a():\n    assert 1\n\ndef test_a():\n    assert 2\n", "never runs"),
        (
            "class TestA:\n    def test_a(self):\n        assert 1\n    def test_a(self):\n        assert 2\n",
            "never runs",
        ),
        ("def test_a():\n    x = f()\n    x.name == 'b'\n", "never checked"),
        ("def test_a():\n    assert (f(), 'must be')\n", "asserts a tuple"),
        ("def test_a(m):\n    m.assert_called_once\n", "never made"),
        ("def test_a(m):\n    m.called_once_with(1)\n", "never made"),
        ("class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(f(), 3)\n", "second value"),
    ],
)
def test_a_test_that_cannot_fail_is_found(look: Looker, text: str, expected: str) -> None:
    (found,) = look(find_powerless_tests, {"tests/test_x.py": text})
    assert expected in found.title


@pytest.mark.parametrize(
    "text",
    [
        "if A:\n    def test_a():\n        assert 1\nelse:\n    def test_a():\n        assert 2\n",
        "@case(1)\ndef test_a():\n    assert 1\n\n@case(2)\ndef test_a():\n    assert 2\n",
        "def test_a():\n    with raises(X):\n        f() == 1\n",
        "import sqlalchemy\ndef test_a():\n    User.name == 'b'\n",
        "def test_a():\n    assert ()\n",
        "def test_a(m):\n    m.assert_called_once()\n",
        "class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(f(), 'why')\n",
    ],
)
def test_a_near_miss_is_left_alone(look: Looker, text: str) -> None:
    assert look(find_powerless_tests, {"tests/test_x.py": text}) == []


def test_comparisons_are_not_judged_where_the_product_overloads_them(look: Looker) -> None:
    files = {
        "orm/column.py": "class C:\n    def __eq__(self, other) -> 'Clause':\n        return Clause()\n",
        "tests/test_x.py": "def test_a():\n    c == 5\n",
    }
    assert look(find_powerless_tests, files) == []


def test_many_tests_without_assertions_are_one_modest_finding(look: Looker) -> None:
    silent = "".join(f"def test_{n}():\n    run({n})\n" for n in range(30))
    (found,) = look(find_powerless_tests, {"tests/test_x.py": silent})
    assert (found.severity, found.title) == ("info", "30 of 30 tests assert nothing")
    helper = "def run(n):\n    deeper(n)\n\ndef deeper(n):\n    assert n\n"
    assert look(find_powerless_tests, {"tests/test_x.py": silent, "tests/helper.py": helper}) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/test_a.py", "@pytest.mark.skip\ndef test_a(): ...\n"),
        ("tests/test_a.py", "@pytest.mark.skip()\ndef test_a(): ...\n"),
        ("a.test.js", "it.skip('adds', () => {})\n"),
        ("a.spec.ts", "describe.only('all', () => {})\n"),
        ("a_test.go", "func TestA(t *testing.T) {\n\tt.Skip()\n}\n"),
        ("src/test/java/ATest.java", "@Disabled\nvoid a() {}\n"),
        ("src/lib.rs", "#[test]\n#[ignore]\nfn a() {}\n"),
    ],
)
def test_a_skip_without_reason_is_found(look: Looker, path: str, text: str) -> None:
    assert len(look(find_skips, {path: text})) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/test_a.py", "@pytest.mark.skip(reason='slow')\ndef test_a(): ...\n"),
        ("tests/test_a.py", "# Needs a display.\n@pytest.mark.skip\ndef test_a(): ...\n"),
        ("tests/test_a.py", "@pytest.mark.skipif(X, reason='y')\ndef test_a(): ...\n"),
        ("a.test.js", "// broken since the move\nit.skip('adds', () => {})\n"),
        ("a_test.go", 'func TestA(t *testing.T) {\n\tt.Skip("no network")\n}\n'),
        ("a_test.go", "func TestA(t *testing.T) {\n\tif testing.Short() {\n\t\tt.Skip()\n\t}\n}\n"),
        ("src/test/java/ATest.java", '@Disabled("slow")\nvoid a() {}\n'),
    ],
)
def test_a_skip_with_a_reason_is_left_alone(look: Looker, path: str, text: str) -> None:
    assert look(find_skips, {path: text}) == []


def test_long_sleeps_are_summed_up(look: Looker) -> None:
    text = "import time\ndef test_a():\n    time.sleep(20)\n    time.sleep(15.5)\n    time.sleep(delay)\n"
    (found,) = look(find_sleeps, {"tests/test_a.py": text})
    assert found.title == "The tests wait 36 seconds by the clock, in 2 places"
    assert look(find_sleeps, {"tests/test_a.py": "def test_a():\n    time.sleep(0.1)\n"}) == []


def repository(**named: str) -> dict[str, str]:
    tested = {f"shop/part{n}.py": MODULE for n in range(9)}
    tests = {f"tests/test_part{n}.py": f"from shop import part{n}\n" for n in range(9)}
    return {**tested, **tests, **named}


def test_a_larger_module_that_no_test_names_is_found(look: Looker) -> None:
    other = MODULE.replace("handle_", "refund_")
    (found,) = look(find_untested, repository(**{"shop/refunds.py": other}))
    assert found.title == "No test names shop/refunds.py"
    assert found.evidence[0].quote == "def refund_first(a):"


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


def test_a_project_without_tests_or_with_other_ways_is_not_judged(look: Looker) -> None:
    assert look(find_untested, {f"shop/part{n}.py": MODULE for n in range(9)}) == []

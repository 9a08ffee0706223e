from collections.abc import Callable

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.testing.hollow_tests import find_powerless_tests
from agenthost.agents.survey.testing.skipped import find_skips
from agenthost.agents.survey.testing.untested import find_untested

WORKFLOW = ".github/workflows/ci.yml"
Looker = Callable[..., list[Finding]]
BRANCHES = "".join(f"    if a == {n}:\n        a += {n}\n" for n in range(40))
MODULE = f"def handle_first(a):\n{BRANCHES}\ndef handle_second(a):\n{BRANCHES}\ndef handle_third(a):\n    return a\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_a():\n    try:\n        assert f()\n    except Exception:\n        pass\n", "swallowed"),
        ("def test_a():\n    try:\n        self.assertTrue(f())\n    except:\n        pass\n", "swallowed"),
        ("class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(f(), 3)\n", "second value"),
    ],
)
def test_a_test_that_cannot_fail_is_found(look: Looker, text: str, expected: str) -> None:
    (found,) = look(find_powerless_tests, {"tests/test_x.py": text})
    assert expected in found.title


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


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("tests/test_a.py", "@pytest.mark.skip\n@other\ndef test_adds(): ...\n", "`test_adds` is skipped"),
        ("tests/test_a.py", "def test_adds():\n    x = 1\n    pytest.skip()\n", "`test_adds` is skipped"),
        ("a.test.ts", "it.skip('adds (all)', () => {})\n", "`adds (all)` is skipped"),
        ("a_test.go", "func TestAdds(t *testing.T) {\n\tt.Skip()\n}\n", "`TestAdds` is skipped"),
        (
            "src/lib.rs",
            "#[ignore]\n#[sqlx::test]\nasync fn adds() {}\n",
            "`adds` is ignored, and no CI job passes `--ignored`",
        ),
    ],
)
def test_a_skip_is_told_with_the_name_of_its_test(look: Looker, path: str, text: str, name: str) -> None:
    files = {path: text, WORKFLOW: "jobs:\n  a:\n    steps:\n      - run: cargo test\n"}
    (found,) = look(find_skips, files)
    assert name.removeprefix("`") in found.claim
    assert look(find_skips, {path: text, WORKFLOW: files[WORKFLOW].replace("test", "test -- --ignored")}) == (
        [] if path.endswith(".rs") else [found]
    )


def repository(**named: str) -> dict[str, str]:
    tested = {f"shop/part{n}.py": MODULE for n in range(9)}
    tests = {f"tests/test_part{n}.py": f"from shop import part{n}\n" for n in range(9)}
    return {**tested, **tests, **named}


def test_larger_modules_that_no_test_names_are_found(look: Looker) -> None:
    others = {f"shop/{name}.py": MODULE.replace("handle_", f"{name}_") for name in ("refunds", "rebates")}
    (found,) = look(find_untested, repository(**others))
    assert (found.title, found.severity) == ("No test names 2 of the 11 larger modules", "low")
    assert found.evidence[0].quote == "def rebates_first(a):"


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

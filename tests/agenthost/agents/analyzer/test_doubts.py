"""A second look at results about Python names: what cannot raise NameError is not told."""

import pytest

from agenthost.agents.analyzer.doubts import is_doubtful


@pytest.mark.parametrize(
    ("name", "line", "text", "doubted"),
    [
        ("traceback", 2, "try:\n    traceback.print_exc()\n", False),
        ("helper", 1, "value = helper(1)\n", False),
        ("unicode", 2, "if PY2:\n    text = unicode(text)\n", True),
        ("Tuple", 1, "def f() -> 'Tuple[int]':\n    pass\n", True),
        ("Later", 2, "def f(\n    value: Later,\n): ...\n", True),
        ("Later", 1, "items: list[Later] = []\n", True),
        ("Later", 1, "x = Later()\nclass Later: ...\n", True),
        ("walk", 2, "def f():\n    walk()\n    del walk, other\n", True),
        ("headers", 2, "def f():\n    send(headers)\n    headers = {}\n", False),
        ("headers", 3, "def f():\n    headers = {}\n    send(headers)\n", True),
        ("headers", 2, "def f():\n    send(headers)\nheaders = {}\n", True),
        ("oops", 1, "oops  # type: ignore[name-defined]\n", True),
        ("made", 2, "exec(text)\nmade()\n", True),
        ("made", 2, "from a import *\nmade()\n", True),
    ],
)
def test_an_undefined_name_is_told_where_it_is_certain(name: str, line: int, text: str, doubted: bool) -> None:  # noqa: FBT001 - a table
    assert is_doubtful("F821", f"Undefined name `{name}`", text.encode(), line) is doubted


def test_a_local_variable_in_an_annotation_is_not_read() -> None:
    message = "Local variable `x509` referenced before assignment"
    assert is_doubtful("F823", message, b"certs: list[x509.Certificate] = []\n", 1)
    assert not is_doubtful("F823", message, b"challenge = x509.parse(a)\nx509 = 1\n", 1)


def test_other_rules_are_not_doubted() -> None:
    assert not is_doubtful("F523", "`.format` call has unused arguments", b"from a import *\n", 1)

"""Has absent members read as null in a guard, and `has(…)` true only where each part of its path is there and not null.

CEL fails where a part is absent, so a guard about the result of an agent that left something out would fail its run. Inputs stay
strict: their schema says which there are.
"""

import re

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_INDEX = r"""\[\s*(?:[0-9]{1,9}|"[^"\\\n]*"|'[^'\\\n]*')\s*\]"""
_PART = re.compile(rf"\s*(?:\.\s*(?P<name>{_NAME})|(?P<index>{_INDEX}))")
_TEXT = (
    r"""[rR]?\"\"\"(?:\\.|[^\\])*?\"\"\"|[rR]?'''(?:\\.|[^\\])*?'''|[rR]"[^"\n]*"|[rR]'[^'\n]*'"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|//[^\n]*"""
)
# Texts and comments are matched first, so that nothing inside them is taken for a call.
MAX_PARTS = 24  # of a path: it is spelled out part by part
_PATH = rf"(?:\s*(?:\.\s*{_NAME}|{_INDEX})){{1,{MAX_PARTS}}}"
_CALL = re.compile(
    rf"(?:{_TEXT})|(?<![\w.])has\s*\(\s*(?P<root>{_NAME})(?P<path>{_PATH})\s*\)"
    # The last name of a path before a bracket is a function.
    rf"|(?<![\w.])(?P<start>(?!inputs\b){_NAME})(?P<parts>{_PATH})(?!\w)(?!\s*\()",
    re.DOTALL,
)


def with_safe_presence(expression: str) -> str:
    """Returns the expression with every path spelled out, part by part."""
    return _CALL.sub(_spell, expression)


def _spell(match: re.Match[str]) -> str:
    if match["root"]:
        return f"({_tests(match['root'], match['path'])[1]})"
    if match["start"]:
        whole, tests = _tests(match["start"], match["parts"])
        return f"({tests} ? {whole} : null)"
    return match[0]


def _tests(root: str, path: str) -> tuple[str, str]:
    """Returns a whole path, and the test that each of its parts is there."""
    tests: list[str] = []
    for part in _PART.finditer(path):
        if name := part["name"]:
            tests.append(f"type({root}) == map && has({root}.{name})")
            root = f"{root}.{name}"
        else:
            key = part["index"][1:-1].strip()
            kind, inside = ("list", f"size({root}) > {key}") if key.isdigit() else ("map", f"{key} in {root}")
            tests.append(f"type({root}) == {kind} && {inside}")
            root = f"{root}[{key}]"
        tests.append(f"{root} != null")
    return root, " && ".join(tests)

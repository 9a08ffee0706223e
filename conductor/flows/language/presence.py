"""Makes `has(…)` of a guard true only where each part of its path is there and not null.

CEL fails where a part before the last is absent or null, so a guard about the result of an agent that gave none would fail its run.
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
_CALL = re.compile(
    rf"(?:{_TEXT})|(?<![\w.])has\s*\(\s*(?P<root>{_NAME})(?P<path>(?:\s*(?:\.\s*{_NAME}|{_INDEX}))+)\s*\)", re.DOTALL
)


def with_safe_presence(expression: str) -> str:
    """Returns the expression with every `has(…)` of a path spelled out, part by part."""
    return _CALL.sub(lambda match: _spelled(match["root"], match["path"]) if match["root"] else match[0], expression)


def _spelled(root: str, path: str) -> str:
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
    return f"({' && '.join(tests)})"

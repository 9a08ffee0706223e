"""Finds the functions of a file with a parser: named ones, methods, and arrow functions and closures that a name is given.

Without a grammar, or where a function does not parse, it is not found: nothing is said of it.
"""

import bisect
from dataclasses import dataclass

from .grammars import Grammar, Node, lines, parse_tree, text
from .snapshot import SourceText

_FUNCTIONS = (
    "function_definition", "function_declaration", "generator_function_declaration", "method_definition",
    "function_item", "method_declaration", "constructor_declaration", "method", "singleton_method",
    "local_function_statement", "arrow_function", "function_expression", "lambda_literal", "init_declaration",
    "func_literal",
)  # fmt: skip
_BRANCHES = (
    "if_statement", "if_expression", "elif_clause", "else_if_clause", "for_statement", "for_in_statement",
    "for_expression", "foreach_statement", "enhanced_for_statement", "while_statement", "while_expression",
    "do_statement", "switch_case", "case_statement", "switch_block_statement_group", "when_entry", "match_arm",
    "expression_case", "type_case", "when", "except_clause", "catch_clause", "catch_block", "rescue",
    "conditional_expression", "ternary_expression", "if", "unless",
)  # fmt: skip
# Where the name of a function that has none of its own may stand: the fields of what holds it.
_HOLDERS = ("name", "left", "key", "property")
MAX_HOLDERS = 3


@dataclass(frozen=True, slots=True)
class FunctionSpan:
    """A function, the lines that it covers, how many of them hold code, and how many branches it has."""

    name: str
    start_line: int
    end_line: int
    code_lines: int
    branches: int


def find_functions(source: SourceText) -> list[FunctionSpan]:
    """Returns the functions in the order of the file."""
    parsed = parse_tree(source)
    if parsed is None:
        return []
    grammar, root = parsed
    branches = sorted(node.start_byte for node in _nodes(grammar, root, _BRANCHES))
    found: list[FunctionSpan] = []
    for node in sorted(_nodes(grammar, root, _FUNCTIONS), key=lambda node: (node.start_byte, -node.end_byte)):
        if (name := _name(node)) is not None and not node.has_error:
            # Annotations and types may stand above the name.
            start, end = lines(name)[0], lines(node)[1]
            count = bisect.bisect(branches, node.end_byte) - bisect.bisect(branches, node.start_byte)
            found.append(
                FunctionSpan(text(name).rpartition(".")[2], start, end, _code_lines(source, start, end), count)
            )
    return found


def code_lines(source: SourceText) -> int:
    """Counts the lines of a file that are neither blank nor only a comment."""
    return _code_lines(source, 1, len(source.lines))


def _code_lines(source: SourceText, start: int, end: int) -> int:
    stripped = (line.strip() for line in source.lines[start - 1 : end])
    return sum(bool(line) and not line.startswith(("#", "//", "/*", "* ", "*/")) for line in stripped)


def _nodes(grammar: Grammar, root: Node, kinds: tuple[str, ...]) -> list[Node]:
    known = [kind for kind in kinds if grammar.language.id_for_node_kind(kind, True)]  # noqa: FBT003 the library takes no keyword
    return grammar.find(f"[{' '.join(f'({kind})' for kind in known)}] @node", root).get("node", []) if known else []


def _name(node: Node) -> Node | None:
    own = node.child_by_field_name("name") or _declared(node)
    for _ in range(MAX_HOLDERS):
        if own is not None or (node := node.parent) is None or node.type in {"arguments", "return_statement"}:
            break
        own = next((part for field in _HOLDERS if (part := node.child_by_field_name(field)) is not None), None)
    return own


def _declared(node: Node) -> Node | None:
    """Returns the name inside the declarators of C and C++."""
    part = node.child_by_field_name("declarator")
    while part is not None and (inner := part.child_by_field_name("declarator")) is not None:
        part = inner
    return part

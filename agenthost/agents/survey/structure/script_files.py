"""Reads the imports and exports at the top of a JavaScript or TypeScript file from its tree."""

import bisect
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ...reading.grammars import Grammar, Node, lines, parse_tree, text
from ...reading.snapshot import SourceText
from .import_graph import EVERYTHING

_VALUES = "[(identifier) (shorthand_property_identifier)] @use"
_IMPORTS = "[(import_statement) (export_specifier) {types}] @body"
_DEFERRED = """[(function_declaration) (function_expression) (arrow_function) (method_definition) (generator_function)
  (generator_function_declaration) ({field})] @body"""
_TYPES = frozenset({"interface_declaration", "type_alias_declaration"})
_HOISTED = frozenset({"function_declaration", "generator_function_declaration"})


@dataclass(frozen=True, slots=True)
class Names:
    """One statement that names a module. `names` pairs what that module exports with what it is called here."""

    module: str
    start_line: int
    end_line: int
    names: tuple[tuple[str, str], ...] = ()


@dataclass
class ScriptFile:
    """The statements of one file: imports that run, names that it passes on, and what it declares."""

    grammar: Grammar
    root: Node
    imports: list[Names] = field(default_factory=list)
    passed_on: list[Names] = field(default_factory=list)
    declared: dict[str, Node] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    _used_by: dict[str, set[str]] = field(default_factory=dict)

    def declares_type(self, name: str) -> bool:
        """Returns whether a name is one of a type alone, which nothing is left of when the file runs."""
        return name in self.declared and self.declared[name].type in _TYPES

    def is_hoisted(self, name: str) -> bool:
        """Returns whether a name may be used before the file has run, as those of functions."""
        return name in self.declared and self.declared[name].type in _HOISTED

    @cached_property
    def uses(self) -> dict[str, Node]:
        """Returns the imported names that are used as values, with the first place that runs while the file loads, if any."""
        imported = self._imported_names
        found: dict[str, Node] = {}
        for node in sorted(self.grammar.find(_VALUES, self.root).get("use", ()), key=lambda node: node.start_byte):
            name = text(node)
            if name in imported and not found.get(name) and not _is_inside(self._imports, node):
                found[name] = None if _is_inside(self._deferred, node) else node
        return found

    def needs(self, name: str) -> set[str]:
        """Returns the imported names that a declaration of this file uses, directly or by others of the file."""
        waiting, seen, found = [name], set[str](), set[str]()
        while waiting:
            one = waiting.pop()
            seen.add(one)
            used = self._used(one)
            found |= used & self._imported_names
            waiting += sorted((used & self.declared.keys()) - seen)
        return found

    def _used(self, name: str) -> set[str]:
        if name not in self._used_by:
            node = self.declared.get(name)
            uses = self.grammar.find(_VALUES, node).get("use", ()) if node else ()
            self._used_by[name] = {text(use) for use in uses}
        return self._used_by[name]

    @property
    def _is_javascript(self) -> bool:
        return self.grammar.name == "JavaScript"

    @cached_property
    def _imported_names(self) -> frozenset[str]:
        return frozenset(local for item in self.imports for _, local in item.names)

    @cached_property
    def _deferred(self) -> list[tuple[int, int]]:
        return _merged(
            self.grammar.find(
                _DEFERRED.format(field="field_definition" if self._is_javascript else "public_field_definition"),
                self.root,
            ).get("body", ())
        )

    @cached_property
    def _imports(self) -> list[tuple[int, int]]:
        return _merged(
            self.grammar.find(_IMPORTS.format(types="" if self._is_javascript else "(type_query)"), self.root).get(
                "body", ()
            )
        )


def _is_inside(spans: list[tuple[int, int]], node: Node) -> bool:
    index = bisect.bisect_right(spans, (node.start_byte, sys.maxsize)) - 1
    return index >= 0 and node.end_byte <= spans[index][1]


def _merged(nodes: Iterable[Node]) -> list[tuple[int, int]]:
    """Returns the spans of the outermost of some nodes, in order."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(((node.start_byte, node.end_byte) for node in nodes), key=lambda one: (one[0], -one[1])):
        if not spans or start >= spans[-1][1]:
            spans.append((start, end))
    return spans


def read_script(source: SourceText) -> ScriptFile | None:
    """Returns the statements of a file; None where no grammar reads it, or where it does not parse."""
    parsed = parse_tree(source)
    if parsed is None:
        return None
    grammar, root = parsed
    script = ScriptFile(grammar, root)
    for node in root.children:
        match node.type:
            case "import_statement" if not _is_type(node):
                script.imports.extend(_imported(node))
            case "export_statement":
                _note_export(script, node)
            case "lexical_declaration" | "variable_declaration" | "expression_statement":
                script.imports.extend(_required(node))
                _note_declaration(script, node)
            case _:
                _note_declaration(script, node)
    return script


def _is_type(node: Node) -> bool:
    return any(child.type in {"type", "typeof"} for child in node.children)


def _imported(node: Node) -> Iterator[Names]:
    source = node.child_by_field_name("source")
    clause = next((child for child in node.children if child.type == "import_clause"), None)
    names: list[tuple[str, str]] = []
    for part in clause.children if clause else ():
        match part.type:
            case "identifier":
                names.append(("default", text(part)))
            case "namespace_import":
                names.append((EVERYTHING, text(part.named_children[-1])))
            case "named_imports":
                names.extend(_specified(part))
    # Braces that hold types alone leave no import behind.
    if source and (clause is None or names):
        yield Names(_unquoted(source), *lines(node), tuple(names))


def _specified(node: Node) -> Iterator[tuple[str, str]]:
    for item in node.named_children:
        if item.type in {"import_specifier", "export_specifier"} and not _is_type(item):
            name = text(item.child_by_field_name("name"))
            yield name, text(item.child_by_field_name("alias")) or name


def _note_export(script: ScriptFile, node: Node) -> None:
    source = node.child_by_field_name("source")
    declared = node.child_by_field_name("declaration")
    clause = next((child for child in node.children if child.type == "export_clause"), None)
    if source and not _is_type(node):
        names = tuple(_specified(clause)) if clause else ((EVERYTHING, EVERYTHING),)
        script.passed_on.append(Names(_unquoted(source), *lines(node), names))
    elif declared:
        _note_declaration(script, declared, exported=True)
    elif clause:
        _pass_on_imported(script, node, {local: name for name, local in _specified(clause)})
    if any(child.type == "default" for child in node.children):
        script.exported.add("default")
        script.declared["default"] = declared or node.child_by_field_name("value") or node


def _pass_on_imported(script: ScriptFile, node: Node, exported: dict[str, str]) -> None:
    origins = {local: (item, name) for item in script.imports for name, local in item.names}
    for outer, local in exported.items():
        if local in origins:
            item, name = origins[local]
            script.passed_on.append(Names(item.module, *lines(node), ((name, outer),)))
        else:
            script.exported.add(outer)


def _note_declaration(script: ScriptFile, node: Node, *, exported: bool = False) -> None:
    if node.type in {"lexical_declaration", "variable_declaration"}:
        declared = {text(item.child_by_field_name("name")): item for item in node.named_children}
    else:
        declared = {text(node.child_by_field_name("name")): node}
    declared.pop("", None)
    script.declared |= declared
    if exported:
        script.exported.update(declared)


def _required(node: Node) -> Iterator[Names]:
    """Yields `const a = require("./a")`, as it stands at the top of a file."""
    for item in node.named_children:
        call = item.child_by_field_name("value") if item.type == "variable_declarator" else item
        while call is not None and call.type == "member_expression":
            call = call.child_by_field_name("object")
        if call is None or call.type != "call_expression" or text(call.child_by_field_name("function")) != "require":
            continue
        arguments = call.child_by_field_name("arguments").named_children
        if len(arguments) == 1 and arguments[0].type == "string":
            name = item.child_by_field_name("name") if item.type == "variable_declarator" else None
            local = text(name) if name and name.type == "identifier" else ""
            yield Names(_unquoted(arguments[0]), *lines(node), ((EVERYTHING, local),) if local else ())


def _unquoted(node: Node) -> str:
    return text(node)[1:-1]

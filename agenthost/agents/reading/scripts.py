"""Reads the imports, exports and declarations at the top of a JavaScript or TypeScript file from its tree."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .grammars import Grammar, Node, lines, parse_tree, text
from .snapshot import SourceText

EVERYTHING = "*"
_VALUES = "[(identifier) (shorthand_property_identifier)] @use"
_NAMING = "[(import_statement) (export_specifier) {types}] @naming"
_TYPES = frozenset({"interface_declaration", "type_alias_declaration"})
_DECLARATIONS = frozenset({"lexical_declaration", "variable_declaration"})


@dataclass(frozen=True, slots=True)
class Names:
    """One statement that names a module. `names` pairs what that module exports with what it is called here."""

    module: str
    start_line: int
    end_line: int
    names: tuple[tuple[str, str], ...] = ()


@dataclass
class Script:
    """The statements of one file: imports, names that it passes on from other files, and what it declares."""

    grammar: Grammar
    root: Node
    content: bytes
    imports: list[Names] = field(default_factory=list)
    passed_on: list[Names] = field(default_factory=list)
    declared: dict[str, Node] = field(default_factory=dict)

    @cached_property
    def used(self) -> Counter[str]:
        """Returns the names that the file uses as values: imports of the others are gone when it runs."""
        naming = _NAMING.format(types="" if self.grammar.name == "JavaScript" else "(type_query)")
        nodes = self.grammar.find(naming, self.root).get("naming", [])
        return self._values(self.root) - sum(map(self._values, nodes), Counter[str]())

    def needs(self, name: str) -> set[str]:
        """Returns the names that a declaration uses, directly or by other declarations of the file."""
        waiting, seen, found = [name], set[str](), set[str]()
        while waiting:
            one = waiting.pop()
            if one in seen or one not in self.declared:
                continue
            seen.add(one)
            used = self._values(self.declared[one])
            found.update(used)
            waiting += sorted(used)
        return found

    def _values(self, node: Node) -> Counter[str]:
        nodes = self.grammar.find(_VALUES, node).get("use", ())
        # Much faster than asking each node for its text.
        return Counter(self.content[node.start_byte : node.end_byte].decode(errors="replace") for node in nodes)


def read_script(source: SourceText) -> Script | None:
    """Returns the statements of a file; None where no grammar reads it, or where it does not parse."""
    parsed = parse_tree(source)
    if parsed is None:
        return None
    script = Script(*parsed, source.text.encode("utf-8", "replace"))
    for node in script.root.children:
        if node.type == "import_statement":
            script.imports.extend(_imported(node))
        elif node.type == "export_statement":
            _note_export(script, node)
        else:
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
    if source and not _is_type(node) and (clause is None or names):
        yield Names(text(source)[1:-1], *lines(node), tuple(names))


def _specified(node: Node) -> Iterator[tuple[str, str]]:
    for item in node.named_children:
        if item.type in {"import_specifier", "export_specifier"} and not _is_type(item):
            name = text(item.child_by_field_name("name"))
            yield name, text(item.child_by_field_name("alias")) or name


def _note_export(script: Script, node: Node) -> None:
    source = node.child_by_field_name("source")
    declared = node.child_by_field_name("declaration")
    clause = next((child for child in node.children if child.type == "export_clause"), None)
    names = tuple(_specified(clause)) if clause else ((EVERYTHING, EVERYTHING),)
    if source and not _is_type(node):
        script.passed_on.append(Names(text(source)[1:-1], *lines(node), names))
    elif declared:
        _note_declaration(script, declared)
    elif clause:
        _pass_on_imported(script, dict(names))
    if any(child.type == "default" for child in node.children):
        script.declared["default"] = declared or node.child_by_field_name("value") or node


def _pass_on_imported(script: Script, exported: dict[str, str]) -> None:
    for item in script.imports:
        passed = tuple((name, exported[local]) for name, local in item.names if local in exported)
        if passed:
            script.passed_on.append(Names(item.module, item.start_line, item.end_line, passed))


def _note_declaration(script: Script, node: Node) -> None:
    for item in node.named_children if node.type in _DECLARATIONS else [node]:
        name = text(item.child_by_field_name("name"))
        # A type may have the name of a value.
        if name and not (item.type in _TYPES and name in script.declared):
            script.declared[name] = item

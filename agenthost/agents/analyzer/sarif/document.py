"""Reads SARIF 2.1.0 as a stream: results one by one, in any order of a run's members.

Rules may come after the results that name them, so `settled` completes a result once its document was read. Members that are not
looked at are passed over, and so is a result that is too large to be one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ..pieces import BrokenError, Pieces, Read
from ..results import Result
from .values import RawResult, Rule, filled, place_of, result_of, rule_id, rule_of, table_of, text_in

MAX_RULES = 20_000
MAX_SKIPPED = 10_000
MAX_COMPLAINTS = 5
NO_FINDING = frozenset({"pass", "notApplicable", "informational"})  # kinds of results


class Sarif:
    """A document, and what was seen in it so far."""

    def __init__(self, read: Read, tool: str = "") -> None:
        self._pieces, self._tool = Pieces(read), tool
        self._bases: dict[str, str] = {}
        self._order: list[str] = []  # of the driver's rules, by index
        self.rules: dict[str, Rule] = {}
        self.version = ""
        self.skipped: list[str] = []  # paths that the tool says it passed over
        self.complaints: list[str] = []  # of the tool about itself
        self.unread = 0  # results that could not be read
        self.runs = 0
        self.has_more = False  # something follows the document

    def results(self) -> Iterator[RawResult]:
        """Yields what the document holds; raises BrokenError where it ends early or is no SARIF."""
        if self._pieces.peek() != "{":
            raise BrokenError("it is no JSON object")
        for key in self._pieces.members():
            if key == "runs" and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    yield from self._run()
            else:
                self._pieces.skip()
        if not self.runs:
            raise BrokenError("it has no runs")
        self.has_more = not self._pieces.is_over()

    def settled(self, result: RawResult) -> Result:
        """Returns a result with what its rule says: level, help, message. Of use when its document was read."""
        name = result.rule
        if not name and 0 <= result.rule_index < len(self._order):
            name = self._order[result.rule_index]
        rule = self.rules.get(name) or self.rules.get(name.partition("/")[0]) or Rule()
        message = result.message or filled(dict(rule.messages).get(result.message_id, ""), result.arguments)
        return Result(
            name or "unnamed",
            result.level or rule.level or "warning",
            message or rule.summary,
            result.path,
            result.start_line,
            result.end_line,
            result.help or rule.help,
            result.fingerprint,
        )

    def rule_of(self, result: Result) -> Rule:
        """Returns what the document tells of a settled result's rule."""
        return self.rules.get(result.rule, Rule())

    def _run(self) -> Iterator[RawResult]:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        self.runs += 1
        self._order, self._bases = [], {}
        for key in self._pieces.members():
            is_list = self._pieces.peek() == "["
            if key == "results" and is_list:
                yield from self._results()
            elif key == "tool":
                self._components()
            elif key == "originalUriBaseIds":
                self._bases = {
                    name: text_in(table_of(base), "uri") for name, base in table_of(self._pieces.take()).items()
                }
            elif key == "invocations" and is_list:
                for _ in self._pieces.items():
                    self._invocation()
            else:
                self._pieces.skip()

    def _results(self) -> Iterator[RawResult]:
        for _ in self._pieces.items():
            value = self._pieces.take()
            if not isinstance(value, dict):
                self.unread += 1
            elif text_in(value, "kind") not in NO_FINDING and value.get("baselineState") != "absent":
                yield result_of(value, self._bases, self._tool)

    def _components(self) -> None:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        for key in self._pieces.members():
            if key == "driver":
                self._component(is_driver=True)
            elif key == "extensions" and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    self._component(is_driver=False)
            else:
                self._pieces.skip()

    def _component(self, *, is_driver: bool) -> None:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        for key in self._pieces.members():
            if key == "rules" and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    self._note_rule(table_of(self._pieces.take()), is_driver=is_driver)
            elif is_driver and key in {"version", "semanticVersion"}:
                told = self._pieces.take()
                self.version = self.version or (told[:100] if isinstance(told, str) else "")
            else:
                self._pieces.skip()

    def _note_rule(self, table: Mapping[str, Any], *, is_driver: bool) -> None:
        name = rule_id(text_in(table, "id"), self._tool)
        if is_driver and len(self._order) < MAX_RULES:
            self._order.append(name)
        if name and len(self.rules) < MAX_RULES:
            self.rules.setdefault(name, rule_of(table))

    def _invocation(self) -> None:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        for key in self._pieces.members():
            if key.startswith("tool") and key.endswith("Notifications") and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    self._note(table_of(self._pieces.take()))
            else:
                self._pieces.skip()

    def _note(self, notification: Mapping[str, Any]) -> None:
        """Takes a notification that something was not judged: of a file, or of the tool itself."""
        if notification.get("level", "warning") != "error":
            return
        path, _, _ = place_of(notification, self._bases)
        if path and len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(path)
        elif not path and len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(text_in(table_of(notification.get("message")), "text")[:300])

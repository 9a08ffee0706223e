"""The pages that people read, the README and those in docs/: their blocks, tables, headings and links. It judges nothing."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")
_TABLE = re.compile(r"^\|.*\n(?:\|.*\n)+", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Page:
    """A Markdown file, named by its path from the root."""

    name: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.name).read_text()

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return _BLOCK.sub("", self.text)

    def block(self, info: str) -> str:
        """Returns the one block with this info string."""
        found = self.blocks(info)
        assert len(found) == 1, f"{self.name} has {len(found)} blocks '{info}'"
        return found[0]

    def blocks(self, info: str) -> list[str]:
        """Returns the blocks whose info string is this one, or begins with it and a space."""
        return [match["text"] for match in _BLOCK.finditer(self.text) if f"{match['info']} ".startswith(f"{info} ")]

    def files(self, info: str) -> dict[str, str]:
        """Returns the blocks that are files: `LANGUAGE INFO NAME` gives NAME its text."""
        named = ((match["info"].split(), match["text"]) for match in _BLOCK.finditer(self.text))
        return {words[2]: text for words, text in named if len(words) == 3 and words[1] == info}

    def anchors(self) -> set[str]:
        """Returns what a link may name behind `#`."""
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.prose)}

    def links(self) -> list[str]:
        """Returns the targets of links that stay in this repository."""
        return _LINK.findall(self.prose)

    def named_in_code(self) -> list[str]:
        """Returns everything in backticks outside of blocks."""
        return _CODE.findall(self.prose)

    def table(self, heading: str) -> list[tuple[str, ...]]:
        """Returns the rows of the first table below a heading, its own head left out, backticks kept."""
        _, found, below = self.text.partition(f"\n## {heading}\n")
        assert found, f"{self.name} has no heading '{heading}'"
        table = _TABLE.search(below.partition("\n## ")[0])
        assert table, f"{self.name} has no table below '{heading}'"
        return [_cells(line) for line in table[0].splitlines()[2:]]


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))


README = Page("README.md")
DOCS = [Page(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = [README, Page("CONTRIBUTING.md"), Page("CHANGELOG.md"), Page("deploy/README.md"), *DOCS]


def page(name: str) -> Page:
    """Returns a page of docs/."""
    return next(each for each in DOCS if each.name == f"docs/{name}.md")

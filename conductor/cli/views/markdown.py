"""Renders a report for a person's terminal. Nothing of it is cut, however narrow the terminal is."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, TableElement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from servicekit.printing.cells import cells
from servicekit.printing.terminal_text import printable

WIDEST = 110
GAP = 2  # columns between two cells, and at both edges together


class WholeTable(TableElement):
    """A table whose words stay whole: where its columns do not fit the terminal, each row becomes an item of a list."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.header is None or self.header.row is None:
            return
        headings = [cell.content for cell in self.header.row.cells]
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body is not None else []
        columns = list(zip(headings, *rows, strict=True))
        room = options.max_width - GAP * len(columns)
        if sum(map(_longest_word, columns)) <= room:
            yield _table(headings, rows, _widths(columns, room))
        else:
            yield _items(headings, rows)


def _longest_word(column: tuple[Text, ...]) -> int:
    return max((cells(word) for text in column for word in text.plain.split()), default=1)


def _widths(columns: Sequence[tuple[Text, ...]], room: int) -> list[int]:
    """Returns each column's width: at least its longest word. The longest cells alone are wrapped.

    A minimum width alone does not do: rich wraps a long cell as if the others had none, and cuts the table's end.
    """
    widths = [_longest_word(column) for column in columns]
    wanted = [max(cells(text.plain) for text in column) - width for column, width in zip(columns, widths, strict=True)]
    room -= sum(widths)
    for index in sorted(range(len(columns)), key=wanted.__getitem__):
        widths[index] += min(wanted[index], room)
        room -= min(wanted[index], room)
    return widths


def _table(headings: list[Text], rows: list[list[Text]], widths: list[int]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, style="markdown.table.border", collapse_padding=True)
    for heading, width in zip(headings, widths, strict=True):
        styled = heading.copy()
        styled.stylize("markdown.table.header")
        table.add_column(styled, width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _items(headings: list[Text], rows: list[list[Text]]) -> Table:
    items = Table.grid(padding=(0, 1))
    for first, *others in rows:
        facts = [Text.assemble(heading.plain, " ", cell) for heading, cell in zip(headings[1:], others, strict=True)]
        told = Text.assemble(first, ": ") + Text(", ").join(facts)
        told.justify = "left"
        items.add_row(" •", told)
    return items


class CloseCode(CodeBlock):
    """Quoted lines, moved in, without empty lines around them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip("\n"), style="markdown.code_block", overflow="fold"), (0, 0, 0, 2))


class _Report(Markdown):
    elements = {**Markdown.elements, "table_open": WholeTable, "fence": CloseCode, "code_block": CloseCode}  # noqa: RUF012

    def __init__(self, markdown: str) -> None:
        # An address is shown as it is: a link in a terminal hides where it leads.
        super().__init__(markdown, hyperlinks=False)
        for token in self.parsed:
            # Of a bare address, rich would show text and target: both are the same.
            token.children = [one for one in token.children or () if one.markup != "autolink"] or token.children


def show_markdown(markdown: str, console: Console | None = None) -> None:
    """Prints Markdown on the terminal behind stdout."""
    out = console or Console()
    out.print(_Report(printable(markdown)), width=min(out.width, WIDEST))

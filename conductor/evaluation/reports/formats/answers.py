"""Answers of agents as HTML: their Markdown keeps its headings, lists, tables and code, and loses links, images and markup.

The parser is imported when the first answer is rendered: every worker would pay for it at its start, and few render any.
"""

from html import escape

from markupsafe import Markup

from conductor.flows.language.markdown import visible

# Of one answer; the rest is in the JSON. The parser's worst case is not linear.
MAX_RENDERED_CHARACTERS = 50_000
_HEADINGS = {"h1": "h4", "h2": "h4", "h3": "h5", "h4": "h5", "h5": "h6"}


def answer_html(text: str) -> Markup:
    """Returns an answer as HTML."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 12}).enable(["table", "strikethrough"])
    parser.disable(["link", "image", "autolink", "reference", "html_inline", "html_block", "entity"])
    tokens = parser.parse(visible(text[:MAX_RENDERED_CHARACTERS]))
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
        # A style of alignment would be refused by the page's policy.
        token.attrs = {name: value for name, value in token.attrs.items() if name == "start"}
        token.info = ""
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - the parser escapes all text


def prose_html(text: str) -> Markup:
    """Returns prose as HTML: its paragraphs, and its `code`."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    paragraphs = (_line(" ".join(part.split())) for part in plain.split("\n\n") if part.strip())
    return Markup("\n".join(f"<p>{line}</p>" for line in paragraphs))  # noqa: S704 - each piece is escaped


def line_html(text: str) -> Markup:
    """Returns prose in one line as HTML, with its `code`."""
    return Markup(_line(" ".join(text.split())))  # noqa: S704 - each piece is escaped


def _line(text: str) -> str:
    pieces = escape(visible(text)).split("`")
    if len(pieces) % 2 == 0:
        return "`".join(pieces)
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))

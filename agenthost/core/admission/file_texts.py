"""Fills parameters into the texts of a spec's files, so that no value can say more than its place means.

Within double quotes of JSON and TOML a value is encoded. Everywhere else, and in files of other kinds, it must be plain: letters,
digits and signs that no configuration language reads as its own. Another value is refused by name.
"""

import json
import re
from collections.abc import Iterator, Mapping

from agenthost.errors import Violation

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]*")
_DOUBLE = r'"(?:[^"\\]|\\.)*"'
# Everything in which a quote may stand. What begins with a double quote takes the escapes of JSON.
_TEXTS = {
    "json": re.compile(_DOUBLE, re.DOTALL),
    "toml": re.compile(
        rf"""\"{{3}}(?:[^"\\]|\\.|"(?!""))*\"{{3}}|{_DOUBLE}|'{{3}}.*?'{{3}}|'[^'\n]*'|\#[^\n]*""", re.DOTALL
    ),
}


def filled(path: str, text: str, values: Mapping[str, str]) -> str:
    """Returns a file's text with its parameters; what is no parameter stays: configuration files are full of braces."""
    quoted = _quoted(path, text)

    def value_of(place: re.Match[str]) -> str:
        value = values.get(place[1], place[0])
        return _encoded(value) if place.start() in quoted else value

    return PLACEHOLDER.sub(value_of, text)


def unfit_values(files: tuple[tuple[str, str], ...], values: Mapping[str, str]) -> Iterator[Violation]:
    """Yields the parameters whose value cannot be written into a file at a place where the file has them."""
    for path, text in files:
        quoted = _quoted(path, text)
        for place in PLACEHOLDER.finditer(text):
            if place.start() not in quoted and not _PLAIN.fullmatch(values.get(place[1], "")):
                what = f"must match {_PLAIN.pattern}, because the file {path} holds it outside of double quotes of JSON or TOML"
                yield Violation(f"start.parameters[{place[1]}]", what)


def _quoted(path: str, text: str) -> frozenset[int]:
    """Returns where a file's placeholders within double quotes begin."""
    texts = _TEXTS.get(path.rpartition(".")[2])
    strings = [found for found in texts.finditer(text) if found[0].startswith('"')] if texts else []
    return frozenset(string.start() + place.start() for string in strings for place in PLACEHOLDER.finditer(string[0]))


def _encoded(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")

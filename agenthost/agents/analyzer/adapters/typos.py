"""Reads the output of `typos --format json`: one result a line.

A word counts where its mistake is plain: in lower case, not short, with one correction, and in a file that is English. A file
is of another language where its path names one, as `docs/de/a.md` and `README.pt-BR.md` do, or where it has very many mistakes.
What a changelog says of years ago stays as it is, and lists of names are full of what looks like a mistake. Of code only comments
are read; there a word that the path has, or that stands on many lines, is the name of something. Data of tests is misspelled
on purpose.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from ...files import is_code, is_test, language
from ..lines import lines_of
from ..results import Result

RULE = "typo"
MIN_CHARACTERS = 6
MAX_WORDS_A_FILE = 12  # more kinds of mistakes than that are another language, or a jargon
MAX_TIMES_A_FILE = 4  # of one word in the comments of code
_WORD = re.compile(r"[a-z]+")
# Languages that documents are translated to, as paths name them. `no` and `so` are words.
_LANGUAGES = (
    "ar|az|be|bg|bn|br|ca|cs|cy|da|de|el|eo|es|et|eu|fa|fi|fil|fr|ga|gl|gu|he|hi|hr|hu|hy|id|it|ja|jp|ka|kk|km|kn|ko|kr"
    "|ku|lt|lv|mk|ml|mn|mr|ms|my|nb|ne|nl|nn|pa|pl|ps|pt|ro|rs|ru|sk|sl|sq|sr|sv|sw|ta|te|tg|th|tl|tr|tw|ua|uk|ur|uz|vi|zh"
)
_CODE = re.compile(rf"(?:^|[._-])(?:{_LANGUAGES})(?:[-_](?:[a-z]{{2}}|hans|hant|latn|cyrl))?$", re.IGNORECASE)
_TRANSLATIONS = re.compile(r"(?:^|/)(?:translations?|i18n|l10n|locales?|langs?|languages?)/", re.IGNORECASE)
_PAST = re.compile(
    r"(?:^|/)(?:change[-_]?logs?|changes|release[-_ ]?(?:notes|history)|history|news|whats[-_]?new|credits|authors|contributors"
    r"|thanks|licen[cs]es?|copying|notice)(?:$|[/._-])",
    re.IGNORECASE,
)


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields the plain mistakes. The results of a file come one after the other."""
    path, found = "", list[tuple[Result, str]]()
    for result, word in _results(stream):
        if result.path != path:
            yield from _kept(path, found)
            path, found = result.path, []
        if len({word for _, word in found}) <= MAX_WORDS_A_FILE:
            found.append((result, word))
    yield from _kept(path, found)


def _kept(path: str, found: list[tuple[Result, str]]) -> Iterator[Result]:
    """Yields the mistakes of a file, where it is in English."""
    times = Counter(word for _, word in found)
    is_comment = is_code(path) or language(path) == "Shell"
    if len(times) > MAX_WORDS_A_FILE or _is_translated(path) or _PAST.search(path) or (is_comment and is_test(path)):
        return
    for result, word in found:
        is_name = is_comment and (word in path.lower() or times[word] > MAX_TIMES_A_FILE)
        if not is_name and _is_plain(word, result):
            yield result


def _results(stream: BinaryIO) -> Iterator[tuple[Result, str]]:
    for line in lines_of(stream):
        said = _parsed(line)
        corrections = said.get("corrections")
        if said.get("type") == "typo" and isinstance(corrections, list) and type(said.get("line_num")) is int:
            word, path = str(said.get("typo", "")), str(said.get("path", ""))
            text = f"`{word}` should be `{corrections[0]}`." if len(corrections) == 1 else ""
            yield Result(RULE, "note", text, path, said["line_num"], said["line_num"]), word


def _is_translated(path: str) -> bool:
    """Returns whether a path names another language or translations, by a folder or at the end of the file's name."""
    *folders, name = path.split("/")
    return (
        bool(_TRANSLATIONS.search(path))
        or any(_CODE.match(folder) for folder in folders)
        or bool(_CODE.search(name.rpartition(".")[0]))
    )


def _is_plain(word: str, result: Result) -> bool:
    return bool(result.message) and len(word) >= MIN_CHARACTERS and bool(_WORD.fullmatch(word))


def _parsed(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}

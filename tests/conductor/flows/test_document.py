"""Documents: YAML and JSON with lines, and what hostile texts cost. Keeps A4."""

import json
import time
from typing import Any

import pytest

from conductor.flows.language.document import MAX_TEXT_BYTES, DocumentError, Node, read_document


def plain(text: str) -> Any:
    return read_document(text.encode())[0].plain()


def member(node: Node, *path: str | int) -> Node:
    for part in path:
        assert isinstance(node.value, dict | list)
        node = node.value[part]  # type: ignore[index]
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", "yes"),
        ("a: on", "on"),
        ("a: 2026-01-01", "2026-01-01"),
        ("a: 012", "012"),
        ("a: 0x10", "0x10"),
        ("a: 1_000", "1_000"),
        ("a: true", True),
        ("a: ~", None),
        ("a:", None),
        ("a: -12", -12),
        ("a: 1.5e3", 1500.0),
        ("a: .inf", ".inf"),
        ("a: 1e999", "1e999"),
        ("a: '12'", "12"),
        ("a: !!str x", None),
    ],
)
def test_plain_scalars_mean_what_they_would_in_json(text: str, value: object) -> None:
    if "!!" in text:
        with pytest.raises(DocumentError, match="tags"):
            plain(text)
    else:
        assert plain(text) == {"a": value}


MERGED = """\
base: &base {type: string, default: x}
other: &other {default: z, minLength: 1}
one:
  <<: *base
  default: y
many:
  <<: [*base, *other]
quoted: {"<<": 1}
"""


def test_merge_keys_bring_what_an_object_does_not_say_itself() -> None:
    read = plain(MERGED)

    assert read["one"] == {"type": "string", "default": "y"}
    assert read["many"] == {"type": "string", "default": "x", "minLength": 1}
    assert read["quoted"] == {"<<": 1}
    with pytest.raises(DocumentError, match="merges an object"):
        plain("a:\n  <<: text\n")


@pytest.mark.parametrize("character", ["\u0085", "\u2028", "\u2029"])
@pytest.mark.parametrize("text", ['"x{}y"', "'x{}y'", "x{}y", "|-\n  x{}y", ">-\n  x{}y"])
def test_only_json_s_line_ends_end_a_line(character: str, text: str) -> None:
    root, _ = read_document(f"a: {text.format(character)}\nb: 1\n".encode())

    assert member(root, "a").value == f"x{character}y"
    assert member(root, "b").line == 2 + text.count("\n")


@pytest.mark.parametrize("code", [0x00, 0x07, 0x1B, 0x7F, 0x80, 0x9B, 0xFFFE])
def test_a_control_character_is_told_at_its_own_line(code: int) -> None:
    with pytest.raises(DocumentError, match=f"U\\+{code:04X}") as caught:
        read_document(f'a: 1\nb: "\u2028"\nc: "x{chr(code)}y"\n'.encode())

    assert caught.value.line == 3


def test_each_value_knows_the_line_of_its_key_and_of_its_text() -> None:
    text = "a:\n  - b: |\n      first\n      second\n    c: 'x'\n"
    root, _ = read_document(text.encode())
    block = member(root, "a", 0, "b")

    assert (block.line, block.text_line) == (2, 3)
    assert member(root, "a", 0, "c").line == 5


def test_json_with_characters_beyond_the_first_plane_reads_as_json() -> None:
    value = {"a": "🙂 \\ud83d stays", "b": ['\t"', "é"]}

    assert plain(json.dumps(value)) == value
    assert plain(json.dumps(value, indent=2, ensure_ascii=False)) == value


def test_an_anchor_may_be_used_again_with_the_line_of_its_use() -> None:
    root, _ = read_document(b"a: &x {k: 1}\nb: *x\n")

    assert root.plain() == {"a": {"k": 1}, "b": {"k": 1}}
    assert member(root, "b").line == 2


def test_doubled_keys_are_told_and_the_first_counts() -> None:
    root, doubled = read_document(b"a: 1\nb: 2\na: 3\n")

    assert root.plain() == {"a": 1, "b": 2}
    assert doubled == [(3, "a")]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BOMB.encode(), "values"),
        (b"[" * 100_000, "nested"),
        (b"- " * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b"a: &a [*a]", "complete"),
        (b"a: *b", "alias"),
        (b"x" * (MAX_TEXT_BYTES + 1), "larger"),
        (b"a: \xff\xfe", "UTF-8"),
        (b"a: [1\nb: 2", "YAML"),
        (b"a: 1\n---\nb: 2\n", "more than one"),
        (b"? [a]\n: 1", "key"),
        (b"a: \x00", "YAML"),
    ],
)
def test_hostile_texts_are_refused_at_once(data: bytes, said: str) -> None:
    begun = time.process_time()

    with pytest.raises(DocumentError, match=said):
        read_document(data)

    assert time.process_time() - begun < 5.0  # not a measurement: a bomb takes minutes


def test_the_line_of_a_broken_byte_is_told() -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(b"a: 1\nb: 2\nc: \xff\n")

    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"a:\n\t- b\n", 2, "Indent with spaces, not with tabs"),
        (b"a: @x\n", 1, "cannot start any token"),
        (b"a: b: c\n", 1, "needs quotes"),
        (b"a:\n  b: 1\n c: 2\n", 3, "Compare the indentation of this line"),
        (b'a: "x\nb: c\n', 3, "A quote is never closed"),
        (b"a: {{ b }}\n", 1, "A text that begins with {{ needs quotes"),
    ],
)
def test_a_mistake_in_yaml_is_told_with_what_helps(data: bytes, line: int, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as refused:
        read_document(data)

    assert refused.value.line == line

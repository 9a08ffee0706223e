"""Any message of a protocol, as a peer of ill will may send it. For hypothesis."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

TEXTS = ("", "x", "turns", "survey", "é🙂", "\x00\x1b[2J\u202e", "x" * 9_000, '{"a": 1}', "[" * 2_000)
INTEGERS = (-(2**31), -1, 0, 1, 2, 7, 2**31 - 1)
LARGE = (*INTEGERS, -(2**63), 2**53, 2**62, 2**63 - 1)
UNSIGNED = (0, 1, 2, 2**32 - 1)
DEPTH = 4

Kind = FieldDescriptor


def scalars(field: FieldDescriptor, texts: tuple[str, ...]) -> st.SearchStrategy[Any]:
    if field.type == Kind.TYPE_BYTES:
        return st.sampled_from([text.encode() for text in texts])
    values: dict[int, tuple[Any, ...]] = {
        Kind.CPPTYPE_STRING: texts,
        Kind.CPPTYPE_BOOL: (False, True),
        Kind.CPPTYPE_INT32: INTEGERS,
        Kind.CPPTYPE_INT64: LARGE,
        Kind.CPPTYPE_UINT32: UNSIGNED,
        Kind.CPPTYPE_ENUM: (-1, 0, 1, 2, 3, 4, 5, 99),
        Kind.CPPTYPE_DOUBLE: (0.0, -1.0, 1e300, float("nan"), float("inf")),
    }
    return st.sampled_from(values[field.cpp_type])


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, texts: tuple[str, ...] = TEXTS, depth: int = 0) -> Message:
    """Any message of a kind, with any of its fields, each of any value."""
    made: Message = GetMessageClass(kind)()
    for field in kind.fields:
        if draw(st.booleans()):
            _fill(draw, made, field, texts, depth)
    return made


def _fill(draw: st.DrawFn, made: Message, field: FieldDescriptor, texts: tuple[str, ...], depth: int) -> None:
    inner = field.message_type
    if inner is None:
        value = scalars(field, texts)
        if field.is_repeated:
            getattr(made, field.name).extend(draw(st.lists(value, max_size=3)))
        else:
            setattr(made, field.name, draw(value))
    elif inner.GetOptions().map_entry:
        key, value_of = inner.fields
        if value_of.message_type is None:
            getattr(made, field.name).update(
                draw(st.dictionaries(scalars(key, texts), scalars(value_of, texts), max_size=30))
            )
        elif depth < DEPTH:
            for name in draw(st.lists(scalars(key, texts), max_size=3)):
                getattr(made, field.name)[name].CopyFrom(draw(messages(value_of.message_type, texts, depth + 1)))
    elif depth < DEPTH:
        parts = [draw(messages(inner, texts, depth + 1)) for _ in range(draw(st.integers(0, 2)))]
        if field.is_repeated:
            getattr(made, field.name).extend(parts)
        elif parts:
            getattr(made, field.name).CopyFrom(parts[0])

"""The personas and contracts that a client sends along with its flow. They are texts only: nothing of them is looked up."""

from collections.abc import Iterator, Mapping

from conductor.errors import InvalidRequestError, Violation
from conductor.flows.library.library import MAX_TEXT_BYTES, Texts
from conductor.flows.library.personas import MAX_PERSONA_CHARACTERS, parse_persona
from conductor.v1 import flow_service_pb2 as pb

MAX_ENTRIES = 500
MAX_NAME_CHARACTERS = 200


def read_library(library: pb.Library) -> Texts:
    """Returns the texts; raises InvalidRequestError that names each wrong one."""
    personas = {name: parse_persona(text, name).text for name, text in library.personas.items()}
    contracts = {name: text.strip() for name, text in library.contracts.items()}
    violations = [*_wrong_names(personas, "library.personas"), *_wrong_names(contracts, "library.contracts")]
    violations += [
        Violation(f"library.personas.{name}", f"has at most {MAX_PERSONA_CHARACTERS} characters, this has {len(text)}")
        for name, text in personas.items()
        if len(text) > MAX_PERSONA_CHARACTERS
    ]
    violations += [
        Violation(f"library.contracts.{name}", f"has at most {MAX_TEXT_BYTES} bytes, this has {size}")
        for name, text in contracts.items()
        if (size := len(text.encode())) > MAX_TEXT_BYTES
    ]
    if violations:
        raise InvalidRequestError(*violations)
    return Texts(personas, contracts)


def _wrong_names(texts: Mapping[str, str], where: str) -> Iterator[Violation]:
    if len(texts) > MAX_ENTRIES:
        yield Violation(where, f"has at most {MAX_ENTRIES} entries, this has {len(texts)}")
    for name in texts:
        if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            yield Violation(
                where, f"has the name {name[:40]!r}; a name has 1 to {MAX_NAME_CHARACTERS} printable characters"
            )

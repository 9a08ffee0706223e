"""The personas, contracts, tables of rules and called flows that a client sends along with its flow. It looks nothing up."""

from collections.abc import Iterator, Mapping

from conductor.errors import InvalidRequestError, Violation
from conductor.flows.kinds.flow import FLOW_NAME
from conductor.flows.library.library import MAX_TEXT_BYTES, Sent, Texts
from conductor.flows.library.personas import MAX_PERSONA_CHARACTERS, parse_persona
from conductor.v1 import flow_service_pb2 as pb

MAX_ENTRIES = 500
MAX_FLOWS = 50
MAX_NAME_CHARACTERS = 200


def read_library(library: pb.Library) -> Sent:
    """Returns the texts and flows; raises InvalidRequestError that names each wrong one."""
    personas = {name: parse_persona(text, name).text for name, text in library.personas.items()}
    contracts = {name: text.strip() for name, text in library.contracts.items()}
    violations = [*_wrong_names(personas, "library.personas"), *_wrong_names(contracts, "library.contracts")]
    violations += [
        Violation(f"library.personas.{name}", f"has at most {MAX_PERSONA_CHARACTERS} characters, this has {len(text)}")
        for name, text in personas.items()
        if len(text) > MAX_PERSONA_CHARACTERS
    ]
    rules = dict(library.rules)
    violations += _wrong_names(rules, "library.rules")
    violations += [
        Violation(f"library.{kind}.{name}", f"has at most {MAX_TEXT_BYTES} bytes, this has {size}")
        for kind, texts in (("contracts", contracts), ("rules", rules))
        for name, text in texts.items()
        if (size := len(text.encode())) > MAX_TEXT_BYTES
    ]
    if len(library.flows) > MAX_FLOWS:
        violations.append(Violation("library.flows", f"has at most {MAX_FLOWS} entries, this has {len(library.flows)}"))
    violations += [
        Violation("library.flows", f"has the name {name[:80]!r}; a name is flows/NAME or flows/parts/NAME")
        for name in library.flows
        if not FLOW_NAME.match(name)
    ]
    if violations:
        raise InvalidRequestError(*violations)
    return Sent(Texts(personas, contracts, rules), dict(library.flows))


def _wrong_names(texts: Mapping[str, str], where: str) -> Iterator[Violation]:
    if len(texts) > MAX_ENTRIES:
        yield Violation(where, f"has at most {MAX_ENTRIES} entries, this has {len(texts)}")
    for name in texts:
        if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            yield Violation(
                where, f"has the name {name[:40]!r}; a name has 1 to {MAX_NAME_CHARACTERS} printable characters"
            )

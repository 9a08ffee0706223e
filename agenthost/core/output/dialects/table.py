"""The dialects by the names that an agent's spec uses. A new one is a file in this folder and a line here.

Each is called with the revision of the parser that its reader must be like.
"""

from collections.abc import Callable, Mapping

from agenthost.core.output.dialects.dialect import DialectReader
from agenthost.core.output.dialects.jsonl import read_jsonl
from agenthost.core.output.dialects.stream_json import read_stream_json
from agenthost.core.output.dialects.text import PlainText

DIALECTS: Mapping[str, Callable[[int], DialectReader]] = {
    "text": lambda revision: PlainText(passes_mark=revision > 1),
    "jsonl": read_jsonl,
    "stream-json": read_stream_json,
}

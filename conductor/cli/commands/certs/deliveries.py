"""Writes bundles, and says where they go and what to type there."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from conductor.maintenance.certificates.pool import Delivery
    from conductor.maintenance.certificates.register import Member

_ENDINGS = {"host": "agenthost", "client": "client", "conductor": "conductor"}


def write_bundle_file(delivery: "Delivery", out: Path) -> None:
    """Writes a bundle, for its user alone."""
    from servicekit.tls.files import write_whole

    write_whole(out.absolute(), delivery.data)


def file_name(member: "Member") -> str:
    """Returns the usual name of a member's bundle file."""
    return f"{member.entry.name}.{_ENDINGS[member.entry.kind]}"


def tell(delivery: "Delivery", out: Path, *, is_json: bool) -> None:
    """Prints what was written."""
    if is_json:
        put_json({"path": str(out), "identity": delivery.identity.uri, "end": delivery.not_after.isoformat()})
        return
    say(f"{out}: {delivery.identity.kind} '{delivery.name}', until {delivery.not_after:%Y-%m-%d}")


def taking_in(kind: str, file: str, address: str = "ADDRESS") -> str:
    """Returns what to type where a bundle goes."""
    quoted = shlex.quote(file)
    return {
        "host": f"agenthost join {quoted} --data DIR",
        "conductor": f"conductor certs join {quoted} --data DIR",
        "client": f"conductor --address {address} --bundle {quoted} runs",
    }[kind]

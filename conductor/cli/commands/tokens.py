"""`conductor tokens`: makes, lists and revokes the tokens of callers."""

import time

import click
from google.protobuf.timestamp_pb2 import Timestamp

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.text.following import say_next
from conductor.cli.text.wording import elapsed
from conductor.cli.views.view import as_json
from conductor.v1 import access_service_pb2 as pb
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import column, printable

ROLES = {"viewer": pb.ROLE_VIEWER, "operator": pb.ROLE_OPERATOR, "admin": pb.ROLE_ADMIN}
_NAMES = {value: name for name, value in ROLES.items()}


@click.group()
def tokens() -> None:
    """Make, list or revoke the tokens of callers."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice(list(ROLES)), required=True, help="What its caller may do.")
@click.pass_obj
def create(context: Context, name: str, role: str) -> None:
    """Make a token called NAME, and print it: this once."""
    with connected(context.address) as connection:
        request = pb.CreateTokenRequest(name=name, role=ROLES[role])
        made = connection.access.CreateToken(request, timeout=CALL_SECONDS)
    if context.is_json:
        put(as_json(made))
        return
    say(made.secret)
    say("it is shown this once; give it as CONDUCTOR_TOKEN or --token", err=True)
    if not context.token and not context.address.startswith("unix:") and context.tls.read() is None:
        say("as there are tokens now, callers over loopback without one are viewers (access.loopback_role)", err=True)


@tokens.command("list")
@click.pass_obj
def list_(context: Context) -> None:
    """List the tokens: name, role, when each was made, used and revoked, and by whom."""
    found: list[pb.Token] = []
    with connected(context.address) as connection:
        request = pb.ListTokensRequest(page_size=500)
        while True:
            page = connection.access.ListTokens(request, timeout=CALL_SECONDS)
            found.extend(page.tokens)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    for token in found:
        if context.is_json:
            put(as_json(token))
        else:
            say(token_line(token, time.time()), 2)
    if not found and not context.is_json:
        say_next("no tokens; make one:  conductor tokens create NAME --role ROLE", err=True)


@tokens.command()
@click.argument("name")
@click.pass_obj
def revoke(context: Context, name: str) -> None:
    """Revoke the token called NAME: every further call with it is refused."""
    with connected(context.address) as connection:
        token = connection.access.RevokeToken(pb.RevokeTokenRequest(name=name), timeout=CALL_SECONDS)
    if context.is_json:
        put(as_json(token))
    else:
        say(token_line(token, time.time()), 2)


def token_line(token: pb.Token, now: float) -> str:
    """Returns `✔ ci  operator  made 3 d ago by loopback, used 5 min ago`."""
    glyph = "✘" if token.HasField("revoke_time") else "✔"
    line = f"{glyph} {column(token.name.removeprefix('tokens/'), 16)}  {_NAMES.get(token.role, 'no role'):<8}"
    line += f"  made {_ago(token.create_time, now)} by {printable(token.created_by)}"
    line += f", used {_ago(token.last_use_time, now)}" if token.HasField("last_use_time") else ", never used"
    if token.HasField("revoke_time"):
        line += f", revoked {_ago(token.revoke_time, now)} by {printable(token.revoked_by)}"
    return line


def _ago(time_: Timestamp, now: float) -> str:
    return f"{elapsed(max(0.0, now - time_.ToNanoseconds() / 1e9))} ago"

"""The token of this command line, and where it may go."""

from conductor.cli.text.failure import CommandError
from servicekit.addresses import Address


def require_safe(address: Address) -> None:
    """Raises a CommandError for an address where others on the way could read the token."""
    if not address.is_local:
        raise CommandError(
            f"the token is not sent to {address.text} without TLS, because others on the way could read it",
            lines=(
                "say how the conductor is known:  --tls-ca FILE, or --bundle FILE",
                "or leave --token and CONDUCTOR_TOKEN out",
            ),
        )

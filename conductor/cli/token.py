"""The token of this command line: where it may go, and how every call brings it."""

from typing import Any

import grpc

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


class TokenInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the token to the metadata of each call."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: D102
        return continuation(self._with_token(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: D102
        return continuation(self._with_token(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:  # noqa: D102
        return continuation(self._with_token(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:  # noqa: D102
        return continuation(self._with_token(client_call_details), request_iterator)

    def _with_token(self, details: Any) -> Any:
        return details._replace(metadata=(*(details.metadata or ()), *self._metadata))

"""Makes the errors of refused requests about hosts, with what a caller can do."""

from conductor.core.decide.registry import HOST_BUSY, HOST_CONFIGURED, HOST_EXISTS, HOST_NOT_FOUND, NO_CAPACITY
from conductor.core.model.registry import HostRequest, RequestAddHost
from conductor.errors import HostExistsError, NoCapacityError, NotFoundError, PreconditionError, StatusError


def explain_host(request: HostRequest, reason: str, message: str) -> StatusError:
    """Returns the error that a reason of the core means."""
    host = request.host
    match reason:
        case _ if reason == HOST_NOT_FOUND:
            return NotFoundError("host", host)
        case _ if reason == HOST_EXISTS and isinstance(request, RequestAddHost):
            move = f"if that host has moved:  conductor hosts add {host} {request.address} --move"
            other = "give the address of another host, or remove that one:  conductor hosts remove NAME"
            return HostExistsError(message, hint=move if message.startswith("there is") else other)
        case _ if reason == HOST_BUSY:
            drain = f"let them end:  conductor hosts drain {host} --wait"
            hint = (
                f"{drain}  or remove it all the same, with --force: they go on, and count again when it is added again"
            )
            return PreconditionError(HOST_BUSY, message, subject=f"hosts/{host}", hint=hint)
        case _ if reason == HOST_CONFIGURED:
            hint = "change it there (--host, or [hosts] of the file) and restart the conductor"
            return PreconditionError(HOST_CONFIGURED, message, subject=f"hosts/{host}", hint=hint)
        case _ if reason == NO_CAPACITY:
            hint = "remove one:  conductor hosts remove NAME  or set limits.hosts higher in the conductor's file"
            return NoCapacityError(message, hint=hint)
        case _:
            return StatusError(message)

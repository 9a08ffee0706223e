"""Roles of callers, and the one table of methods: which role each of them needs.

A role may do everything that the roles before it may. A method that is not in the table needs `admin`: a new one is closed
until a line here opens it.
"""

from enum import StrEnum


class Role(StrEnum):
    """Says what a caller may do, the least first."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_RANKS = {role: rank for rank, role in enumerate(Role)}

METHODS = {
    "/grpc.health.v1.Health/Check": Role.VIEWER,
    "/grpc.health.v1.Health/List": Role.VIEWER,
    "/grpc.health.v1.Health/Watch": Role.VIEWER,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Role.VIEWER,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Role.VIEWER,
    "/conductor.v1.ServerService/GetServerInfo": Role.VIEWER,
    "/conductor.v1.ServerService/HandOver": Role.ADMIN,
    "/conductor.v1.FlowService/GetFlow": Role.VIEWER,
    "/conductor.v1.FlowService/ListFlows": Role.VIEWER,
    "/conductor.v1.FlowService/ValidateFlow": Role.VIEWER,
    "/conductor.v1.PoolService/GetHost": Role.VIEWER,
    "/conductor.v1.PoolService/ListHosts": Role.VIEWER,
    "/conductor.v1.GateService/ListGates": Role.VIEWER,
    "/conductor.v1.GateService/ResolveGate": Role.OPERATOR,
    "/conductor.v1.RunService/CompareRuns": Role.VIEWER,
    "/conductor.v1.RunService/GetReport": Role.VIEWER,
    "/conductor.v1.RunService/GetRun": Role.VIEWER,
    "/conductor.v1.RunService/GetStep": Role.VIEWER,
    "/conductor.v1.RunService/ListFindings": Role.VIEWER,
    "/conductor.v1.RunService/ListRuns": Role.VIEWER,
    "/conductor.v1.RunService/ReadOutput": Role.VIEWER,
    "/conductor.v1.RunService/WatchRun": Role.VIEWER,
    "/conductor.v1.RunService/WatchRuns": Role.VIEWER,
    # It pins the workspace, which writes into the snapshots.
    "/conductor.v1.RunService/PlanRun": Role.OPERATOR,
    "/conductor.v1.RunService/CancelRun": Role.OPERATOR,
    "/conductor.v1.RunService/CreateRun": Role.OPERATOR,
    "/conductor.v1.RunService/PauseRun": Role.OPERATOR,
    "/conductor.v1.RunService/ResumeRun": Role.OPERATOR,
    "/conductor.v1.RunService/RetryRun": Role.OPERATOR,
    "/conductor.v1.WorkspaceService/PushWorkspace": Role.OPERATOR,
    "/conductor.v1.RunService/DeleteRun": Role.ADMIN,
    "/conductor.v1.PoolService/AddHost": Role.ADMIN,
    "/conductor.v1.PoolService/DrainHost": Role.ADMIN,
    "/conductor.v1.PoolService/RemoveHost": Role.ADMIN,
    "/conductor.v1.AccessService/CreateToken": Role.ADMIN,
    "/conductor.v1.AccessService/ListTokens": Role.ADMIN,
    "/conductor.v1.AccessService/RevokeToken": Role.ADMIN,
    "/conductor.v1.AccessService/RevokeCertificate": Role.ADMIN,
    "/conductor.v1.AccessService/ListRevocations": Role.ADMIN,
}


# Reads that need more than the role of a viewer.
_PRIVILEGED_READS = frozenset({"/conductor.v1.AccessService/ListTokens", "/conductor.v1.AccessService/ListRevocations"})


def is_read(method: str) -> bool:
    """Returns whether a method changes nothing, so that a standby may answer it."""
    return METHODS.get(method) is Role.VIEWER or method in _PRIVILEGED_READS


def role_needed(method: str) -> Role:
    """Returns the least role that may call a method, such as `/conductor.v1.RunService/CancelRun`."""
    return METHODS.get(method, Role.ADMIN)


def is_allowed(role: str, needed: Role) -> bool:
    """Returns whether a role is enough. A text that is no role is enough for nothing."""
    return _RANKS.get(role, -1) >= _RANKS[needed]  # type: ignore[call-overload, no-any-return]

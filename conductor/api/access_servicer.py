"""AccessService: makes, lists and revokes tokens, and revokes certificates. The interceptor asked for the admin's role before."""

from typing import Any

from conductor.api.access.certificate_book import CertificateBook, Revocation
from conductor.api.access.token_book import TokenBook
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.core.access.roles import Role
from conductor.core.access.tokens import NAME, Token
from conductor.errors import InvalidRequestError, Violation
from conductor.v1 import access_service_pb2 as pb
from conductor.v1 import access_service_pb2_grpc
from servicekit.calls.callers import current_caller
from servicekit.times import timestamp

_LIST, _REVOCATIONS = "tokens", "revocations"
MAX_CERTIFICATE_CHARACTERS = 64
_ROLES = {pb.ROLE_VIEWER: Role.VIEWER, pb.ROLE_OPERATOR: Role.OPERATOR, pb.ROLE_ADMIN: Role.ADMIN}
_VALUES = {str(role): value for value, role in _ROLES.items()}


class AccessServicer(access_service_pb2_grpc.AccessServiceServicer):
    """Manages access."""

    def __init__(self, tokens: TokenBook, certificates: CertificateBook) -> None:
        self._tokens = tokens
        self._certificates = certificates

    async def CreateToken(self, request: pb.CreateTokenRequest, context: Any) -> pb.CreateTokenResponse:
        violations = [] if request.role in _ROLES else [Violation("role", "must be ROLE_VIEWER, _OPERATOR or _ADMIN")]
        name = _read_name(request.name, *violations)
        token, secret = await self._tokens.create(name, _ROLES[request.role], current_caller().identity)
        return pb.CreateTokenResponse(token=token_message(token), secret=secret)

    async def ListTokens(self, request: pb.ListTokensRequest, context: Any) -> pb.ListTokensResponse:
        size = read_page_size(request.page_size)
        time, name = unseal(request.page_token, _LIST, "page_token") if request.page_token else (-1.0, "")
        found = [one for one in self._tokens.all() if (one.create_time, one.name) > (float(time), str(name))]
        page = found[:size]
        token = seal(_LIST, page[-1].create_time, page[-1].name) if len(found) > size else ""
        return pb.ListTokensResponse(tokens=map(token_message, page), next_page_token=token)

    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Any) -> pb.Token:
        return token_message(await self._tokens.revoke(_read_name(request.name), current_caller().identity))

    async def RevokeCertificate(
        self, request: pb.RevokeCertificateRequest, context: Any
    ) -> pb.RevokeCertificateResponse:
        if not 0 < len(request.certificate) <= MAX_CERTIFICATE_CHARACTERS:
            raise InvalidRequestError(
                Violation(
                    "certificate", f"must have 1 to {MAX_CERTIFICATE_CHARACTERS} characters: a member, or a serial"
                )
            )
        revoked, number = await self._certificates.revoke(request.certificate)
        return pb.RevokeCertificateResponse(revocations=map(_revocation, revoked), number=number)

    async def ListRevocations(self, request: pb.ListRevocationsRequest, context: Any) -> pb.ListRevocationsResponse:
        size = read_page_size(request.page_size)
        after = str(unseal(request.page_token, _REVOCATIONS, "page_token")[0]) if request.page_token else ""
        listed, number = await self._certificates.listed()
        found = [one for one in listed if one.serial > after]
        page = found[:size]
        token = seal(_REVOCATIONS, page[-1].serial) if len(found) > size else ""
        return pb.ListRevocationsResponse(revocations=map(_revocation, page), next_page_token=token, number=number)


def _revocation(one: Revocation) -> pb.Revocation:
    return pb.Revocation(serial=one.serial, member=one.member, revoke_time=timestamp(one.time))


def token_message(token: Token) -> pb.Token:
    """Makes the message of a token."""
    return pb.Token(
        name=f"tokens/{token.name}",
        role=_VALUES.get(token.role, pb.ROLE_UNSPECIFIED),
        create_time=timestamp(token.create_time),
        created_by=token.created_by,
        last_use_time=timestamp(token.use_time or None),
        revoke_time=timestamp(token.revoke_time or None),
        revoked_by=token.revoked_by,
    )


def _read_name(given: str, *others: Violation) -> str:
    violations = list(others)
    name = given.removeprefix("tokens/")
    if NAME.fullmatch(name) is None:
        text = "must be 1 to 63 lower-case letters, digits, '.', '_' and '-', and begin with a letter or digit"
        violations.append(Violation("name", text))
    if violations:
        raise InvalidRequestError(*violations)
    return name

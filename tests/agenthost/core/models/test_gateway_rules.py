"""Keeps E8: which requests pass to a model, with which headers, and which answers pass back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models.endpoint import Api, parse_endpoint
from agenthost.core.models.gateway_rules import (
    MAX_REQUEST_BYTES,
    PLACEHOLDER,
    Forward,
    Headers,
    Refusal,
    Request,
    judge,
    judge_answer,
    variables_for,
)

ENDPOINT = parse_endpoint("main", {"url": "https://models.example:8443/base", "key_env": "KEY"})
KEY = "sk-the-real-key"
CHAT = b"/v1/chat/completions"


def asked(target: bytes = CHAT, method: bytes = b"POST", **headers: bytes) -> Request:
    return Request(method, target, tuple((name.replace("_", "-").encode(), value) for name, value in headers.items()))


def passed(request: Request, api: Api = Api.OPENAI) -> Forward:
    verdict = judge(request, replace(ENDPOINT, api=api), KEY)
    assert isinstance(verdict, Forward)
    return verdict


def test_a_request_goes_to_the_endpoint_and_nowhere_else() -> None:
    forward = passed(asked(host=b"evil.example", content_type=b"application/json", content_length=b"2"))

    assert forward.target == b"/base/v1/chat/completions"
    assert [value for name, value in forward.headers if name == b"host"] == [b"models.example:8443"]
    assert (b"content-type", b"application/json") in forward.headers
    assert (b"content-length", b"2") in forward.headers


@pytest.mark.parametrize(
    ("api", "header"),
    [
        (Api.OPENAI, (b"authorization", f"Bearer {KEY}".encode())),
        (Api.ANTHROPIC, (b"x-api-key", KEY.encode())),
        (Api.GEMINI, (b"x-goog-api-key", KEY.encode())),
    ],
)
def test_the_key_takes_the_place_of_every_credential(api: Api, header: tuple[bytes, bytes]) -> None:
    mine = {"authorization": b"Bearer x", "x_api_key": b"x", "x_goog_api_key": b"x", "cookie": b"x", "api_key": b"x"}
    forward = passed(asked(**mine), api)

    credentials = {b"authorization", b"x-api-key", b"x-goog-api-key", b"cookie", b"api-key"}
    assert [pair for pair in forward.headers if pair[0] in credentials] == [header]


def test_without_a_key_no_credential_is_sent() -> None:
    verdict = judge(asked(authorization=b"Bearer x"), ENDPOINT, "")

    assert isinstance(verdict, Forward)
    assert b"authorization" not in dict(verdict.headers)


@pytest.mark.parametrize(
    "target",
    [
        b"/", b"", b"*", b"/v1", b"/v1/files", b"/v1/chat", b"/v1/chat/completions/", b"/v1/chat/completions/x",
        b"/v1/fine_tuning/jobs",
        b"/v1/models/../files", b"/v1/models/./x", b"/v1/models/%2e%2e/files", b"/v1//chat/completions", b"//v1/chat/completions",
        b"/v1/models/..%2ffiles", b"/v1/chat/completions;x", b"/v1/chat\\completions", b"http://evil.example/v1/chat/completions",
        b"evil.example:443", b"/v1/chat/completions#x", b"/V1/chat/completions", b"/v1/chat/completions\xff",
    ],
)  # fmt: skip
def test_what_is_not_open_is_refused(target: bytes) -> None:
    verdicts = [judge(asked(target, method), ENDPOINT, KEY) for method in (b"POST", b"DELETE", b"PUT", b"CONNECT")]

    assert [verdict.status for verdict in verdicts if isinstance(verdict, Refusal)] == [403] * 4


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (asked(CHAT + b"?" + b"x" * 5000), 431),
        (Request(b"POST", CHAT, ((b"x", b"y"),) * 101), 431),
        (asked(content_length=str(MAX_REQUEST_BYTES + 1).encode()), 413),
        (asked(content_length=b"-1"), 413),
    ],
)
def test_what_is_too_large_is_refused(request_: Request, status: int) -> None:
    verdict = judge(request_, ENDPOINT, KEY)

    assert isinstance(verdict, Refusal)
    assert verdict.status == status


@pytest.mark.parametrize(
    "name",
    ["keep_alive", "te", "trailer", "upgrade", "proxy_authorization", "proxy_x", "x_forwarded_for", "forwarded", "via",
     "expect", "openai_organization", "x_http_method_override", "custom"],
)  # fmt: skip
def test_headers_that_are_not_for_the_endpoint_stay_here(name: str) -> None:
    forward = passed(asked(**{name: b"x", "connection": b"close, custom", "anthropic_version": b"1"}))

    names = [known for known, _ in forward.headers]
    assert name.replace("_", "-").encode() not in names
    assert b"connection" not in names
    assert b"anthropic-version" in names


def test_a_body_of_unknown_length_stays_one() -> None:
    assert (b"transfer-encoding", b"chunked") in passed(asked(transfer_encoding=b"chunked")).headers


def test_a_connection_header_cannot_take_the_frame_of_a_body_away() -> None:
    forward = passed(asked(connection=b"content-length", content_length=b"7"))

    assert (b"content-length", b"7") in forward.headers


def test_of_several_encodings_none_hides_behind_another() -> None:
    """E8: which of two counts is the endpoint's guess."""
    twice = ((b"content-encoding", b"gzip"), (b"content-encoding", b"identity"))
    verdict = judge(replace(asked(), headers=twice), ENDPOINT, KEY)

    assert isinstance(verdict, Refusal)
    assert verdict.status == 415
    assert isinstance(judge_answer(200, twice), Refusal)


def test_a_body_has_one_length() -> None:
    """E8: two readers could cut it differently."""
    verdict = judge(asked(content_length=b"2", transfer_encoding=b"chunked"), ENDPOINT, KEY)

    assert isinstance(verdict, Refusal)
    assert verdict.status == 400


@pytest.mark.parametrize(
    "query",
    [
        b"$httpHeaders=x-goog-api-key:mine",
        b"%24HTTPMethod=DELETE",
        b"b=1",
        b"ALT=sse",
        b"alt=media",
        b"tools=web_search",
        b"%00=1",
    ],
)
def test_a_query_says_only_what_is_listed(query: bytes) -> None:
    """E8: Google's endpoints take headers and a method from there."""
    verdict = judge(asked(CHAT + b"?alt=sse&" + query), ENDPOINT, KEY)

    assert isinstance(verdict, Refusal)
    assert verdict.code == "parameter_not_listed"
    assert verdict.kept_back


def test_of_a_query_listed_parameters_stay_and_keys_go() -> None:
    forward = passed(asked(CHAT + b"?alt=sse&key=mine&KEY=mine&access_token=x&beta=true"))

    assert forward.target.endswith(b"?alt=sse&beta=true")


def test_an_operator_may_open_a_parameter() -> None:
    endpoint = replace(ENDPOINT, request_fields=frozenset({"?team"}))
    forward = judge(asked(CHAT + b"?team=a%26b"), endpoint, KEY)

    assert isinstance(forward, Forward)
    assert forward.target.endswith(b"?team=a%26b")


def test_only_listed_headers_pass_and_the_others_are_told_by_name() -> None:
    forward = passed(
        asked(x_stainless_lang=b"js", user_agent=b"x", x_forwarded_for=b"x", x_tools=b"web_search", te=b"x")
    )

    assert [name for name, _ in forward.headers] == [
        b"host", b"x-stainless-lang", b"user-agent", b"content-type", b"accept-encoding", b"authorization",
    ]  # fmt: skip
    assert forward.kept_back == ("header x-tools",)


@pytest.mark.parametrize(
    "kind", [b"application/x-www-form-urlencoded", b"application/json; charset=utf-16", b"text/plain"]
)
def test_a_body_is_read_by_the_endpoint_as_it_was_judged(kind: bytes) -> None:
    forward = passed(asked(content_type=kind))

    assert [value for name, value in forward.headers if name == b"content-type"] == [b"application/json"]


def test_a_path_whose_fields_no_list_knows_needs_a_rule_of_the_operator() -> None:
    gemini = parse_endpoint("main", {"url": "https://models.example", "api": "gemini"})
    opened = parse_endpoint(
        "main", {"url": "https://models.example", "api": "gemini", "paths": ["/v1beta/models/x:predict"]}
    )
    verdicts = [judge(asked(b"/v1beta/models/x:predict"), endpoint, KEY) for endpoint in (gemini, opened)]

    assert [isinstance(verdict, Forward) for verdict in verdicts] == [False, True]


HEADER = st.tuples(
    st.sampled_from([b"authorization", b"host", b"accept", b"x-y", b"connection"]), st.binary(max_size=8)
)


@given(st.binary(max_size=60), st.sampled_from([b"GET", b"POST", b"PUT"]), st.lists(HEADER, max_size=4))
def test_whatever_passes_stands_under_a_rule_with_one_host_and_one_key(
    target: bytes, method: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    request = Request(method, b"/v1/models/" + target, tuple(headers))
    match judge(request, ENDPOINT, KEY):
        case Forward(target=path, headers=sent):
            names = [name for name, _ in sent]
            assert path.startswith(b"/base/v1/models")
            assert b".." not in path.partition(b"?")[0].split(b"/")
            assert names.count(b"host") == names.count(b"authorization") == 1
            assert not set(path) & set(b" \r\n\\")
        case Refusal(status=status) as refusal:
            assert status in {403, 413, 431}
            assert KEY.encode() not in refusal.body()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_answer_that_leads_elsewhere_is_not_passed_on(status: int) -> None:
    verdict = judge_answer(status, [(b"location", b"https://evil.example")])

    assert isinstance(verdict, Refusal)
    assert json.loads(verdict.body())["error"]["type"] == "upstream_redirected"


def test_an_answer_keeps_what_an_agent_may_know() -> None:
    told: Headers = (
        (b"content-type", b"text/event-stream"), (b"set-cookie", b"x"), (b"transfer-encoding", b"chunked"),
        (b"retry-after", b"3"), (b"connection", b"x-hop"), (b"x-hop", b"1"),
    )  # fmt: skip

    assert judge_answer(200, told) == ((b"content-type", b"text/event-stream"), (b"retry-after", b"3"))


def test_an_answer_that_cannot_be_read_on_its_way_is_not_passed_on() -> None:
    assert isinstance(judge_answer(200, [(b"content-encoding", b"gzip")]), Refusal)
    assert not isinstance(judge_answer(200, [(b"content-encoding", b"identity")]), Refusal)


@pytest.mark.parametrize("api", Api)
def test_clients_find_the_door_and_a_placeholder(api: Api) -> None:
    values = variables_for(api).values()

    assert PLACEHOLDER in values
    assert any(value.startswith("http://127.0.0.1:8787") for value in values)

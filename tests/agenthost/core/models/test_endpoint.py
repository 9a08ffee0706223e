"""Keeps E8 and K5: what may stand under `[models.NAME]`, and what is said of the rest."""

import pytest

from agenthost.core.models.endpoint import Api, EndpointError, PathRule, parse_endpoint

URL = "https://models.example"


def test_a_url_alone_makes_an_endpoint() -> None:
    endpoint = parse_endpoint("main", {"url": "https://models.example/compatible/"})

    assert (endpoint.api, endpoint.tls, endpoint.host, endpoint.port) == (Api.OPENAI, True, "models.example", 443)
    assert endpoint.base == "/compatible"
    assert PathRule("POST", "/v1/chat/completions") in endpoint.rules


@pytest.mark.parametrize(
    ("url", "port"), [("http://127.0.0.1:8000", 8000), ("http://[::1]:11434", 11434), ("http://localhost", 80)]
)
def test_a_model_of_this_machine_may_have_a_key_without_tls(url: str, port: int) -> None:
    assert parse_endpoint("main", {"url": url, "key_env": "KEY"}).port == port


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("text", "must be a table"),
        ({}, "url"),
        ({"url": 3}, "url is 3: it must be a string"),
        ({"url": "ftp://models.example"}, "http://HOST"),
        ({"url": "https://"}, "http://HOST"),
        ({"url": "https://models.example:99999"}, "not an address"),
        ({"url": "https://user:word@models.example"}, "no user"),
        ({"url": "https://models.example/?key=1"}, "no user, query"),
        ({"url": "https://models.example/a/../b"}, "has a path with"),
        ({"url": "https://models.example/a b"}, "has a path with"),
        ({"url": "https://mo dels.example"}, "http://HOST"),
        ({"url": "http://models.example", "key_env": "KEY"}, "in the clear"),
        ({"url": "http://models.example", "key_file": "/k"}, "in the clear"),
        ({"url": URL, "key_env": "A", "key_file": "b"}, "not both"),
        ({"url": URL, "api": "smtp"}, "openai, anthropic, gemini"),
        ({"url": URL, "paths": []}, "1 to 100"),
        ({"url": URL, "paths": "/v1"}, "1 to 100"),
        ({"url": URL, "paths": ["v1"]}, "'v1'"),
        ({"url": URL, "paths": ["DELETE /v1"]}, "DELETE"),
        ({"url": URL, "paths": ["/v1/../x"]}, "/v1/../x"),
        ({"url": URL, "max_concurrent": 0}, "max_concurrent"),
        ({"url": URL, "model": "two words"}, "models.main.model is 'two words': it must match"),
        ({"url": URL, "max_concurrent": True}, "max_concurrent"),
        ({"url": "http://localhost", "ca_file": "/ca"}, "ca_file"),
        ({"url": URL, "provider_tools": "web_search"}, "list of at most 50 names"),
        ({"url": URL, "provider_tools": ["Web Search"]}, "'Web Search'"),
        ({"url": URL, "provider_tools": ["web_search_20250305"]}, "'web_search' means all of them"),
        ({"url": URL, "proxy": "x"}, "models.main.proxy is not a setting"),
        (
            {"url": URL, "key_envs": "X"},
            "models.main.key_envs is not a setting of a model: did you mean 'key_env'? There",
        ),
    ],
)
def test_what_is_wrong_is_named(table: object, complaint: str) -> None:
    with pytest.raises(EndpointError, match=r"models\.main") as caught:
        parse_endpoint("main", table)
    assert complaint in str(caught.value)


def test_a_key_in_the_place_of_its_name_is_not_repeated() -> None:
    with pytest.raises(EndpointError) as caught:
        parse_endpoint("main", {"url": URL, "key_env": "sk-a-real-key"})
    assert "sk-a-real-key" not in str(caught.value)


def test_a_name_is_checked_too() -> None:
    with pytest.raises(EndpointError, match="must match"):
        parse_endpoint("Main Model", {"url": URL})


@pytest.mark.parametrize(
    ("rule", "method", "path", "admitted"),
    [
        ("/v1/messages", "POST", "/v1/messages", True),
        ("/v1/messages", "GET", "/v1/messages", False),
        ("/v1/messages", "POST", "/v1/messages/batches", False),
        ("/v1/messages", "POST", "/v1/messagesx", False),
        ("/v1beta/models/", "POST", "/v1beta/models/one:generateContent", True),
        ("/v1beta/models/", "POST", "/v1beta/models/", False),
        ("/v1beta/models/", "POST", "/v1beta/models", False),
    ],
)
def test_a_rule_lets_through_itself_or_what_is_below_it(rule: str, method: str, path: str, *, admitted: bool) -> None:
    assert PathRule("POST", rule).admits(method, path) is admitted


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:11434/v1", ""),
        ("http://127.0.0.1:11434/v1/", ""),
        ("http://127.0.0.1:11434", ""),
        ("http://127.0.0.1:11434/v1/chat/completions", ""),
        ("https://models.example/proxy/v1/models/", "/proxy"),
        ("https://models.example/proxy/v1", "/proxy"),
        ("https://models.example/proxy", "/proxy"),
    ],
)
def test_an_address_means_the_same_with_the_version_and_without(url: str, base: str) -> None:
    assert parse_endpoint("m", {"url": url}).base == base

import pytest
from pydantic import SecretStr

from offhook.config import ProviderConfig
from offhook.gateway.providers import USER_AGENT, Endpoint, endpoint

OPENAI = "wss://api.openai.com/v1/realtime"


def provider(url: str = OPENAI, **settings: object) -> ProviderConfig:
    return ProviderConfig.model_validate({"name": "p", "url": url, "api_key": "sk-1", **settings})


def test_openai() -> None:
    found = endpoint(provider(organization="org-1", project="proj-1"), "gpt-realtime-2.1", safety_identifier="0123abcd")
    assert found == Endpoint(
        "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1",
        {
            "User-Agent": USER_AGENT,
            "Authorization": "Bearer sk-1",
            "OpenAI-Organization": "org-1",
            "OpenAI-Project": "proj-1",
            "OpenAI-Safety-Identifier": "0123abcd",
        },
    )
    assert "sk-1" not in repr(found)


def test_regional_hosts_are_openai() -> None:
    found = endpoint(provider("wss://eu.api.openai.com/v1/realtime"), "m", safety_identifier="id")
    assert found.headers["OpenAI-Safety-Identifier"] == "id"


def test_azure() -> None:
    url = "wss://res.openai.azure.com/openai/v1/realtime"
    found = endpoint(provider(url), "my deployment", safety_identifier="id")
    assert found == Endpoint(f"{url}?model=my+deployment", {"User-Agent": USER_AGENT, "api-key": "sk-1"})


def test_compatible_servers_get_no_safety_identifier() -> None:
    found = endpoint(provider("ws://127.0.0.1:9090/v1/realtime"), "m", safety_identifier="id")
    assert found == Endpoint(
        "ws://127.0.0.1:9090/v1/realtime?model=m", {"User-Agent": USER_AGENT, "Authorization": "Bearer sk-1"}
    )


def test_a_server_that_wants_no_key() -> None:
    found = endpoint(provider("ws://localhost/v1/realtime", api_key=None), "m")
    assert found.headers == {"User-Agent": USER_AGENT}


def test_the_kind_can_be_said() -> None:
    found = endpoint(provider("wss://proxy.example.com/realtime", kind="azure"), "m")
    assert found.headers == {"User-Agent": USER_AGENT, "api-key": "sk-1"}


def test_an_anonymous_caller_has_no_identifier() -> None:
    assert "OpenAI-Safety-Identifier" not in endpoint(provider(), "m").headers


def test_further_headers_take_the_place_of_ours() -> None:
    extra = {"authorization": SecretStr("Bearer entra"), "X-Tenant": SecretStr("t")}
    found = endpoint(provider(headers=extra), "m")
    assert found.headers == {"User-Agent": USER_AGENT, "authorization": "Bearer entra", "X-Tenant": "t"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://h/realtime", "wss://h/realtime?model=gpt+x%26y"),
        ("wss://h/realtime?api-version=1", "wss://h/realtime?api-version=1&model=gpt+x%26y"),
        ("wss://h/realtime?a=%2F&b", "wss://h/realtime?a=%2F&b&model=gpt+x%26y"),
        ("wss://h/realtime?model=other", "wss://h/realtime?model=other"),
        ("wss://h/realtime?models=2", "wss://h/realtime?models=2&model=gpt+x%26y"),
    ],
)
def test_the_model_is_added_to_the_query(url: str, expected: str) -> None:
    assert endpoint(provider(url), "gpt x&y").url == expected


def test_the_beta_header_is_never_sent() -> None:
    for url in (OPENAI, "wss://res.openai.azure.com/x", "wss://h/x"):
        assert not any("beta" in name.lower() for name in endpoint(provider(url), "m", safety_identifier="i").headers)

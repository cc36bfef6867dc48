from typing import Any

import pytest
from pydantic import ValidationError

from offhook.config import ProviderConfig, RealtimeConfig
from offhook.config.schema import HEAD_START, MAX_WARM


def provider(**settings: Any) -> ProviderConfig:
    return ProviderConfig.model_validate({"name": "x", "url": "wss://api.openai.com/v1/realtime", **settings})


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("wss://api.openai.com/v1/realtime", "openai"),
        ("wss://EU.api.openai.com/v1/realtime", "openai"),
        ("wss://x.openai.azure.com/openai/v1/realtime", "azure"),
        ("wss://x.services.ai.azure.com/openai/v1/realtime", "azure"),
        ("ws://127.0.0.1:9000/v1/realtime", "compatible"),
        ("wss://api.openai.com.example.com/v1/realtime", "compatible"),
    ],
)
def test_kind_by_host(url: str, kind: str) -> None:
    assert provider(url=url).resolved_kind == kind
    assert provider(url=url, kind="azure").resolved_kind == "azure"


def test_usable() -> None:
    assert not provider().usable
    assert not provider(api_key="").usable
    assert not provider(api_key=" \n").usable
    assert provider(api_key="k").usable
    assert provider(kind="compatible").usable


def test_empty_settings_are_left_out() -> None:
    made = provider(api_key="", organization="", project="")
    assert (made.api_key, made.organization, made.project) == (None, None, None)


def test_line_feeds_of_files_are_not_part_of_a_secret() -> None:
    key = provider(api_key="sk-x\n").api_key
    assert key is not None
    assert key.get_secret_value() == "sk-x"


@pytest.mark.parametrize("url", ["https://x", "wss://", "wss://me@x/", "wss://x/#y", "x"])
def test_urls_that_cannot_be(url: str) -> None:
    with pytest.raises(ValidationError, match="wss://HOST/path"):
        provider(url=url)


def test_headers() -> None:
    made = provider(headers={"X-Route": "blue"})
    assert made.headers["X-Route"].get_secret_value() == "blue"


@pytest.mark.parametrize("headers", [{"": "x"}, {"Host": "x"}, {"OpenAI-Beta": "x"}, {"X": "a\nb"}, {"X": "\u00e4"}])
def test_headers_that_cannot_be(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="cannot be sent"):
        provider(headers=headers)


def test_each_provider_has_a_name_of_its_own() -> None:
    url = "ws://localhost/realtime"
    two = [{"name": "a", "url": url}, {"name": "b", "url": url}]
    assert [made.name for made in RealtimeConfig.model_validate({"providers": two}).providers] == ["a", "b"]
    with pytest.raises(ValidationError, match="two providers are called a"):
        RealtimeConfig.model_validate({"providers": [*two, {"name": "a", "url": url}]})


def test_connections_are_warm_only_if_asked_for() -> None:
    made = RealtimeConfig()
    assert (made.head_start, made.warm.size, made.warm.max_age) == (HEAD_START, 0, 600.0)
    assert RealtimeConfig.model_validate({"warm": {"size": MAX_WARM}}).warm.size == MAX_WARM
    for wrong in (
        {"head_start": 0},
        {"warm": {"size": MAX_WARM + 1}},
        {"warm": {"size": -1}},
        {"warm": {"max_age": 4000}},
    ):
        with pytest.raises(ValidationError):
            RealtimeConfig.model_validate(wrong)

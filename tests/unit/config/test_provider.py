from typing import Any

import pytest
from pydantic import ValidationError

from offhook.config import ProviderConfig


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

"""One Realtime API to ask: OpenAI, Azure OpenAI, or another server with the same protocol (openai-realtime.md §1)."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from offhook.tools.settings import Settings

Kind = Literal["openai", "azure", "compatible"]

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
# Set by the connection itself; "openai-beta" would ask for a protocol that is switched off (§1.2).
_RESERVED_HEADERS = frozenset({"host", "connection", "upgrade", "openai-beta"})


def empty_as_none(value: object) -> object:
    """Take ``${NAME:-}`` that came to nothing for a setting that is left out."""
    return None if value == "" else value


def trimmed(value: object) -> object:
    """Take a secret without the line feed that files and consoles put behind it."""
    return value.strip() if isinstance(value, str) else value


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise PydanticCustomError("provider_url", "should be wss://HOST/path, like wss://api.openai.com/v1/realtime")
    return url


OptionalText = Annotated[str | None, BeforeValidator(empty_as_none)]


class ProviderConfig(Settings):
    """A Realtime API and the way in."""

    name: str = Field(min_length=1, description="For logs and metrics; each has its own.")
    url: Annotated[str, AfterValidator(_check_url)] = Field(description="Used as given, with ?model= added.")
    api_key: Annotated[SecretStr | None, BeforeValidator(empty_as_none), BeforeValidator(trimmed)] = Field(
        default=None, description="May be empty for a server that wants none."
    )
    organization: OptionalText = Field(default=None, description="OpenAI organization to bill.")
    project: OptionalText = Field(default=None, description="OpenAI project to bill.")
    headers: dict[str, SecretStr] = Field(default={}, description="Further headers of the handshake.")
    kind: Literal["auto", "openai", "azure", "compatible"] = Field(
        default="auto", description="How to sign in; auto tells it from the host."
    )

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            text = name + value.get_secret_value()
            if name.lower() in _RESERVED_HEADERS or not text.isascii() or not text.isprintable() or not name:
                raise PydanticCustomError("provider_headers", "there is a header that cannot be sent")
        return headers

    @property
    def resolved_kind(self) -> Kind:
        """What ``kind`` comes to: ``auto`` tells it from the host."""
        if self.kind != "auto":
            return self.kind
        host = (urlsplit(self.url).hostname or "").lower()
        if host.endswith(_AZURE_HOSTS):
            return "azure"
        return "openai" if host == "api.openai.com" or host.endswith(".api.openai.com") else "compatible"

    @property
    def usable(self) -> bool:
        """OpenAI and Azure want an API key; others may do without."""
        return self.api_key is not None or self.resolved_kind == "compatible"

"""What can be configured (contract.md): every setting with its type, default and meaning."""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from offhook.agents.agent import Agent
from offhook.agents.prices import PriceList, known_prices
from offhook.agents.registry import AgentRegistry
from offhook.config.genesys import GenesysConfig
from offhook.config.provider import ProviderConfig, empty_as_none, trimmed
from offhook.httpsig import Key, PublicUrl, SecretError, decode_secret
from offhook.realtime.cost import Prices, TranscriptionPrice
from offhook.tools.settings import Settings

HEAD_START = 3.0
MAX_WARM = 50
#: Fewer characters could be guessed, or were thought up by a person.
MIN_TOKEN_CHARS = 16
MAX_TOKEN_CHARS = 512

_TOKEN_RULE = f"should have {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS} characters of ASCII, none of them a blank"
_TOKEN_FIX = "make one with openssl rand -hex 32"  # noqa: S105 - a hint

_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,20}")


class HostPort(NamedTuple):
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _read_host_port(value: object) -> object:
    if isinstance(value, HostPort):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "should be HOST:PORT in quotes")
    host, separator, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise PydanticCustomError("host_port", "should be HOST:PORT, with an IPv6 address in brackets")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise PydanticCustomError("host_port", "should be HOST:PORT with a port from 0 to 65535")
    return HostPort(host or "0.0.0.0", int(port))  # noqa: S104  ":8080" asks for it


def _check_base_path(path: str) -> str:
    if not path.startswith("/") or any(character in path for character in "?# "):
        raise PydanticCustomError("base_path", "should be a path that starts with /")
    return path.rstrip("/")


def _check_public_url(url: str) -> str:
    try:
        PublicUrl.parse(url, "/")
    except ValueError as error:
        raise PydanticCustomError("public_url", "{problem}", {"problem": str(error)}) from error
    return url


def _secrets(value: object) -> object:
    """Take one secret or several (while one is replaced); an empty one is left out."""
    several = value if isinstance(value, list | tuple) else [value]
    return tuple(secret for secret in several if secret not in (None, ""))


def _tokens(value: object) -> object:
    several = value if isinstance(value, list | tuple) else [value]
    return _secrets([trimmed(token) for token in several])


def _check_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    plain = text.isascii() and text.isprintable() and " " not in text
    if not plain or not MIN_TOKEN_CHARS <= len(text) <= MAX_TOKEN_CHARS:
        raise PydanticCustomError("admin_token", _TOKEN_RULE, {"fix": _TOKEN_FIX})
    return token


def _check_admin_host(name: str) -> str:
    lower = name.strip().lower().rstrip(".")
    if not _HOST_NAME.fullmatch(lower):
        raise PydanticCustomError("admin_host", "should be the name of a host alone, like admin.example.com")
    return lower


def _check_secret(secret: SecretStr) -> SecretStr:
    try:
        decode_secret(secret.get_secret_value())
    except SecretError as error:
        raise PydanticCustomError("secret", "{problem}", {"problem": str(error)}) from error
    return secret


def _organization(organization: str) -> str:
    try:
        return str(UUID(organization))
    except ValueError as error:
        raise PydanticCustomError("organization", "should be an organization ID, a UUID") from error


ListenAddress = Annotated[
    HostPort,
    BeforeValidator(_read_host_port),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["0.0.0.0:8080"]}),
]
ClientSecret = Annotated[SecretStr, AfterValidator(_check_secret)]
AdminToken = Annotated[SecretStr, AfterValidator(_check_token)]
_ONE_OR_SEVERAL: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class CallLimitConfig(Settings):
    """How many calls there may be; more are refused."""

    max_calls: int | None = Field(default=None, ge=1, description="Calls at a time; left out: any number.")
    max_opens_per_second: float | None = Field(
        default=None, gt=0, description="Calls that begin, on average; left out: any number."
    )
    opens_burst: int | None = Field(
        default=None, ge=1, description="Calls that may begin at once; left out: two seconds' worth."
    )


class KeyConfig(Settings):
    """Who may call: an API key, with a client secret also signed."""

    id: Annotated[SecretStr, Field(min_length=1), BeforeValidator(trimmed)] = Field(
        description="What Genesys sends as X-API-KEY."
    )
    secret: Annotated[
        tuple[ClientSecret, ...],
        BeforeValidator(_secrets),
        WithJsonSchema(_ONE_OR_SEVERAL),
    ] = Field(default=(), description="Base64 client secret, or several; left out, requests need no signature.")
    organizations: tuple[Annotated[str, AfterValidator(_organization)], ...] | None = Field(
        default=None, description="Genesys organization IDs that may use the key; left out: any."
    )
    agents: tuple[str, ...] | None = Field(default=None, description="Agents that may be called; left out: any.")
    name: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Za-z_-]{1,40}$",
        description="What the log calls the key, which it never shows; left out: its place, like keys[0].",
    )
    limits: CallLimitConfig = Field(
        default=CallLimitConfig(), description="How many calls there may be with this key; more are refused."
    )

    def key(self) -> Key:
        """Return the key as the verifier wants it."""
        secrets = tuple(decode_secret(secret.get_secret_value()) for secret in self.secret)
        return Key(self.id.get_secret_value(), secrets)


class WarmConfig(Settings):
    """Connections that stand, with their session configured, before there is a call; off unless size is set.

    A call that takes one does not wait for the handshake. Nobody knows yet who will call, so such a connection cannot
    carry ``OpenAI-Safety-Identifier``.
    """

    size: int = Field(
        default=0,
        ge=0,
        le=MAX_WARM,
        description="How many, for each agent and process; OpenAI-Safety-Identifier is not sent on them.",
    )
    max_age: float = Field(
        default=600.0,
        ge=10,
        le=3000,
        description="Seconds until one is replaced; the API ends sessions after an hour.",
    )


class RealtimeConfig(Settings):
    """Who speaks for the agents."""

    providers: tuple[ProviderConfig, ...] = Field(
        default=(), description="In order of preference; without a usable one, the built-in emulator answers."
    )
    head_start: float = Field(
        default=HEAD_START,
        gt=0,
        description="Seconds that a provider has for the handshake before the next one is tried beside it.",
    )
    warm: WarmConfig = Field(
        default=WarmConfig(), description="Connections that stand before there is a call; off unless size is set."
    )

    @field_validator("providers")
    @classmethod
    def _check_names(cls, providers: tuple[ProviderConfig, ...]) -> tuple[ProviderConfig, ...]:
        names = [provider.name for provider in providers]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError("provider_name", "two providers are called {name}", {"name": name})
        return providers


class PriceConfig(Settings):
    """What a Realtime model costs, in USD per million tokens; stronger than what offhook knows."""

    text_input: float = Field(ge=0, description="Text that the model reads.")
    text_cached: float = Field(ge=0, description="Text that it has read before.")
    text_output: float = Field(ge=0, description="Text that it writes, transcripts and calls of tools included.")
    audio_input: float = Field(ge=0, description="Speech that it hears: 600 tokens a minute.")
    audio_cached: float = Field(ge=0, description="Speech that it has heard before.")
    audio_output: float = Field(ge=0, description="Speech that it makes: 1,200 tokens a minute.")
    image_input: float = Field(default=0.0, ge=0, description="Images that it sees.")
    image_cached: float = Field(default=0.0, ge=0, description="Images that it has seen before.")


class TranscriptionPriceConfig(Settings):
    """What a transcription model costs; stronger than what offhook knows."""

    minute: float = Field(default=0.0, ge=0, description="USD per minute of the caller's speech.")
    input: float | None = Field(default=None, ge=0, description="USD per million tokens that it reads.")
    output: float | None = Field(default=None, ge=0, description="USD per million tokens that it writes.")


class TlsConfig(Settings):
    """The certificate of a port, and its key."""

    cert: str = Field(min_length=1, description="PEM file with the certificate and its chain.")
    key: str = Field(min_length=1, description="PEM file with the private key.")


class LimitsConfig(Settings):
    """Bounds; times in seconds."""

    max_calls: int = Field(default=1000, ge=1, description="Calls at a time; more are refused.")
    max_opens_per_second: float | None = Field(
        default=None, gt=0, description="Calls that begin, on average; more are refused. Left out: any number."
    )
    opens_burst: int | None = Field(
        default=None, ge=1, description="Calls that may begin at once; left out: two seconds' worth."
    )
    per_organization: CallLimitConfig = Field(
        default=CallLimitConfig(), description="How many calls there may be of each Genesys organization."
    )
    max_lag: float | None = Field(
        default=0.1,
        gt=0,
        description="How late the process may be, on average, before it takes no more calls; null for any time.",
    )
    max_sockets: int | None = Field(
        default=None,
        ge=1,
        description="Connections of Genesys at a time, calls or not; beyond them upgrades are answered with 503. Left "
        "out: max_calls and 256 more.",
    )
    max_handshakes: int = Field(
        default=1024, ge=1, description="Connections at a time that are no call yet; the oldest is dropped."
    )
    max_handshakes_per_address: int = Field(
        default=256, ge=1, description="The same for one IP address, or one /64 of IPv6; a load balancer is one."
    )
    idle_timeout: float = Field(
        default=25.0, gt=0, description="Without a sign of life of Genesys in a call; it pings every 5 seconds."
    )
    connect_timeout: float = Field(default=10.0, gt=0, description="For the Realtime API to answer the handshake.")
    tool_timeout: float = Field(default=20.0, gt=0, description="For one tool call.")
    max_tool_calls: int = Field(default=100, ge=1, description="Tools that one call may run; more are refused.")
    max_running_tools: int = Field(default=64, ge=1, description="Tools at a time, for each agent; more are refused.")
    drain_timeout: float = Field(default=900.0, ge=0, description="For live calls to end when the process stops.")


class LogConfig(Settings):
    """What is logged, to stderr."""

    format: Literal["console", "json"] | None = Field(
        default=None, description="Left out: console on a terminal, json elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Settings):
    """The whole configuration, as in ``offhook.yaml``."""

    listen: ListenAddress = Field(
        default=HostPort("0.0.0.0", 8080),  # noqa: S104  the call port is meant to be reached
        description="Call port: AudioHook WebSocket, /healthz, /readyz.",
        json_schema_extra={"default": "0.0.0.0:8080"},
    )
    base_path: Annotated[str, AfterValidator(_check_base_path)] = Field(
        default="/audiohook", description="Path of the Base Connection URI; the Connector ID follows it."
    )
    public_url: Annotated[Annotated[str, AfterValidator(_check_public_url)] | None, BeforeValidator(empty_as_none)] = (
        Field(default=None, description="What Genesys really dials, for signatures behind proxies.")
    )
    # Before `admin`, whose check looks at it.
    admin_token: Annotated[
        tuple[AdminToken, ...],
        BeforeValidator(_tokens),
        Field(max_length=16),
        WithJsonSchema(_ONE_OR_SEVERAL),
    ] = Field(
        default=(),
        description="Who has it may use the admin port; several while one is replaced. Left out, each start makes one "
        "and shows it, for this machine only.",
    )
    admin: ListenAddress = Field(
        default=HostPort("127.0.0.1", 8081),
        description="Admin port: status, API, metrics; never the public one. Reached by other machines, it needs an "
        "admin_token.",
        json_schema_extra={"default": "127.0.0.1:8081"},
    )
    admin_hosts: tuple[Annotated[str, AfterValidator(_check_admin_host)], ...] = Field(
        default=(),
        max_length=100,
        description="Further names by which the admin port is reached, like that of a proxy before it; addresses and "
        "localhost need none.",
    )
    admin_tls: TlsConfig | None = Field(default=None, description="TLS on the admin port.")
    keys: tuple[KeyConfig, ...] = Field(default=(), description="Who may call.")
    realtime: RealtimeConfig = Field(default=RealtimeConfig(), description="Who speaks for the agents.")
    agents: dict[Annotated[str, Field(min_length=1, max_length=200)], Agent] = Field(
        min_length=1, description="Who answers, by Connector ID."
    )
    default_agent: str | None = Field(default=None, description="Answers the bare base path.")
    genesys: GenesysConfig | None = Field(default=None, description="The Platform API, for data actions.")
    prices: dict[ModelName, PriceConfig] = Field(
        default={}, description="What Realtime models cost, by name of the model or of the Azure deployment."
    )
    transcription_prices: dict[ModelName, TranscriptionPriceConfig] = Field(
        default={}, description="What transcription models cost, likewise."
    )
    tls: TlsConfig | None = Field(default=None, description="TLS on the call port; usually the load balancer's job.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that carry calls, on one call port; limits of calls count all."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="Bounds.")
    log: LogConfig = Field(default=LogConfig(), description="What is logged.")

    @field_validator("admin")
    @classmethod
    def _check_admin(cls, admin: HostPort, info: ValidationInfo) -> HostPort:
        # A token that is wrong is a problem of its own.
        if not is_local(admin) and info.data.get("admin_token") == ():
            fix = f"set admin_token ({_TOKEN_FIX}), or listen on 127.0.0.1"
            raise PydanticCustomError(
                "admin_open", "other machines can reach this, so there must be a token", {"fix": fix}
            )
        return admin

    @property
    def needs_emulator(self) -> bool:
        """No provider can be used: none is configured, or those that want an API key have none."""
        return not self.usable_providers

    @property
    def usable_providers(self) -> tuple[ProviderConfig, ...]:
        """The providers that can be asked, in order of preference."""
        return tuple(provider for provider in self.realtime.providers if provider.usable)

    def named_keys(self) -> dict[str, KeyConfig]:
        """Return the keys by the names that the log has for them."""
        return {key.name or f"keys[{place}]": key for place, key in enumerate(self.keys)}

    def registry(self) -> AgentRegistry:
        """Return the agents by Connector ID."""
        return AgentRegistry(self.agents, self.default_agent)

    def price_list(self) -> PriceList:
        """Return the prices that offhook knows, with those of the configuration over them."""
        return known_prices().with_prices(
            {name: Prices(**price.model_dump()) for name, price in self.prices.items()},
            {name: TranscriptionPrice(**price.model_dump()) for name, price in self.transcription_prices.items()},
        )

    def dialled_url(self) -> PublicUrl | None:
        """Return the public URL as the verifier wants it."""
        return PublicUrl.parse(self.public_url, self.base_path) if self.public_url else None


def is_local(address: HostPort) -> bool:
    """Tell whether only this machine can reach ``address``."""
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host.lower() == "localhost"

"""Configuration: the schema, the file, and what is wrong with it."""

from offhook.config.loader import DEFAULT_FILE, LoadedConfig, load_config, parse_config
from offhook.config.problems import ConfigError, Mark, Problem
from offhook.config.provider import ProviderConfig
from offhook.config.schema import (
    Config,
    HostPort,
    KeyConfig,
    LimitsConfig,
    LogConfig,
    RealtimeConfig,
    TlsConfig,
    WarmConfig,
)
from offhook.config.tls import client_context, load_certificate, server_context

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "ConfigError",
    "HostPort",
    "KeyConfig",
    "LimitsConfig",
    "LoadedConfig",
    "LogConfig",
    "Mark",
    "Problem",
    "ProviderConfig",
    "RealtimeConfig",
    "TlsConfig",
    "WarmConfig",
    "client_context",
    "load_certificate",
    "load_config",
    "parse_config",
    "server_context",
]

"""What the parts of a running gateway take from its configuration, and what they cannot take without a restart."""

from collections.abc import Sequence

from offhook.config import Config, HostPort, LimitsConfig
from offhook.gateway.admission import Scope
from offhook.gateway.listener import ListenerLimits

RESTART_SETTINGS = ("listen", "admin", "admin_tls", "base_path", "workers", "log")
"""What a reload leaves as it was; `tls` too when it comes or goes."""

SPARE_SOCKETS = 256
"""Connections beyond `limits.max_calls` that may be upgraded, for calls that are refused or on their way out."""


def base_url(config: Config, port: int) -> str:
    """Return the Base Connection URI as this machine sees it."""
    scheme = "wss" if config.tls is not None else "ws"
    host = config.listen.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - not a place to connect to
        host = "localhost"
    return f"{scheme}://{HostPort(host, port)}{config.base_path}"


def shown_as(scope: Scope) -> str:
    """Return what the scoreboard calls a scope."""
    return f"{scope.kind} {scope.name}"


def listener_limits(limits: LimitsConfig) -> ListenerLimits:
    """Return the bounds of the call port."""
    return ListenerLimits(
        max_sockets=limits.max_calls + SPARE_SOCKETS if limits.max_sockets is None else limits.max_sockets,
        max_handshakes=limits.max_handshakes,
        max_handshakes_per_address=limits.max_handshakes_per_address,
    )


def keep_fixed(
    current: Config, wanted: Config, *, fixed: Sequence[str] = RESTART_SETTINGS
) -> tuple[Config, tuple[str, ...]]:
    """Return the wanted configuration as far as a running process can have it, and the settings that it cannot."""
    changed = [name for name in fixed if getattr(current, name) != getattr(wanted, name)]
    if fixed is RESTART_SETTINGS and (current.tls is None) != (wanted.tls is None):
        changed.append("tls")
    return wanted.model_copy(update={name: getattr(current, name) for name in changed}), tuple(changed)

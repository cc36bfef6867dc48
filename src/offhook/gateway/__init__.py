"""The socket shells of a running gateway: they carry bytes between sockets and cores, and decide nothing."""

from offhook.gateway.definition import Gateway
from offhook.gateway.observer import CallInfo, CallObserver
from offhook.gateway.server import GatewayServer

__all__ = ["CallInfo", "CallObserver", "Gateway", "GatewayServer"]

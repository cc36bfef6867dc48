"""Who watches calls: the demo's display, later records and metrics."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from offhook.bridge import CallEnded, RecordMoment, Turn
from offhook.telemetry.logging import get_logger

_log = get_logger("offhook.gateway.observer")


@dataclass(slots=True)
class CallInfo:
    """Which call it is; fields that come with `open` are empty before it."""

    call_id: str
    """Our name for it, `OFFHOOK_CALL_ID`."""
    conversation_id: str = ""
    organization_id: str = ""
    agent: str = ""
    connector_id: str = ""
    began_at: float = field(default_factory=time.time)
    """Unix seconds of the upgrade."""
    began: float = field(default_factory=time.monotonic)
    """The same on the clock of `RecordMoment.at`."""


class CallObserver(Protocol):
    """Watches calls. Its methods run inside the call: they must return at once and never wait."""

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        """A turn of the transcript is settled."""

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        """Something noteworthy happened; see `bridge.moments`."""

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        """The call is over."""


class Observers:
    """Passes everything on to several observers; one that fails costs a log line and nothing else."""

    def __init__(self, observers: Sequence[CallObserver] = ()) -> None:
        self._observers = tuple(observers)

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        """Pass a turn on."""
        for observer in self._observers:
            try:
                observer.on_turn(info, turn)
            except Exception as error:
                _report(info, error)

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        """Pass a moment on."""
        for observer in self._observers:
            try:
                observer.on_moment(info, moment)
            except Exception as error:
                _report(info, error)

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        """Pass the end on."""
        for observer in self._observers:
            try:
                observer.on_ended(info, ended)
            except Exception as error:
                _report(info, error)


def _report(info: CallInfo, error: Exception) -> None:
    _log.error("observer failed", call=info.call_id, exc_info=error)

"""The process's log as it is written, for the time of a test."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import structlog

from offhook.telemetry import logging as offhook_logging
from offhook.telemetry import repeats
from offhook.telemetry.logging import LineWriter, LogStyle, configure


class Log:
    """What was logged so far."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self._writer: LineWriter | None = None

    def writer(self, *args: Any, **kwargs: Any) -> LineWriter:
        self._writer = LineWriter(*args, **kwargs)
        return self._writer

    def text(self) -> str:
        assert self._writer is not None
        assert self._writer.settle()
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@contextlib.contextmanager
def logging_to(style: LogStyle = "json", level: str = "debug") -> Iterator[Log]:
    """Log as the gateway does, into memory and without leaving lines out; put everything back."""
    log, root = Log(), logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    with mock.patch.object(offhook_logging, "LineWriter", log.writer):
        configure(style=style, level=level, stream=log.stream)
    try:
        with mock.patch.object(repeats, "LINES", 10**6):
            yield log
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(root_level)

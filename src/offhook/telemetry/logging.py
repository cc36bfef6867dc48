"""Log set-up: one line per event, as JSON or for a console, never with a secret or with what a caller said.

Four rules keep the lines clean and few, whoever writes them:

- a field whose name is on the deny-list is withheld;
- an exception is logged by its type and its place in the code, not by its text, which may quote its input;
- of a library's log record, only the first line of the unformatted message is taken; where the library has formatted it
  itself, only its beginning, up to where a value may be;
- of lines that anybody on the network can cause, only so many of a kind are written (see `telemetry.repeats`).

Lines are written by a thread, so that a terminal or a log collector that stops reading never holds up a call.
"""

import atexit
import logging
import queue
import re
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from offhook.telemetry.repeats import LEFT_OUT, Repeats

LogStyle = Literal["json", "console"]

WITHHELD = "[withheld]"

DENIED = frozenset(
    {
        # credentials
        "api_key",
        "authorization",
        "credentials",
        "key",
        "nonce",
        "password",
        "secret",
        "signature",
        "signature_input",
        "token",
        "x_api_key",
        # what callers and agents say, and who they are
        "ani",
        "ani_name",
        "arguments",
        "audio",
        "body",
        "digits",
        "dnis",
        "headers",
        "input_variables",
        "instructions",
        "output",
        "output_variables",
        "query",
        "text",
        "transcript",
    }
)
"""Names of fields that are never shown (`-` counts as `_`, case does not count)."""

_WORDS = re.compile(r"(?:[A-Za-z ,.!_-]|\(\))*")

MAX_WAITING = 10_000
"""Lines that may wait to be written; more are dropped and counted."""


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger; bind `call` and `conversation` to it where there is a call."""
    logger: FilteringBoundLogger = structlog.get_logger(component=name)
    return logger


def configure(*, style: LogStyle | None = None, level: str = "info", stream: TextIO | None = None) -> None:
    """Set logging up for the process; by default for a console when `stream` (stderr) is one, else as JSON."""
    out = stream if stream is not None else sys.stderr
    if style is None:
        style = "console" if out.isatty() else "json"
    number = logging.getLevelNamesMapping()[level.upper()]
    repeats = Repeats()
    writer = LineWriter(out, between=lambda: tell_left_out(repeats))
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0)
    )
    shared: list[Processor] = [
        repeats,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold,
        place_of_exception,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(writer),  # type: ignore[arg-type]  # only write and flush are used
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[LibraryRecords(max(number, logging.WARNING))], level=logging.WARNING, force=True)


def tell_left_out(repeats: Repeats) -> float | None:
    """Log how many lines were left out; return the seconds until there may be more to tell."""
    over, seconds = repeats.take()
    for one in over:
        code = {"code": one.code} if one.code else {}
        get_logger(one.component).warning(LEFT_OUT, of=one.event, count=one.count, **code)
    return seconds


def withhold(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of denied fields."""
    for name in event:
        if name.lower().replace("-", "_") in DENIED:
            event[name] = WITHHELD
    return event


def place_of_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's type and where it came from."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exception()
    if error is not None:
        event["exception"] = type(error).__name__
        event["at"] = _places(error.__traceback__)
    return event


def _places(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-8:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)


class LibraryRecords(logging.Handler):
    """Passes on what libraries log, without what they put into it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record's first line, unformatted, and where it comes from."""
        lines = str(record.msg).splitlines()
        text = lines[0] if lines else ""
        if not record.args:
            # "Exception in callback send('…')", or "Unexpected content type: …": nobody knows what a value may be.
            text = _WORDS.match(text)[0].rstrip()  # type: ignore[index]  # it matches anything
        error = record.exc_info[1] if record.exc_info else None
        level = min(record.levelno, logging.ERROR)
        place = f"{record.filename}:{record.lineno}"
        get_logger(record.name).log(level, text, place=place, exc_info=error)


class LineWriter:
    """A text stream that never blocks its writer; only `write` and `flush` of one.

    Args:
        stream: where to.
        max_waiting: lines that may wait; more are dropped.
        between: called by the thread between two lines; says after how many seconds it wants to be called again, even
            if there is no line.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        max_waiting: int = MAX_WAITING,
        between: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._stream = stream
        self._between = between
        self._waiting: queue.Queue[str | threading.Event] = queue.Queue(max_waiting)
        self.dropped = 0
        """Lines that were lost because the stream was too slow."""
        threading.Thread(target=self._write_all, name="offhook-log", daemon=True).start()
        atexit.register(self.settle)

    def write(self, text: str) -> int:
        """Queue `text`, or drop it."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self.dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing to do: the thread flushes."""

    def settle(self, seconds: float = 1.0) -> bool:
        """Wait until all that was written so far is out; False when that takes longer than `seconds`."""
        done = threading.Event()
        try:
            self._waiting.put(done, timeout=seconds)
        except queue.Full:
            return False
        return done.wait(seconds)

    def _write_all(self) -> None:
        while True:
            try:
                item = self._waiting.get(timeout=self._between())
            except queue.Empty:
                continue
            try:
                if isinstance(item, str):
                    self._stream.write(item)
                else:
                    item.set()
                if self._waiting.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # A closed stream takes no more lines; there is nobody left to tell.
                continue

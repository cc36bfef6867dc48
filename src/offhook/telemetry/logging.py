"""Log set-up: one line per event, as JSON or for a console, never with a secret or with what a caller said.

Three rules keep the lines clean, whoever writes them:

- a field whose name is on the deny-list is withheld;
- an exception is logged by its type and its place in the code, not by its text, which may quote its input;
- of a library's log record, only the first line of the unformatted message is taken.

Lines are written by a thread, so that a terminal or a log collector that stops reading never holds up a call.
"""

import atexit
import logging
import queue
import sys
import threading
import traceback
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

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
    writer = LineWriter(out)
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0)
    )
    shared: list[Processor] = [
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
        """Log the record's first line, unformatted."""
        lines = str(record.msg).splitlines()
        text = lines[0] if lines else ""
        error = record.exc_info[1] if record.exc_info else None
        level = min(record.levelno, logging.ERROR)
        get_logger(record.name).log(level, text, exc_info=error)


class LineWriter:
    """A text stream that never blocks its writer; only `write` and `flush` of one."""

    def __init__(self, stream: TextIO, *, max_waiting: int = MAX_WAITING) -> None:
        self._stream = stream
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
            item = self._waiting.get()
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

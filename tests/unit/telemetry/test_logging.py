import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from offhook.telemetry import logging as offhook_logging
from offhook.telemetry.logging import DENIED, WITHHELD, LineWriter, configure, get_logger

SECRET = "hunter2-4111-1111-1111-1111"


class Log:
    """Collects lines; waits for the writing thread when read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = io.StringIO()
        self.writers: list[LineWriter] = []
        writers = self.writers

        class Kept(LineWriter):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                writers.append(self)

        monkeypatch.setattr(offhook_logging, "LineWriter", Kept)

    def text(self) -> str:
        assert self.writers[-1].settle()
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Log(monkeypatch)
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_json_lines_carry_what_was_bound(log: Log) -> None:
    configure(stream=log.stream)
    get_logger("offhook.gateway").bind(call="c1", conversation="v1").info("call started", agent="support")
    (line,) = log.lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call started",
        "level": "info",
        "component": "offhook.gateway",
        "call": "c1",
        "conversation": "v1",
        "agent": "support",
    }


def test_console_lines_are_for_people(log: Log) -> None:
    configure(style="console", stream=log.stream)
    get_logger("offhook").warning("call refused", code="OH-AUTH-03")
    text = log.text()
    assert "call refused" in text
    assert "code=OH-AUTH-03" in text


def test_a_console_gets_console_lines_by_default(log: Log) -> None:
    log.stream.isatty = lambda: True  # type: ignore[method-assign]
    configure(stream=log.stream)
    get_logger("offhook").info("hello")
    assert not log.text().startswith("{")


def test_lines_below_the_level_are_not_written(log: Log) -> None:
    configure(level="warning", stream=log.stream)
    get_logger("offhook").info("too little")
    get_logger("offhook").error("enough")
    assert [line["event"] for line in log.lines()] == ["enough"]


def test_denied_fields_are_withheld(log: Log) -> None:
    configure(stream=log.stream)
    get_logger("offhook").info("everything", **dict.fromkeys(DENIED, SECRET), **{"X-API-Key": SECRET, "Text": SECRET})
    (line,) = log.lines()
    assert SECRET not in log.text()
    assert {line[name] for name in DENIED} == {WITHHELD}


def test_an_exception_is_logged_without_its_text(log: Log) -> None:
    configure(stream=log.stream)

    def fail() -> None:
        raise ValueError(SECRET)

    try:
        fail()
    except ValueError as error:
        get_logger("offhook").exception("within the handler")
        kept = error
    get_logger("offhook").error("after it", exc_info=kept)
    get_logger("offhook").error("as a tuple", exc_info=(ValueError, kept, kept.__traceback__))
    get_logger("offhook").error("none there", exc_info=True)
    *with_exception, without = log.lines()
    for line in with_exception:
        assert line["exception"] == "ValueError"
        assert line["at"].endswith(" fail")
    assert "exception" not in without
    assert SECRET not in log.text()


def test_library_records_lose_what_was_put_into_them(log: Log) -> None:
    configure(stream=log.stream)
    library = logging.getLogger("some.library")
    library.info("not of interest")
    library.warning("Request to %s failed", SECRET)
    library.error(f"Task exception was never retrieved\nfuture: <Task exception=ValueError({SECRET!r})>")
    library.critical("")
    library.error(f"Exception in callback send('{SECRET}') at link.py:7")
    library.error(f"Unexpected content type: {SECRET}")
    library.error("socket.accept() out of system resource")
    try:
        raise KeyError(SECRET)
    except KeyError:
        library.exception("oops")
    lines = log.lines()
    assert [(line["level"], line["event"]) for line in lines] == [
        ("warning", "Request to %s failed"),
        ("error", "Task exception was never retrieved"),
        ("error", ""),
        ("error", "Exception in callback send"),
        ("error", "Unexpected content type"),
        ("error", "socket.accept() out of system resource"),
        ("error", "oops"),
    ]
    assert lines[-1]["exception"] == "KeyError"
    assert {line["component"] for line in lines} == {"some.library"}
    assert all(line["place"].startswith("test_logging.py:") for line in lines)
    assert SECRET not in log.text()


class StuckStream(io.StringIO):
    """Blocks whoever writes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.released.wait(10)
        return super().write(text)


def test_a_stuck_stream_costs_lines_and_not_time() -> None:
    stream = StuckStream()
    writer = LineWriter(stream, max_waiting=2)
    writer.write("a\n")
    assert stream.reached.wait(10)
    for _ in range(5):
        assert writer.write("b\n") == 2
    assert writer.dropped == 3
    assert not writer.settle(0.01)
    stream.released.set()
    assert writer.settle(10)
    assert stream.getvalue() == "a\nb\nb\n"


def test_a_slow_stream_is_waited_for_at_exit_but_not_for_ever() -> None:
    stream = StuckStream()
    writer = LineWriter(stream)
    writer.write("a\n")
    assert stream.reached.wait(10)
    assert not writer.settle(0.01)
    stream.released.set()


def test_a_closed_stream_is_survived() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    stream.close()
    writer.write("a\n")
    writer.flush()
    assert writer.settle(10)

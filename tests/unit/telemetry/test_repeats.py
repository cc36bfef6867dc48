import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from offhook.telemetry import repeats as module
from offhook.telemetry.logging import configure, get_logger
from offhook.telemetry.repeats import LINES, MAX_KINDS, WINDOW, LeftOut, Repeats


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(clock: Clock) -> Repeats:
    return Repeats(clock)


def passed(repeats: Repeats, count: int = 1, **line: Any) -> int:
    """Say a line so many times; return how often it got through."""
    through = 0
    for _ in range(count):
        event = {"component": "gate", "event": "call refused", "code": "OH-AUTH-11", **line}
        try:
            assert repeats(None, "warning", event) is event
        except structlog.DropEvent:
            continue
        through += 1
    return through


def test_so_many_lines_of_a_kind_pass_and_the_rest_is_counted(repeats: Repeats, clock: Clock) -> None:
    assert passed(repeats, LINES - 1) == LINES - 1
    assert repeats.take() == ([], None)
    assert passed(repeats, 1000) == 1
    clock.now += 4.0
    assert repeats.take() == ([], WINDOW - 4.0)
    clock.now += WINDOW - 4.0
    assert passed(repeats, 5) == 0, "until their number was told"
    assert repeats.take() == ([LeftOut("gate", "call refused", "OH-AUTH-11", 1004)], None)
    assert passed(repeats, LINES + 1) == LINES


def test_a_few_lines_are_never_counted(repeats: Repeats, clock: Clock) -> None:
    for _ in range(10):
        assert passed(repeats, LINES) == LINES
        clock.now += WINDOW
    assert repeats.take() == ([], None)


@pytest.mark.parametrize("other", [{"code": "OH-AUTH-02"}, {"event": "request failed"}, {"component": "listener"}])
def test_kinds_do_not_hide_each_other(repeats: Repeats, other: dict[str, Any]) -> None:
    passed(repeats, 10 * LINES)
    assert passed(repeats, 1, **other) == 1


def test_lines_of_calls_always_pass(repeats: Repeats) -> None:
    assert passed(repeats, 10 * LINES, call="c1") == 10 * LINES


def test_the_number_of_kinds_is_bounded(repeats: Repeats, clock: Clock) -> None:
    assert sum(passed(repeats, event=f"text {number}") for number in range(MAX_KINDS + 10 * LINES)) == MAX_KINDS + LINES
    clock.now += WINDOW
    assert repeats.take() == ([LeftOut("", "other lines", "", 9 * LINES)], None)
    assert passed(repeats, event="text 1") == 1


class Lines(io.StringIO):
    """Tells when a text came."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.came = threading.Event()
        self._text = text

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._text in text:
            self.came.set()
        return written


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("restored")
def test_the_number_is_told_though_nothing_more_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 0.05)
    stream = Lines("lines left out")
    configure(style="json", stream=stream)
    for _ in range(LINES + 7):
        get_logger("offhook.gateway.auth").warning("call refused", code="OH-AUTH-11", detail="does not match")
    for _ in range(LINES + 1):
        logging.getLogger("some.library").warning("%s: odd protocols %r", "192.0.2.1", "x")
    assert stream.came.wait(5)
    text = stream.getvalue()
    assert text.count('"event": "call refused"') == LINES
    assert '"of": "call refused", "count": 7, "code": "OH-AUTH-11"' in text
    assert text.count("odd protocols") - text.count('"of": "%s: odd protocols %r"') == LINES

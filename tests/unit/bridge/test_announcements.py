"""When the caller is told that it takes a moment, by a clock alone; whole calls are in `test_call_recovery.py`."""

import pytest

from offhook.bridge import Prompt
from offhook.bridge.announcements import Announcements
from offhook.bridge.plan import Recovery

MOMENT = Prompt(text="One moment.", audio=b"\x10" * 800)
SETTINGS = Recovery(prompt=MOMENT, after=3.0, every=8.0)
NEVER_PLAYED = 0.0


def test_a_slow_first_connection() -> None:
    made = Announcements(SETTINGS, 100.0)
    assert made.due_at(NEVER_PLAYED) == 103.0
    assert made.take() is MOMENT
    assert made.due_at(105.0) == 113.0, "counted from the end of the first one"
    made.wait(False, 106.0)
    assert made.due_at(105.0) is None


def test_without_a_recording_nothing_is_played() -> None:
    made = Announcements(Recovery(), 100.0)
    made.lost()
    assert made.due_at(NEVER_PLAYED) is None


def test_at_once_when_the_ai_is_lost() -> None:
    made = Announcements(SETTINGS, 0.0)
    made.wait(False, 1.0)
    assert made.due_at(50.0) is None
    made.lost()
    made.wait(True, 60.0)
    assert made.due_at(61.5) == 61.5, "after what is still being heard"
    made.take()
    made.lost()
    assert made.due_at(64.0) == 72.0, "lost once, however many attempts fail"
    made.take()
    assert made.due_at(75.0) == 83.0
    made.back()
    assert made.due_at(75.0) == 83.0, "it is there, and does not answer yet"
    made.agent_heard()
    made.wait(False, 76.0)
    assert made.due_at(76.0) is None


@pytest.mark.parametrize(("heard", "due"), [(False, 17.0), (True, 9.0)])
def test_lost_again(heard: bool, due: float) -> None:
    """It is another loss if the agent was heard in between."""
    made = Announcements(SETTINGS, 0.0)
    made.lost()
    made.take()
    made.back()
    if heard:
        made.agent_heard()
    made.lost()
    assert made.due_at(9.0) == due


@pytest.mark.parametrize("lost", [False, True])
def test_never_into_what_is_heard(lost: bool) -> None:
    made = Announcements(SETTINGS, 0.0)
    if lost:
        made.lost()
    assert made.due_at(None) is None


def test_an_overdue_answer() -> None:
    made = Announcements(SETTINGS, 0.0)
    made.wait(False, 0.5)
    made.wait(True, 20.0)
    made.wait(True, 22.0)
    assert made.waiting_from == 20.0
    made.caller_heard(21.0)
    assert made.due_at(NEVER_PLAYED) == 24.0, "the caller was heard last"
    assert made.due_at(23.0) == 26.0
    made.take()
    assert made.due_at(25.0) == 33.0
    made.caller_heard(26.0)
    assert made.due_at(25.0) == 29.0, "another wait"


def test_the_next_wait_is_another_one() -> None:
    """Even if the agent was not heard in between: it may have called a tool."""
    made = Announcements(SETTINGS, 0.0)
    made.take()
    made.wait(False, 20.0)
    made.wait(True, 40.0)
    assert made.due_at(4.0) == 43.0


def test_the_settings_follow_the_language() -> None:
    made = Announcements(SETTINGS, 0.0)
    german = Prompt(text="Einen Moment.", audio=b"\x11" * 800)
    made.settings = Recovery(prompt=german, after=1.0)
    assert made.due_at(NEVER_PLAYED) == 1.0
    assert made.take() is german

"""The caller's audio: held, passed, replaced by silence."""

import pytest

from offhook.bridge.caller_audio import MAX_HELD, MAX_KEPT, PAUSED, SECRET, CallerAudio, speaks

SILENCE_200_MS = b"\xff" * 1600


def opened() -> CallerAudio:
    audio = CallerAudio()
    audio.open(10.0)
    return audio


def test_held_until_the_model_listens() -> None:
    audio = CallerAudio()
    assert audio.receive(b"one") == audio.receive(b"two") == b""
    assert audio.open(10.0) == b"onetwo"
    assert audio.receive(b"three") == b"three"
    assert audio.dropped == 0


def test_the_oldest_goes_when_too_much_is_held() -> None:
    audio = CallerAudio()
    audio.receive(bytes(MAX_HELD))
    audio.receive(b"last")
    held = audio.open(10.0)
    assert len(held) == MAX_HELD
    assert held.endswith(b"\x00last")
    assert audio.dropped == 4


def test_silence_at_real_time_while_paused() -> None:
    audio = opened()
    audio.mute(PAUSED, 20.0)
    assert audio.paused
    assert audio.muted
    assert audio.receive(b"secret") == b""
    sent = b""
    while (due := audio.next_timer()) is not None and due <= 25.0:
        sent += audio.handle_timer(due)
    assert len(sent) == pytest.approx(5 * 8000, abs=1600)
    assert set(sent) == {0xFF}
    audio.unmute(PAUSED)
    assert audio.next_timer() is None
    assert audio.handle_timer(30.0) == b""
    assert audio.receive(b"back") == b"back"


def test_a_late_timer_catches_up_within_bounds() -> None:
    audio = opened()
    audio.mute(PAUSED, 20.0)
    assert audio.handle_timer(20.1) == b""
    assert audio.handle_timer(20.65) == SILENCE_200_MS * 3
    assert audio.next_timer() == pytest.approx(20.8)
    assert len(audio.handle_timer(80.0)) == 2 * 8000
    assert audio.next_timer() == 80.0
    assert audio.handle_timer(80.0) == SILENCE_200_MS
    assert audio.next_timer() == pytest.approx(80.2)


def test_paused_before_the_model_listens() -> None:
    audio = CallerAudio()
    audio.receive(b"before")
    audio.mute(PAUSED, 5.0)
    assert audio.next_timer() is None
    audio.receive(b"secret")
    assert audio.open(10.0) == b"before"
    assert audio.next_timer() == pytest.approx(10.2)


def test_nothing_after_the_stop() -> None:
    audio = opened()
    audio.mute(PAUSED, 20.0)
    audio.stop()
    assert audio.next_timer() is None
    audio.unmute(PAUSED)
    assert audio.receive(b"talk") == b""
    audio.mute(PAUSED, 30.0)
    assert audio.next_timer() is None


def test_stopped_before_the_model_listens() -> None:
    audio = CallerAudio()
    audio.receive(b"hello")
    audio.stop()
    assert audio.open(10.0) == b""
    audio.stop()


def test_muted_until_the_last_reason_is_gone() -> None:
    audio = opened()
    audio.mute(SECRET, 20.0)
    assert (audio.muted, audio.paused) == (True, False)
    audio.mute(PAUSED, 20.1)
    assert audio.next_timer() == pytest.approx(20.2), "the silence goes on as it began"
    audio.unmute(SECRET)
    assert (audio.muted, audio.paused) == (True, True)
    assert audio.receive(b"secret") == b""
    assert audio.handle_timer(20.2) == SILENCE_200_MS
    audio.unmute(PAUSED)
    assert (audio.muted, audio.paused) == (False, False)
    assert audio.receive(b"back") == b"back"
    assert audio.next_timer() is None


def test_little_is_held_while_a_lost_model_is_replaced() -> None:
    audio = opened()
    audio.hold()
    audio.receive(b"old" + bytes(MAX_KEPT - 4))
    audio.hold()
    audio.receive(b"last")
    held = audio.open(20.0)
    assert len(held) == MAX_KEPT
    assert held.startswith(b"old"[3:] + b"\x00")
    assert held.endswith(b"last")
    assert audio.dropped == 3
    audio.hold()
    assert audio.dropped == 0, "another loss"


def test_what_is_held_for_the_first_model_is_held_on() -> None:
    audio = CallerAudio()
    audio.receive(b"first words")
    audio.hold()
    audio.receive(bytes(MAX_KEPT))
    assert audio.open(10.0).startswith(b"first words")


@pytest.mark.parametrize("reason", [PAUSED, SECRET])
def test_muted_while_the_model_is_replaced(reason: str) -> None:
    audio = opened()
    audio.mute(reason, 11.0)
    audio.hold()
    assert audio.next_timer() is None, "there is nobody to be silent for"
    assert audio.receive(b"secret") == b""
    assert audio.open(15.0) == b""
    assert audio.next_timer() == 15.2
    audio.hold()
    audio.unmute(reason)
    audio.receive(b"hello")
    assert audio.open(16.0) == b"hello"
    assert audio.next_timer() is None


@pytest.mark.parametrize(
    ("audio", "found"),
    [(b"", False), (b"\xff" * 4000, False), (b"\x00\x80" * 2000, True), (b"\xff" * 3800 + b"\x00\x80" * 100, False)],
)
def test_who_speaks_is_found_by_the_server_as_well(audio: bytes, found: bool) -> None:
    assert speaks(audio) == found

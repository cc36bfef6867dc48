"""Both roles joined in memory: whole calls on a virtual clock, without a violation on either side."""

from typing import Any

import pytest

from offhook.audiohook import (
    NIL_UUID,
    AudioReceived,
    BargeIn,
    BargeInReceived,
    BotTurnResponse,
    ClientPaused,
    ClientResumed,
    ClosedReceived,
    CloseReceived,
    DisconnectReceived,
    DtmfReceived,
    EventReceived,
    LanguageUpdated,
    PlaybackCompleted,
    PlaybackStarted,
    RateLimitExceeded,
    ServerViolated,
    SessionEnded,
)
from tests.unit.audiohook.sample import STEREO_MEDIA
from tests.unit.audiohook.wire import Wire


def of(events: list[Any], *types: type) -> list[Any]:
    return [event for event in events if isinstance(event, types)]


def test_a_whole_call() -> None:
    """audiohook.md §3.7 no. 1, five minutes long."""
    wire = Wire().open(input_variables={"A": "1"}, language="en-us")
    sent = []
    for i in range(300 * 5):
        frame = bytes([i % 256]) * 1600
        wire.client.send_audio(frame, wire.now)
        sent.append(frame)
        if i % 5 == 0:
            assert wire.server.send_audio(bytes([i % 251]) * 8000, wire.now)
        if i == 500:
            wire.client.send_dtmf("5", wire.now)
            wire.server.send_events([BotTurnResponse("match", "Hi")], wire.now)
            wire.client.send_update("es-es", wire.now)
        wire.run(0.2)
    heard = of(wire.server_events, AudioReceived)
    assert b"".join(event.audio for event in heard) == b"".join(sent)
    assert [event.position for event in heard] == list(range(0, 1600 * 1500, 1600))
    assert wire.server.position == wire.client.position == 1600 * 1500
    assert sum(len(event.audio) for event in of(wire.client_events, AudioReceived)) == 300 * 8000
    assert of(wire.server_events, DtmfReceived, LanguageUpdated) == [DtmfReceived("5"), LanguageUpdated("es-es")]
    assert of(wire.client_events, EventReceived) == [EventReceived((BotTurnResponse("match", "Hi"),))]
    wire.server.send_disconnect("completed", wire.now, info="done", output_variables={"INTENT": "hours"})
    wire.run()
    assert of(wire.client_events, DisconnectReceived) == [DisconnectReceived("completed", "done", {"INTENT": "hours"})]
    wire.client.send_close("disconnect", wire.now)
    wire.run()
    wire.both_ended_clean()
    assert wire.client.rtt == pytest.approx(0.04)


def test_a_probe() -> None:
    wire = Wire(conversation_id=NIL_UUID).open()
    assert wire.server_events[0].probe
    assert wire.client_events[0].media is None
    wire.client.send_close("end", wire.now)
    wire.run()
    wire.both_ended_clean()


def test_the_caller_hangs_up_while_we_say_goodbye() -> None:
    wire = Wire().open()
    wire.client.send_close("end", wire.now)
    wire.server.send_audio(b"\xff" * 1600, wire.now)
    wire.server.send_disconnect("completed", wire.now)
    wire.run()
    wire.both_ended_clean()
    assert of(wire.client_events, DisconnectReceived, ClosedReceived) == [
        DisconnectReceived("completed", "", {}),
        ClosedReceived(),
    ]
    assert of(wire.server_events, CloseReceived) == [CloseReceived("end")]


def test_the_caller_hangs_up_before_opened() -> None:
    wire = Wire()
    wire.client.send_open(wire.now)
    wire.client.send_close("end", wire.now)
    wire.run()
    assert not wire.server.send_opened(wire.now)
    wire.run()
    wire.both_ended_clean()


def test_opened_and_close_cross_each_other() -> None:
    wire = Wire()
    wire.client.send_open(wire.now)
    wire.run(0.05)
    wire.server.send_opened(wire.now)
    wire.client.send_close("end", wire.now)
    wire.run()
    wire.both_ended_clean()


def test_a_refused_session() -> None:
    wire = Wire()
    wire.client.send_open(wire.now)
    wire.run()
    wire.server.send_disconnect("unauthorized", wire.now)
    wire.run()
    wire.client.send_close("disconnect", wire.now)
    wire.run()
    wire.both_ended_clean()


def test_both_sides_pause() -> None:
    wire = Wire().open()
    wire.client.send_audio(b"\x01" * 1600, wire.now)
    wire.client.pause(wire.now)
    wire.run()
    wire.server.send_pause(wire.now)
    wire.run()
    wire.client.send_audio(b"\x02" * 1600, wire.now)
    wire.server.send_resume(wire.now)
    wire.run()
    assert bool(wire.server.paused)
    wire.client.resume(wire.now)
    wire.client.send_audio(b"\x03" * 1600, wire.now)
    wire.run()
    assert not wire.server.paused
    assert of(wire.server_events, ClientPaused, ClientResumed) == [ClientPaused()] * 3 + [ClientResumed(0.2, 0.2)]
    assert wire.server.position == wire.client.position == 4800
    assert of(wire.server_events, AudioReceived)[-1] == AudioReceived(b"\x03" * 1600, 3200)


def test_playback_and_barge_in() -> None:
    wire = Wire().open()
    wire.server.send_audio(b"\xff" * 8000, wire.now)
    wire.run()
    wire.client.send_playback_started(wire.now)
    wire.run()
    wire.server.send_barge_in(wire.now)
    wire.run()
    wire.client.send_playback_completed(wire.now)
    wire.run()
    assert of(wire.client_events, BargeInReceived, EventReceived) == [BargeInReceived(), EventReceived((BargeIn(),))]
    assert of(wire.server_events, PlaybackStarted, PlaybackCompleted) == [PlaybackStarted(), PlaybackCompleted()]


def test_stereo() -> None:
    wire = Wire(media=(STEREO_MEDIA,)).open()
    wire.client.send_audio(b"iEiEiE", wire.now)
    wire.server.send_audio(b"ABC", wire.now)
    wire.run()
    assert of(wire.server_events, AudioReceived) == [AudioReceived(b"EEE", 0)]
    assert of(wire.client_events, AudioReceived) == [AudioReceived(b"ABC", 0)]
    assert wire.server.position == wire.client.position == 3


def test_a_server_that_sends_as_fast_as_its_budget_allows_is_never_told_off() -> None:
    wire = Wire(delay=0.0).open()
    sent = 0
    for _ in range(200):
        while wire.server.send_audio(b"\xff" * 1600, wire.now):
            sent += 1
        while wire.server.send_events([BotTurnResponse("match")], wire.now):
            pass
        wire.run(0.37)
    assert sent > 350
    assert not of(wire.client_events, RateLimitExceeded, ServerViolated)


def test_a_client_that_leaves_without_a_word() -> None:
    """audiohook.md §3.7 no. 5."""
    wire = Wire().open()
    wire.server.receive_eof(wire.now)
    wire.run(60)
    assert wire.server_events[-1] == SessionEnded(clean=False)

"""The legs of one call: tried again with patience, given up in time, replaced before they expire."""

import json
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CloseRealtime, Command, ConnectRealtime, ReportRealtime
from offhook.bridge.legs import DELAYS, FIRST_LIMIT, LIFETIME, MARGIN, STALLED, STEADY, SUCCESSOR_DELAY, Legs, LegState
from offhook.realtime.session import SETUP_TIMEOUT
from tests.unit.bridge.harness import session

SETUP, LIMIT = 30.0, 20.0
UNIX = 1_795_363_200.0
"""The wall clock when the monotonic one shows 0."""
USAGE = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}


class Rig:
    """Legs on a virtual clock, and a server that is as good as one wishes."""

    def __init__(self, *, unix: float | None = UNIX) -> None:
        self.now = 0.0
        self.commands: list[Command] = []
        self.events: list[rt.RealtimeEvent] = []
        self.settings = session()
        self.legs = Legs(lambda: self.settings, self.commands.append, self.now, setup=SETUP, limit=LIMIT, unix=unix)

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def last(self) -> int:
        """The number of the leg that was asked for last."""
        return int(self.of(ConnectRealtime)[-1].leg)

    def send(self, number: int, kind: str, **fields: Any) -> None:
        self.legs.receive(number, json.dumps({"type": kind, "event_id": "e", **fields}), self.now)

    def set_up(self, number: int, expires_at: int | None = None) -> None:
        """The server creates and confirms a session."""
        self.legs.connected(number, self.now)
        described = {"type": "realtime", "id": f"sess_{number}"}
        self.send(number, "session.created", session=described)
        (update,) = [json.loads(data) for data in self.legs.data(number)]
        expiry = {} if expires_at is None else {"expires_at": expires_at}
        self.send(number, "session.updated", session={**update["session"], **described, **expiry})

    def ready(self, expires_at: int | None = None) -> "Rig":
        """The leg that was asked for last is set up, and in use."""
        self.set_up(self.last, expires_at)
        self.step()
        assert self.legs.state is LegState.READY
        return self

    def step(self) -> list[rt.RealtimeEvent]:
        """What the owner does: hear of readiness, give up what is lost."""
        heard: list[rt.RealtimeEvent] = []
        while events := self.legs.events(self.now):
            for event in events:
                heard.append(event)
                match event:
                    case rt.SessionReady():
                        self.legs.ready(event, self.now)
                    case rt.SessionRefused(code=code, fatal=fatal):
                        self.legs.failed(code, self.now, unusable=fatal)
                    case rt.SessionLost(retryable=retryable):
                        self.legs.failed("OH-CALL-06", self.now, unusable=not retryable)
        self.events += heard
        return heard

    def lose(self, *, retryable: bool = True, code: int | None = 1006) -> None:
        self.legs.lost(self.legs._leg.number, code, "", self.now, retryable=retryable)
        self.step()

    def until(self, at: float) -> None:
        """Let time pass, from timer to timer."""
        same = 0
        while (due := self.legs.next_timer()) is not None and due <= at:
            same = 0 if due > self.now else same + 1
            assert same < 10, "a timer that never advances"
            self.now = max(self.now, due)
            self.legs.handle_timer(self.now)
            self.step()
        self.now = at


# One after the other.


def test_the_first_leg_is_asked_for_at_once() -> None:
    rig = Rig()
    assert rig.commands == [ConnectRealtime(1, rig.settings)]
    assert rig.legs.state is LegState.TRYING
    assert rig.legs.given_up_at() == SETUP
    rig.ready()
    assert rig.commands[1:] == [ReportRealtime(1, "ready")]
    assert rig.legs.given_up_at() is None


def test_a_lost_leg_is_replaced_at_once_with_the_settings_of_that_moment() -> None:
    rig = Rig().ready()
    rig.until(100.0)
    rig.commands.clear()
    rig.settings = session(transcription=None)
    rig.lose()
    assert rig.commands == [
        ReportRealtime(1, "failed", "OH-CALL-06"),
        CloseRealtime(1),
        ConnectRealtime(2, session(transcription=None)),
    ]
    assert rig.legs.given_up_at() == 100.0 + LIMIT
    rig.ready()
    assert rig.legs.given_up_at() is None


def test_back_off() -> None:
    """The first attempt at once, then 0.5, 1, 2, 2 ... seconds after the one before failed."""
    rig = Rig().ready()
    rig.until(100.0)
    at: list[float] = []
    for _ in range(7):
        rig.lose()
        if rig.legs.state is LegState.WAITING:
            assert rig.legs.next_timer() is not None
            rig.until(rig.legs.next_timer() or 0.0)
        assert rig.legs.state is LegState.TRYING
        at.append(rig.now)
    waits = [later - earlier for earlier, later in zip([100.0, *at], at, strict=False)]
    assert waits == [*DELAYS, DELAYS[-1], DELAYS[-1], DELAYS[-1]]
    assert rig.legs.given_up_at() == 100.0 + LIMIT, "counted from the loss, not from the attempts"


def test_back_off_of_the_set_up() -> None:
    rig = Rig()
    rig.lose()
    assert (rig.last, rig.now) == (2, 0.0)
    rig.lose()
    rig.until(0.4)
    assert rig.last == 2
    rig.until(0.5)
    assert rig.last == 3
    assert rig.legs.given_up_at() == FIRST_LIMIT
    rig.ready()
    rig.lose()
    assert rig.last == 4, "the attempts of the set-up do not count any more"
    assert rig.legs.given_up_at() == 0.5 + LIMIT


def test_what_breaks_at_once_is_broken_still() -> None:
    rig = Rig().ready()
    lost: list[float] = []
    for _ in range(4):
        rig.until(rig.now + STEADY - 0.1)
        rig.lose()
        lost.append(rig.now)
        assert rig.legs.given_up_at() == lost[0] + LIMIT
        rig.until(rig.now + max(DELAYS))
        rig.ready()
    assert [rig.of(ConnectRealtime)[-1].leg, len(lost)] == [5, 4]
    rig.until(rig.now + STEADY + 0.1)
    rig.lose()
    assert rig.legs.state is LegState.TRYING, "this one worked for a while: at once again"
    assert rig.legs.given_up_at() == rig.now + LIMIT


def test_a_leg_that_is_not_set_up_in_time_is_given_up() -> None:
    rig = Rig()
    rig.legs.connected(1, 0.0)
    rig.until(SETUP_TIMEOUT)
    assert ReportRealtime(1, "failed", "OH-RT-02") in rig.commands
    assert rig.last == 2


def test_a_provider_that_refuses_for_good_is_reported_as_that() -> None:
    rig = Rig()
    rig.legs.connected(1, 0.0)
    rig.send(1, "error", error={"type": "invalid_request_error", "code": "invalid_api_key", "message": "no"})
    rig.step()
    assert rig.of(ReportRealtime) == [ReportRealtime(1, "unusable", "OH-RT-07")]
    assert rig.last == 2
    rig.lose(code=3000)
    assert rig.of(ReportRealtime)[-1] == ReportRealtime(2, "unusable", "OH-CALL-06")


def test_nobody_left_to_ask() -> None:
    rig = Rig().ready()
    rig.until(50.0)
    rig.lose()
    rig.legs.lost(2, None, "nobody", rig.now, retryable=False)
    (event,) = rig.legs.events(rig.now)
    assert isinstance(event, rt.SessionLost)
    assert not rig.legs.failed("OH-CALL-06", rig.now)
    assert rig.legs.hopeless
    assert rig.legs.state is LegState.CLOSED
    assert rig.legs.next_timer() is None
    assert rig.legs.given_up_at() is None
    closed = rig.of(CloseRealtime)
    rig.legs.close()
    assert rig.of(CloseRealtime) == closed == [CloseRealtime(1), CloseRealtime(2)]


def test_what_comes_of_a_leg_that_is_gone_is_nothing() -> None:
    rig = Rig().ready()
    rig.until(50.0)
    rig.lose()
    rig.send(1, "input_audio_buffer.speech_started", item_id="i", audio_start_ms=0)
    rig.legs.connected(1, rig.now)
    rig.legs.lost(1, 1001, "", rig.now, retryable=False)
    assert rig.step() == []
    assert not rig.legs.hopeless
    assert rig.legs.data(1) == []
    assert rig.legs.data(77) == []
    rig.legs.lost(2, None, "", rig.now, retryable=True)
    rig.step()
    assert rig.legs.state is LegState.WAITING
    rig.legs.connected(2, rig.now)
    rig.legs.lost(2, None, "", rig.now, retryable=False)
    rig.send(2, "session.created", session={"type": "realtime"})
    assert rig.step() == []
    assert not rig.legs.hopeless


def test_what_was_used_is_added_up() -> None:
    rig = Rig()
    for number in (1, 2, 3):
        rig.ready()
        rig.send(number, "response.done", response={"id": f"r{number}", "status": "completed", "usage": USAGE})
        rig.until(rig.now + STEADY)
        rig.lose()
        assert rig.legs.usage.responses == number
    assert rig.legs.usage.tokens.total_tokens == 90
    rig.ready()
    rig.send(4, "response.done", response={"id": "r4", "status": "completed", "usage": USAGE})
    assert rig.legs.usage.tokens.input_tokens == 80
    rig.legs.close()
    assert rig.legs.usage.tokens.total_tokens == 120
    assert rig.legs.usage.responses == 4


@pytest.mark.parametrize("state", ["trying", "waiting", "ready", "with successor", "closed"])
def test_closed_in_any_state_each_leg_once(state: str) -> None:
    rig = Rig()
    if state == "waiting":
        rig.lose()
        rig.lose()
        assert rig.legs.state is LegState.WAITING
    elif state in ("ready", "with successor"):
        rig.ready()
    if state == "with successor":
        rig.until(LIFETIME - MARGIN)
    if state == "closed":
        rig.legs.close()
    rig.legs.close()
    rig.legs.handle_timer(rig.now)
    assert rig.legs.next_timer() is None
    asked = [connect.leg for connect in rig.of(ConnectRealtime)]
    assert [close.leg for close in rig.of(CloseRealtime)] == asked


def test_silence_of_a_server_that_is_waited_for() -> None:
    rig = Rig().ready()
    assert rig.legs.stalled_at(50.0) == 50.0 + STALLED
    rig.until(60.0)
    rig.send(1, "rate_limits.updated", rate_limits=[])
    assert rig.legs.stalled_at(50.0) == 60.0 + STALLED


# The next one in time.


def stands_by(rig: Rig) -> bool:
    return rig.legs.standing_by


@pytest.mark.parametrize(
    ("unix", "expires_at", "successor_at"),
    [
        (UNIX, None, LIFETIME - MARGIN),
        (None, int(UNIX) + 600, LIFETIME - MARGIN),
        (UNIX, int(UNIX) + 1200, 1100.0),
        (UNIX, int(UNIX) + 7200, 6900.0),
        (UNIX, int(UNIX) + 3, STEADY),
        (UNIX, int(UNIX) - 60, LIFETIME - MARGIN),
        (UNIX, 0, LIFETIME - MARGIN),
        (UNIX, -(10**400), LIFETIME - MARGIN),
    ],
)
def test_when_the_successor_is_set_up(unix: float | None, expires_at: int | None, successor_at: float) -> None:
    rig = Rig(unix=unix)
    rig.ready(expires_at)
    assert rig.legs.next_timer() == successor_at
    rig.until(successor_at)
    assert rig.last == 2


def test_a_session_that_never_expires() -> None:
    rig = Rig()
    rig.ready(10**400)
    due = rig.legs.next_timer()
    assert due is not None
    assert due > 1e15


def test_the_successor_takes_over() -> None:
    rig = Rig().ready()
    rig.legs.take_over(rig.now)
    assert rig.last == 1, "there is none"
    rig.until(LIFETIME - MARGIN)
    rig.commands.clear()
    assert not stands_by(rig)
    rig.legs.take_over(rig.now)
    assert rig.commands == []
    rig.set_up(2, int(UNIX + LIFETIME - MARGIN + 3600))
    assert rig.step() == [], "nobody hears of it before it takes over"
    assert stands_by(rig)
    assert rig.legs.session.state is rt.SessionState.READY
    rig.until(LIFETIME - MARGIN + 60)
    rig.send(2, "rate_limits.updated", rate_limits=[])
    assert rig.step() == []
    rig.legs.take_over(rig.now)
    assert rig.commands == [CloseRealtime(1)]
    (event,) = rig.step()
    assert isinstance(event, rt.SessionReady)
    assert event.session_id == "sess_2"
    assert rig.commands[1:] == [ReportRealtime(2, "ready")]
    assert rig.legs.next_timer() == pytest.approx(2 * (LIFETIME - MARGIN), abs=10)
    assert not stands_by(rig)


def test_a_successor_is_as_old_as_it_is() -> None:
    """The server does not tell how long it lives, and it has stood by for a while."""
    rig = Rig(unix=None).ready()
    rig.until(LIFETIME - MARGIN)
    rig.set_up(2)
    rig.step()
    rig.until(LIFETIME - 1)
    rig.legs.take_over(rig.now)
    rig.step()
    assert rig.legs.next_timer() == pytest.approx(2 * (LIFETIME - MARGIN), abs=30)


@pytest.mark.parametrize(
    ("how", "report"),
    [
        ("lost", ReportRealtime(2, "failed", "")),
        ("closed for good", ReportRealtime(2, "unusable", "")),
        ("refused", ReportRealtime(2, "unusable", "OH-RT-07")),
        ("never created", ReportRealtime(2, "failed", "OH-RT-02")),
        ("lost while it stands by", ReportRealtime(2, "failed", "")),
        ("quota is used up while it stands by", ReportRealtime(2, "unusable", "insufficient_quota")),
    ],
)
def test_a_successor_that_cannot_be_had_is_tried_again(how: str, report: ReportRealtime) -> None:
    rig = Rig().ready()
    rig.until(LIFETIME - MARGIN)
    error = {"type": "invalid_request_error", "message": "no"}
    if "stands by" in how:
        rig.set_up(2)
        rig.step()
        assert rig.legs.standing_by
    if how.startswith("lost"):
        rig.legs.lost(2, 1006, "", rig.now, retryable=False)
    elif how == "closed for good":
        rig.legs.connected(2, rig.now)
        rig.legs.lost(2, 4000, "", rig.now, retryable=True)
    elif how == "refused":
        rig.send(2, "error", error={**error, "code": "model_not_found"})
    elif how == "never created":
        rig.legs.connected(2, rig.now)
        rig.until(rig.now + SETUP_TIMEOUT)
    else:
        rig.send(2, "error", error={**error, "code": "insufficient_quota"})
        rig.send(2, "error", error={**error, "code": "insufficient_quota"})
    assert rig.step() == [], "the session in use has nothing to do with it"
    assert rig.of(ReportRealtime)[1:] == [report]
    assert rig.of(CloseRealtime) == [CloseRealtime(2)]
    assert not rig.legs.hopeless
    assert rig.legs.state is LegState.READY
    failed_at = rig.now
    rig.until(failed_at + SUCCESSOR_DELAY - 0.1)
    assert rig.last == 2
    rig.until(failed_at + SUCCESSOR_DELAY)
    assert rig.last == 3


def test_a_successor_that_stands_by_takes_the_place_of_a_lost_session() -> None:
    rig = Rig().ready()
    rig.until(LIFETIME - MARGIN)
    rig.set_up(2)
    rig.step()
    rig.commands.clear()
    rig.lose()
    assert rig.legs.state is LegState.READY
    assert rig.commands == [
        ReportRealtime(1, "failed", "OH-CALL-06"),
        CloseRealtime(1),
        ReportRealtime(2, "ready"),
    ]
    assert isinstance(rig.events[-1], rt.SessionReady)


def test_a_successor_that_is_being_set_up_is_further_than_a_new_one() -> None:
    rig = Rig().ready()
    rig.until(LIFETIME - MARGIN)
    rig.legs.connected(2, rig.now)
    rig.until(rig.now + 3)
    rig.lose()
    assert rig.last == 2
    assert rig.legs.given_up_at() == rig.now + LIMIT
    rig.ready()
    assert rig.of(ReportRealtime)[-1] == ReportRealtime(2, "ready")


def test_a_successor_that_breaks_along_with_the_session() -> None:
    rig = Rig().ready()
    rig.until(LIFETIME - MARGIN)
    rig.set_up(2)
    rig.step()
    rig.legs.lost(1, 1006, "", rig.now, retryable=True)
    rig.legs.lost(2, 1006, "", rig.now, retryable=True)
    rig.step()
    assert rig.last == 3
    assert [close.leg for close in rig.of(CloseRealtime)] == [2, 1]
    rig.ready()


def test_lost_for_good_but_there_is_a_successor() -> None:
    rig = Rig().ready()
    rig.until(LIFETIME - MARGIN)
    rig.set_up(2)
    rig.step()
    rig.lose(retryable=False)
    assert rig.legs.state is LegState.READY

"""A call that is brought into a state, ended in one way or another, and watched until its last byte."""

from collections.abc import Callable
from typing import Any

from offhook.bridge import Call, CallEnded, CallPlan, CallState, CloseRealtime, ConnectRealtime
from offhook.bridge.legs import LegState
from tests.unit.bridge.harness import Harness, speech

SENTENCE, GOODBYE, ASIDE = speech(1500), speech(1200, 100), speech(400, 200)
"""What the agent says when it says something, when it says goodbye, and when it says something beside that."""
BROKEN = "OH-GATE-01"
OWN = {"CALL_ID", "OUTCOME", "REASON", "SUMMARY", "DURATION_S", "COST_USD"}


class BrokenCall:
    """What the gateway feeds after a fault of ours: the call is not trusted any more, only its AudioHook session."""

    def __init__(self, call: Call, now: float) -> None:
        self.session = call.audiohook
        self.conversation = call.conversation
        self.state = call.state
        variables = call.last_variables(BROKEN, now)
        self.session.send_disconnect("error", now, info=f"{BROKEN} internal error", output_variables=variables)
        self.receive_text, self.receive_audio = self.session.receive_text, self.session.receive_audio
        self.receive_eof, self.handle_timer = self.session.receive_eof, self.session.handle_timer
        self.audiohook_data = self.session.data_to_send

    @property
    def close_expected(self) -> bool:
        return self.session.close_expected()

    def receive_realtime(self, leg: int, data: str | bytes, now: float) -> None:
        """Nobody listens to the model any more."""

    def next_timer(self, now: float) -> float | None:
        return self.session.next_timer()

    def commands(self) -> list[Any]:
        self.session.events()
        return []

    def realtime_data(self, leg: int) -> list[bytes]:
        return []


class Exit(Harness):
    """A call whose model answers what it is asked, and whose end is noted.

    Args:
        agent: The agent.
        goodbye: How the model says goodbye: `said`, `silent`, `fails`, `refused`, `never` or `stops` in the middle.
    """

    def __init__(self, agent: CallPlan, *, goodbye: str = "said", **peer: Any) -> None:
        self.goodbye = goodbye
        self.others = "said"
        """How it answers whatever else it is asked."""
        self.seen: set[int] = set()
        """What it was asked, event by event."""
        self.kept: list[Any] = []
        """The same, so that no other event looks like one of them."""
        self.legs = 1
        self.running: dict[str, bool] = {}
        """Responses, and whether they have spoken."""
        self.with_tool = False
        """A tool is running once the call is idle."""
        self.count = 0
        self.disconnected_at: float | None = None
        self.heard_then = b""
        super().__init__(agent, **peer)

    # The model.

    def respond(self, create: dict[str, Any] | None = None) -> str:
        """A response begins."""
        self.count += 1
        response = f"resp_{self.count}"
        self.running[response] = False
        self.ai.created(response, create)
        return response

    def speak(self, response: str, audio: bytes) -> None:
        """Part of a response, if nobody has cancelled it."""
        if response in self.running:
            item = f"item_of_{response}"
            self.running[response] = True
            self.ai.item(response, item)
            self.ai.audio(audio, response, item)

    def over(self, response: str, status: str = "completed") -> None:
        """It is over, unless it is already."""
        if self.running.pop(response, None) is not None:
            self.ai.done(response, status)

    def say(self, audio: bytes, create: dict[str, Any] | None = None) -> None:
        response = self.respond(create)
        self.speak(response, audio)
        self.over(response)

    def _settle(self) -> None:
        super()._settle()
        for _, event in list(self.ai.sent):
            if event["type"] == "response.create" and id(event) not in self.seen:
                self._model_does(0.05, self._answer(event))
            elif event["type"] == "response.cancel" and id(event) not in self.seen:
                self._model_does(0.05, self._cancel(event["response_id"]))
            self.seen.add(id(event))
            self.kept.append(event)
        if self.leg != self.legs:
            # Another session: nothing of the old one comes any more.
            self.legs = self.leg
            self.running.clear()
            self._model_does(0.2, self._come_back)

    def _model_does(self, delay: float, action: Callable[[], None]) -> None:
        """Do something later, unless the session is another one by then."""
        leg = self.leg
        self.at(delay, lambda: action() if self.leg == leg else None)

    def _come_back(self) -> None:
        conversation = self.call.conversation
        if conversation is not None and conversation.legs.state is LegState.TRYING:
            self.connected()
            self.ai.session_created()
            self.ai.session_updated()

    def _cancel(self, response: str) -> Callable[[], None]:
        return lambda: self.over(response, "cancelled")

    def _answer(self, create: dict[str, Any]) -> Callable[[], None]:
        tag = create["response"]["metadata"]["offhook"].rpartition("/")[2]
        ways = {"said": self._said, "silent": self._silent, "fails": self._fails, "refused": self._refused}
        ways |= {"never": self._never, "stops": self._stops}
        if tag == "summary":
            return lambda: self._summary(create)
        if tag == "goodbye":
            return lambda: ways[self.goodbye](create, GOODBYE)
        others = ways[self.others]
        return lambda: others(create, ASIDE)

    def _said(self, create: dict[str, Any], audio: bytes) -> None:
        response = self.respond(create)
        self.speak(response, audio[:4000])
        self._model_does(0.2, lambda: self.ai.audio(audio[4000:], response, f"item_of_{response}"))
        self._model_does(0.2, lambda: self.over(response))

    def _silent(self, create: dict[str, Any], audio: bytes) -> None:
        self.over(self.respond(create))

    def _fails(self, create: dict[str, Any], audio: bytes) -> None:
        self.over(self.respond(create), "failed")

    def _refused(self, create: dict[str, Any], audio: bytes) -> None:
        self.ai.refuse("invalid_value", create["event_id"])

    def _never(self, create: dict[str, Any], audio: bytes) -> None:
        pass

    def _stops(self, create: dict[str, Any], audio: bytes) -> None:
        self.speak(self.respond(create), audio[:4800])

    def _summary(self, create: dict[str, Any]) -> None:
        metadata = create["response"]["metadata"]
        response = {"object": "realtime.response", "id": "resp_s", "conversation_id": None, "metadata": metadata}
        self.ai.send("response.created", response={**response, "status": "in_progress"})
        fields = {"response_id": "resp_s", "item_id": "item_s", "output_index": 0, "content_index": 0}
        self.ai.send("response.output_text.done", text="They want a person.", **fields)
        self.ai.send("response.done", response={**response, "status": "completed"})

    # The end.

    def close(self, reason: str = "end") -> None:
        """Genesys closes; `closed` is its answer in the same step."""
        super().close(reason)
        at, last = self.log[-1]
        assert isinstance(last, dict)
        assert (at, last["type"], last["clientseq"]) == (self.now, "closed", self.messages.seq)

    def break_off(self) -> None:
        """A fault of ours, as the gateway deals with it."""
        self.call = BrokenCall(self.call, self.now)  # type: ignore[assignment]
        self._settle()

    def _take(self, message: dict[str, Any]) -> None:
        super()._take(message)
        if message["type"] == "disconnect":
            self.playback.advance(self.now)
            self.disconnected_at, self.heard_then = self.now, bytes(self.playback.heard).replace(b"\xff", b"")

    def began_at(self) -> float | None:
        """When the call began to end, if it did so before it ended."""
        return next((moment.at for moment in self.moments_of("ending")), None)

    def check_end(self, declared: dict[str, str]) -> dict[str, str]:
        """What holds for every call that is over; returns its output variables."""
        disconnects, closed = self.messages_of("disconnect"), self.messages_of("closed")
        assert len(disconnects) <= 1
        assert len(closed) <= 1
        kinds = [message["type"] if isinstance(message, dict) else "audio" for _, message in self.log]
        if disconnects:
            assert set(kinds[kinds.index("disconnect") + 1 :]) <= {"closed", "pong", "updated"}, "something follows"
        assert self.call.next_timer(self.now) is None
        conversation = self.call.conversation
        returned: dict[str, str] = disconnects[0]["parameters"]["outputVariables"] if disconnects else {}
        if isinstance(self.call, Call):
            assert self.call.state is CallState.ENDED
            legs = [connect.leg for connect in self.of(ConnectRealtime)]
            assert sorted(close.leg for close in self.of(CloseRealtime)) == legs, "each leg is closed once"
            assert bool(legs) == (conversation is not None)
            ended = self.commands[-1]
            assert ended is self.ended, "everything is told before"
            assert isinstance(ended, CallEnded)
            returned = returned or ended.output_variables
            assert ended.output_variables == returned
            assert ended.outcome == returned["OFFHOOK_OUTCOME"]
        known = declared if conversation is not None else {}
        assert returned.keys() - {"OFFHOOK_TARGET"} == known.keys() | {f"OFFHOOK_{name}" for name in OWN}
        assert all(isinstance(value, str) for value in returned.values())
        return returned

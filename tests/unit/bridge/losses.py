"""A call that loses its AI: brought into a state, and what the next session is told then."""

from typing import Any

from offhook import realtime as rt
from offhook.bridge import CallPlan, Prompt
from offhook.bridge.plan import CollectDigits, NoInput, Recovery, ToolPlan
from offhook.bridge.prompts import CARRY_ON
from tests.unit.bridge.exits import SENTENCE, Exit
from tests.unit.bridge.harness import plan, speech

DECLARED = {"INTENT": "", "ESCALATE": "false"}
MOMENT = bytes((0xFE,)) * 4000
"""The recording that is played while the AI is away, half a second of it; nothing else has this byte in it."""
STALE = 500 * 8
"""Bytes of the caller's audio that the next session may get of what they said meanwhile."""
DETECTION = rt.ServerVad(
    prefix_padding_ms=300, silence_duration_ms=500, create_response=False, interrupt_response=False
)
GREETING, QUESTION, ANSWER = "Good morning.", "I have a question.", "Ask me."
BASE = [("assistant", GREETING), ("user", QUESTION), ("assistant", ANSWER)]
"""What every call begins with."""
NOTE = ("system", CARRY_ON)
CARRIED_ON = [NOTE, ("response.create", "turn", None)]


def lossy(**changes: Any) -> CallPlan:
    settings: dict[str, Any] = {
        "greeting": Prompt(instructions="Greet."),
        "recovery": Recovery(prompt=Prompt(text="One moment.", audio=MOMENT)),
        "tools": {"order_status": ToolPlan(), "weather": ToolPlan(), "book": ToolPlan(confirm=True)},
        "collect_digits": CollectDigits(),
        "no_input": NoInput(after=60.0, prompts=(Prompt(text="Hello?"),)),
        **changes,
    }
    return plan(**settings)


class LossyCall(Exit):
    """A call whose agent's words are known, and which remembers what each session was told.

    Args:
        agent: The agent.
        away: Seconds until the model comes back; None = not by itself.
    """

    def __init__(self, agent: CallPlan | None = None, *, away: float | None = 0.2, **peer: Any) -> None:
        self.away = away
        self.turns_taken = 0
        super().__init__(agent or lossy(), **peer)

    def _come_back(self) -> None:
        if self.away is not None:
            leg = self.leg
            self.at(max(self.away - 0.2, 0.0), lambda: self.back() if self.leg == leg else None)

    def back(self) -> None:
        """The model is there again."""
        super()._come_back()

    # What they say.

    def speak(self, response: str, audio: bytes, text: str = "") -> None:
        if response in self.running:
            super().speak(response, audio)
            self.ai.text(text or GREETING, response, f"item_of_{response}")

    def say(self, audio: bytes, create: dict[str, Any] | None = None, text: str = "") -> None:
        """A whole response at once."""
        response = self.respond(create)
        self.speak(response, audio, text)
        self.over(response)

    def turn(self, text: str | None, *, committed: bool = True) -> str:
        """The caller says something; without text no transcript of it has come so far."""
        self.turns_taken += 1
        item = f"caller_{self.turns_taken}"
        self.ai.speech_started(item)
        self.advance(0.4)
        if committed:
            self.ai.speech_stopped(item)
            self.ai.committed(item)
        if text is not None:
            self.ai.transcribed(item, text)
        return item

    def begun(self) -> "LossyCall":
        """They have talked a little, and nobody says anything."""
        self.ready()
        self.advance(2.0)
        self.turn(QUESTION)
        self.say(speech(500, 50), text=ANSWER)
        self.advance(1.5)
        return self

    def start_tool(self, name: str = "order_status", arguments: str = '{"order":7}', *, over: bool = True) -> str:
        """The model calls a function, and says nothing beside it."""
        response = self.respond()
        call = f"call_{self.count}"
        self.ai.call(name, arguments, response, call)
        if over:
            self.over(response)
        return call

    # The loss, and what follows.

    def lose(self, code: int | None = 1006) -> None:
        """From here on only what the next session is sent counts."""
        self.ai.sent.clear()
        self.running.clear()
        self.ai_lost(code, for_good=False)

    def told(self) -> list[tuple[Any, ...]]:
        """What was sent to the model, without the caller's audio and the settings."""
        return [_shown(event) for _, event in self.ai.sent if event["type"] not in NOT_SHOWN]

    def settings(self) -> dict[str, Any]:
        """What the last session was set up with; comes before everything else."""
        (update,) = self.ai.received("session.update")
        assert self.ai.sent[0][1] is update
        assert update["session"]["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "marin"}
        settings: dict[str, Any] = update["session"]
        return settings

    def check_old_leg(self) -> None:
        """Nothing of a leg that is gone reaches anybody."""
        frames, messages, commands = len(self.ai.sent), len(self.log), len(self.commands)
        new, self.leg = self.leg, self.leg - 1
        self.legs = self.leg
        for kind in ("input_audio_buffer.speech_started", "response.created", "error", "session.updated"):
            self.ai.send(kind, item_id="old", response={"id": "old"}, error={"code": "insufficient_quota"}, session={})
        self.ai.audio(speech(400, 77), "old", "old")
        self.connected()
        self.ai_lost(3000)
        self.leg = self.legs = new
        assert (len(self.ai.sent), len(self.log), len(self.commands)) == (frames, messages, commands)

    def check_new_session(self) -> None:
        """The new session is as good as the old one: the agent is heard, interrupted, and the call ends well."""
        self.advance(3.0)
        item = f"item_of_{self.respond()}"
        self.speak(f"resp_{self.count}", SENTENCE, "We are open from nine to six.")
        self.advance(0.7)
        flushes = len(self.entities("barge_in"))
        self.ai.speech_started("caller_new")
        assert len(self.entities("barge_in")) == flushes + 1
        assert self.playback.unplayed == 0
        (cut,) = [event for event in self.ai.received("conversation.item.truncate") if event["item_id"] == item]
        assert 0 < cut["audio_end_ms"] < 1500
        self.over(f"resp_{self.count}", "cancelled")
        self.ai.speech_stopped("caller_new")
        self.ai.committed("caller_new")
        self.ai.transcribed("caller_new", "Goodbye.")
        self.say(speech(300, 9), text="Goodbye.")
        self.advance(2.0)
        assert [turn.text for turn in self.turns if turn.speaker == "caller"][-1] == "Goodbye."
        self.close()
        self.advance(1.0)
        assert self.check_end(DECLARED)["OFFHOOK_OUTCOME"] == "completed"

    @property
    def said(self) -> list[tuple[str, str]]:
        """The transcript."""
        return [(turn.speaker, turn.text) for turn in self.turns]


NOT_SHOWN = ("session.update", "input_audio_buffer.append")


def _shown(event: dict[str, Any]) -> tuple[Any, ...]:
    if event["type"] == "response.create":
        response = event["response"]
        return "response.create", response["metadata"]["offhook"].rpartition("/")[2], response.get("tool_choice")
    if event["type"] != "conversation.item.create":
        return (event["type"],)
    item = event["item"]
    if item["type"] == "message":
        (part,) = item["content"]
        assert part["type"] == {"assistant": "output_text"}.get(item["role"], "input_text")
        return item["role"], part["text"]
    if item["type"] == "function_call":
        return "call", item["name"], item["call_id"], item["arguments"]
    return "output", item["call_id"], item["output"]

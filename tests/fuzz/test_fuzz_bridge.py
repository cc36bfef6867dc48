"""Random interleavings of both legs, timers and faults against `bridge.Call`: nothing but documented behaviour.

`python -m tests.fuzz.test_fuzz_bridge STEPS SEED` runs longer.
"""

import json
import random
import sys
from collections.abc import Callable
from typing import Any

from offhook import realtime as rt
from offhook.audiohook.state import ServerState
from offhook.bridge import (
    CallEnded,
    CallPlan,
    CallState,
    CloseRealtime,
    ConnectRealtime,
    InvokeTool,
    Prompt,
    SelectAgent,
    ToolOutcome,
)
from offhook.bridge.agent_turns import MAX_RUNNING
from offhook.bridge.call import LAST_WORDS
from offhook.bridge.collection import MAX_DIGITS
from offhook.bridge.confirmations import MAX_PENDING
from offhook.bridge.ending import DRAIN_MARGIN, MAX_GOODBYE
from offhook.bridge.history import MAX_ENTRIES
from offhook.bridge.interruptions import MAX_TURNS
from offhook.bridge.legs import LegState
from offhook.bridge.plan import BargeIn, CallLimits, CollectDigits, Dtmf, Filler, NoInput, Recovery, ToolPlan
from offhook.bridge.playout import MAX_QUEUED, REPLAYED, REPORTED
from offhook.bridge.transcript import MAX_OPEN
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import START, Harness, plan, session, shown, within_budget

STEPS = 3_000
REPORTS = ("playback_started", "playback_completed")
STATUSES = ("completed", "completed", "completed", "cancelled", "failed", "incomplete", "odd")
TOOLS = {
    "order_status": 6.0, "weather": 4.0, "book": 4.0, "set_outputs": 4.0, "collect_digits": 15.0, "verify_pin": 1.0,
    "escalate": 0.5, "end_call": 0.5, "unknown": 2.0,
}  # fmt: skip
ARGUMENTS = ("{}", "", "nonsense", '{"reason":"x","target":"y"}', '{"INTENT":"order"}', '{"NO":1}', "[[[[")
DIGITS = ('{"purpose":"PIN","secret":true}', '{"secret":true,"length":4}', '{"secret":true,"length":6}', '{"length":3}')
SECRET = "7140398265"
"""Keys of whoever is asked for a secret, in this order; nothing else has these numbers in it."""
CODES = (
    "response_cancel_not_active",
    "conversation_already_has_active_response",
    "invalid_value",
    "server_error",
    "session_expired",
    "insufficient_quota",
)
OUTCOMES = (
    *[ToolOutcome(output='{"ok":1}')] * 8,
    ToolOutcome(output="no", failed=True, outputs={"INTENT": "x" * 5000}),
    ToolOutcome(output="", outputs={"INTENT": object(), "ESCALATE": True}),
    ToolOutcome(output="{}", outputs={"INTENT": 7}, end="completed", reason="y" * 9000),
    ToolOutcome(output="{}", end="escalated", reason="\ud800", target="z"),
)
OWN = ("CALL_ID", "OUTCOME", "REASON", "SUMMARY", "DURATION_S", "COST_USD")
SILENCE = 0xFF
CLIP = 0xFE
UNIX = 1_795_363_200
ANNOUNCED = "It takes a moment."
"""Said by a recording; the model never hears of it."""


class FuzzedCall:
    """One call, mostly sane peers, everything checked after each step."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.honest = rng.random() < 0.7
        """Genesys reports its playing as it is; otherwise reports come at random, too."""
        self.harness = Harness(
            _plan(rng) if rng.random() < 0.97 else None,
            playback=Playback(rng.choice((0.0, 0.05, 0.1, 0.3, 0.6))),
            reports=rng.choice((REPORTS, REPORTS, (), REPORTS[:1], REPORTS[1:])),
            report_delay=rng.choice((0.0, 0.02, 0.1)),
            way=rng.choice((0.0, 0.0, 0.03)),
            unix=rng.choice((None, float(UNIX))),
        )
        self.harness.providers = rng.choice((1, 2, 3))
        self.responses: list[str] = []
        self.items: dict[str, str] = {}
        self.answered: set[int] = set()
        """Requests that got their response, or never will."""
        self.first = 0
        """Of the frames that were sent, the first of this session."""
        self.born = 0
        """Responses and items of this session have numbers from here on."""
        self.leftovers: set[int] = set()
        """Voices of responses of former sessions."""
        self.ready_legs: set[int] = set()
        self.calls: list[str] = []
        self.count = 0
        self.seen = 0
        self.voices: dict[str, int] = {}
        self.silenced: set[int] = set()
        self.generated = 0
        self.hurried: float | None = None
        self.entered = 0
        self.told = [0, 0]  # how much of what was sent and commanded has been looked at
        self.actions: list[tuple[int, Callable[[], None]]] = [
            (30, self.time),
            (10, self.frame),
            (12, self.delta),
            (6, self.begin_response),
            (4, self.begin_item),
            (5, self.end_item),
            (6, self.end_response),
            (5, self.caller_speaks),
            (3, self.caller_stops),
            (3, self.tool_call),
            (4, self.tool_result),
            (3, self.hosted_call),
            (2, self.ai_error),
            (2, self.ai_oddity),
            (3, self.key),
            (2, self.hold),
            (3, self.small_talk),
            (1, self.writable),
            (1, self.shell),
            (1, self.clip),
            (12, self.come_back),
            (2, self.lose),
            (1, self.ghost),
        ]

    def run(self, steps: int) -> int:
        """Let it happen; returns how many steps there were."""
        harness = self.harness
        if self.rng.random() < 0.98:
            harness.open(probe=self.rng.random() < 0.02)
        actions, weights = [action for _, action in self.actions], [weight for weight, _ in self.actions]
        for step in range(steps):
            if step == 3 and self.rng.random() < 0.9:
                self.set_up()
            self.use_leg()
            if self.rng.random() < 0.004:
                self.fault()
            else:
                self.rng.choices(actions, weights)[0]()
            self.check()
            if harness.of(CallEnded):
                break
        else:
            self.close()
        harness.advance(60)
        harness.hang_up_socket()
        self.check()
        assert len(harness.of(CallEnded)) == 1
        self.check_variables()
        legs = [connect.leg for connect in harness.of(ConnectRealtime)]
        assert legs == list(range(1, len(legs) + 1))
        assert sorted(close.leg for close in harness.of(CloseRealtime)) == legs
        assert harness.call.next_timer(harness.now) is None
        return step + 1

    # Steps.

    def time(self) -> None:
        self.harness.advance(self.rng.choice((0.0, 0.01, 0.05, 0.2, 0.2, 0.5, 1.0, 3.0, 12.0)))

    def frame(self) -> None:
        conversation = self.harness.call.conversation
        sent = len(self.harness.ai.received("input_audio_buffer.append"))
        self.harness.caller_audio(self.rng.randbytes(self.rng.choice((1600, 1600, 160, 1, 0, 32_000))))
        if conversation is not None and (conversation.caller_audio.paused or conversation.digits.secret):
            assert len(self.harness.ai.received("input_audio_buffer.append")) == sent, (
                "nothing of a muted caller reaches the model"
            )

    def set_up(self) -> None:
        """The leg in hand is set up, or gets a step further."""
        harness = self.harness
        updates = len(harness.ai.received("session.update"))
        if self.rng.random() < 0.95:
            harness.connected()
        harness.ai.session_created()
        if len(harness.ai.received("session.update")) > updates:
            lives = self.rng.choice((6, 6, 20, 60, 3600, -5, 10**30))
            harness.ai.session_updated(self.rng.choice((None, UNIX + int(harness.now - START) + lives)))

    # Legs.

    def use_leg(self) -> None:
        """What the model says from here on, it says on the leg in use."""
        conversation, harness = self.harness.call.conversation, self.harness
        if conversation is None:
            return
        number = conversation.legs._leg.number
        if harness.leg != number:
            harness.leg = number
            harness._settle()
        if conversation.ready and number not in self.ready_legs:
            self.ready_legs.add(number)
            self.new_session()

    def new_session(self) -> None:
        """Nothing of the old one is of any meaning."""
        frames = self.harness.ai.sent
        updates = [at for at, (_, event) in enumerate(frames) if event["type"] == "session.update"]
        self.first = updates[-1]
        self.answered |= {id(event) for _, event in frames[: self.first]}
        self.count += 2
        self.born = self.count + 1
        self.responses.clear()
        self.items.clear()
        self.leftovers = set(self.voices.values())

    def come_back(self) -> None:
        """Whoever is being connected is there."""
        conversation = self.harness.call.conversation
        if conversation is None:
            return
        legs = conversation.legs
        if legs.state is LegState.TRYING and legs.session.state is rt.SessionState.CONNECTING:
            self.set_up()
        elif legs._successor is not None and legs._successor.session.state is rt.SessionState.CONNECTING:
            self.harness.leg = legs._successor.number
            self.set_up()

    def lose(self) -> None:
        """A leg is lost, and may be had again."""
        conversation = self.harness.call.conversation
        if conversation is not None and conversation.legs._successor is not None and self.rng.random() < 0.3:
            self.harness.leg = conversation.legs._successor.number
        self.harness.ai_lost(self.rng.choice((None, 1000, 1001, 1006, 1011, 4000)), "gone", for_good=False)

    def ghost(self) -> None:
        """What comes of a leg that was closed before reaches nobody."""
        harness = self.harness
        if not (closed := harness.of(CloseRealtime)):
            return
        harness.advance(0.0)
        harness._settle()
        before = len(harness.ai.sent), len(harness.log), len(harness.commands)
        harness.leg = self.rng.choice(closed).leg
        match self.rng.randrange(4):
            case 0:
                harness.connected()
            case 1:
                harness.ai_lost(4000)
            case 2:
                harness.ai.audio(b"\x07" * 1600, "ghost", "ghost")
            case _:
                harness.ai.speech_started("ghost")
        assert before == (len(harness.ai.sent), len(harness.log), len(harness.commands))

    def response(self) -> str:
        if self.responses and self.rng.random() < 0.97:
            return self.responses[-1]
        return f"resp_{self.rng.randrange(self.born, self.count + 2)}"

    def item(self, response: str) -> str:
        if response in self.items and self.rng.random() < 0.97:
            return self.items[response]
        return f"item_{self.rng.randrange(self.born, self.count + 2)}"

    def begin_response(self) -> None:
        if self.responses and self.rng.random() < 0.9:
            return
        self.count += 1
        create = None
        asked = [event for event in self.creates() if id(event) not in self.answered]
        if asked and self.rng.random() < 0.8:
            create = self.rng.choice(asked)
            self.answered.add(id(create))
        self.responses.append(f"resp_{self.count}")
        self.harness.ai.created(self.responses[-1], create)
        if self.rng.random() < 0.9:
            self.begin_item()

    def creates(self) -> list[dict[str, Any]]:
        """What this session was asked for."""
        return [event for _, event in self.harness.ai.sent[self.first :] if event["type"] == "response.create"]

    def begin_item(self) -> None:
        if self.responses:
            self.count += 1
            response = self.response()
            self.items[response] = f"item_{self.count}"
            self.harness.ai.item(response, self.items[response])

    def delta(self) -> None:
        response = self.response()
        voice = self.voices.setdefault(response, len(self.voices) % 250)
        if self.voices[response] in self.silenced and list(self.voices.values()).count(voice) > 1:
            return  # a voice is used again: it would look like the silenced one
        length = self.rng.choice((0, 1, 159, 160, 800, 1601, 8000, 40_000))
        self.generated += length
        self.harness.ai.audio(bytes((voice,)) * length, response, self.item(response))
        if self.rng.random() < 0.5:
            self.harness.ai.text("some words ", response, self.item(response))

    def end_item(self) -> None:
        response = self.response()
        self.harness.ai.item_done("some words and more", response, self.item(response))

    def end_response(self) -> None:
        response = self.response()
        if response in self.responses:
            self.responses.remove(response)
        status = self.rng.choice(STATUSES)
        details = {"failed": {"type": "failed", "error": {"code": "rate_limit_exceeded"}}}.get(status, {})
        self.harness.ai.done(response, status, **details)

    def caller_speaks(self) -> None:
        harness, conversation = self.harness, self.harness.call.conversation
        talking = harness.call.state is CallState.TALKING
        # Who enters a secret is not heard; what comes then is late news of what they said before.
        talking = talking and conversation is not None and conversation.ready and not conversation.digits.secret
        harness.ai.speech_started(f"caller_{self.count}", self.rng.choice((0, self.clock())))
        # Here a change of language may bring any plan; who stops the agent was settled when the call began.
        plan = conversation._caller._plan if conversation is not None else None
        if talking and plan is not None and plan.interruptible and not plan.decides_interruptions and not harness.way:
            assert harness.playback.unplayed == 0 or not self.honest, "the agent talks on"

    def caller_stops(self) -> None:
        item = f"caller_{self.count}"
        self.harness.ai.speech_stopped(item, self.rng.choice((0, self.clock())))
        if self.rng.random() < 0.9:
            self.harness.ai.committed(item, self.rng.choice((None, f"item_{self.count}")))
        if self.rng.random() < 0.7:
            self.harness.ai.transcribed(item, self.rng.choice(("", "What now?", "ja, gérne 你好")))

    def clock(self) -> int:
        """Milliseconds of caller audio that the server has heard, roughly."""
        return max(int((self.harness.now - START) * 1000) - self.rng.choice((0, 300, 900)), 0)

    def clip(self) -> None:
        conversation = self.harness.call.conversation
        if conversation is not None and self.harness.call.state in (CallState.CONNECTING, CallState.TALKING):
            audio = bytes((CLIP,)) * self.rng.choice((0, 800, 8000, 40_000))
            protected = conversation.plan.decides_interruptions and self.rng.random() < 0.3
            item = conversation._agent.play_clip("Some words.", audio, self.harness.now, protected=protected)
            assert conversation._agent.clip_playing(item) == bool(audio)

    def tool_call(self) -> None:
        self.count += 1
        name = self.rng.choices(list(TOOLS), list(TOOLS.values()))[0]
        known = DIGITS if name == "collect_digits" and self.rng.random() < 0.9 else ARGUMENTS
        self.harness.ai.call(name, self.rng.choice(known), self.response(), f"call_{self.count}")

    def tool_result(self) -> None:
        running = self.harness.of(InvokeTool)
        command = self.rng.choice(running) if running and self.rng.random() < 0.9 else InvokeTool("call_x", "", "{}")
        call = command.call_id
        # Some tools repeat what they were given, and some do that in other words.
        echo = self.rng.choice((command.arguments, " ".join(command.arguments)))
        outcome = ToolOutcome(output=echo, outputs={"INTENT": echo}, reason=echo)
        outcome = self.rng.choice((*OUTCOMES, outcome, outcome, outcome))
        self.harness.call.tool_result(call, outcome, self.harness.now)
        self.harness._settle()
        if self.rng.random() < 0.7:
            self.harness.ai.output_added(call)

    def hosted_call(self) -> None:
        """Something of an MCP call that OpenAI makes, in any order."""
        ai, item_id = self.harness.ai, f"mcp_{self.rng.randrange(6)}"
        kind = self.rng.choice(("mcp_call", "mcp_call", "mcp_approval_request"))
        name = self.rng.choice(("search", "delete"))
        item = {"id": item_id, "type": kind, "server_label": "docs", "name": name, "arguments": "{}"}
        match self.rng.randrange(4):
            case 0:
                ai.send("response.output_item.added", response_id=self.response(), output_index=0, item=item)
            case 1:
                ai.send("conversation.item.done", previous_item_id=None, item=item)
            case 2:
                ai.send("response.mcp_call.in_progress", item_id=item_id, output_index=0)
            case _:
                how = self.rng.choice(("completed", "failed"))
                ai.send(f"response.mcp_call.{how}", item_id=item_id, output_index=0)

    def ai_error(self) -> None:
        creates = self.creates()
        event_id = self.rng.choice(creates)["event_id"] if creates and self.rng.random() < 0.6 else None
        self.harness.ai.refuse(self.rng.choices(CODES, (4, 6, 4, 2, 1, 0.2))[0], event_id)

    def ai_oddity(self) -> None:
        odd = self.rng.choice(
            (
                "",
                "{",
                "[]",
                '{"type":7}',
                '{"type":"something.new"}',
                '{"type":"response.done"}',
                '{"type":"response.created","response":{}}',
                '{"type":"response.output_audio.delta","response_id":"resp_1","item_id":"i","delta":"%%%"}',
                '{"type":"rate_limits.updated","rate_limits":[]}',
                b"\xff\xfe",
            )
        )
        self.harness.from_ai(odd)

    def key(self) -> None:
        conversation = self.harness.call.conversation
        if conversation is None or not conversation.digits.secret:
            self.harness.genesys("dtmf", digit=self.rng.choice("12*#AZ"))
            return
        for _ in range(self.rng.choice((1, 1, 4, 5))):
            self.harness.genesys("dtmf", digit=SECRET[self.entered % len(SECRET)])
            self.entered += 1
        if self.rng.random() < 0.2:
            self.harness.genesys("dtmf", digit="#")

    def hold(self) -> None:
        if self.rng.random() < 0.5:
            self.harness.genesys("paused")
        else:
            self.harness.genesys("resumed", start="PT1S", discarded="PT0.5S")

    def small_talk(self) -> None:
        kind = self.rng.choice(("ping", "update", "discarded", "error", "report"))
        if kind == "ping":
            before = len(self.harness.messages_of("pong"))
            live = self.harness.call.audiohook.state in (ServerState.OPEN, ServerState.DISCONNECTING)
            self.harness.genesys("ping")
            if live and self.harness.messages_of("opened"):
                assert len(self.harness.messages_of("pong")) == before + 1
        elif kind == "update":
            self.harness.genesys("update", language="de-de")
            self.harness.call.change_language(_plan(self.rng), self.harness.now)
            self.harness._settle()
        elif kind == "discarded":
            self.harness.genesys("discarded", start="PT1S", discarded="PT0.5S")
        elif kind == "error":
            code = self.rng.choice((400, 429, 500))
            self.harness.genesys("error", code=code, message="no", retryAfter="PT1S")
        elif not self.honest:
            self.harness.genesys(self.rng.choice(REPORTS))

    def writable(self) -> None:
        self.harness.set_writable(self.rng.random() < 0.7)

    def shell(self) -> None:
        choice = self.rng.random()
        if choice < 0.05:
            self.hurried = self.hurried or self.harness.now
            self.harness.end()
        elif choice < 0.5:
            self.harness.refuse("error", "OH-CALL-01 none")
        else:
            self.harness.accept(_plan(self.rng))

    # Faults: each of them ends most calls.

    def fault(self) -> None:
        self.rng.choice((self.close, self.lose_ai, self.lose_genesys, self.garbage, self.wrong_seq, self.mismatch))()

    def close(self) -> None:
        answered = self.harness.call.audiohook.state not in (ServerState.CLOSED, ServerState.ENDED)
        self.harness.close(self.rng.choice(("end", "disconnect", "error")))
        if answered:
            last = [message for message in (entry for _, entry in self.harness.log) if isinstance(message, dict)][-1]
            assert last["type"] == "closed"

    def lose_ai(self) -> None:
        """And nobody else can be had."""
        self.harness.ai_lost(self.rng.choice((None, 1000, 1001, 1006, 3000)), "gone")

    def lose_genesys(self) -> None:
        self.harness.hang_up_socket()

    def garbage(self) -> None:
        self.harness.raw_text(self.rng.choice(("", "{", "[1]", "null", b"\xff", '{"type":"ping"}', "[" * 5000)))

    def wrong_seq(self) -> None:
        self.harness.messages.seq += self.rng.choice((1, 7))
        self.harness.genesys("ping")

    def mismatch(self) -> None:
        formats = {"type": "audio/pcm", "rate": 24000}
        audio = {"input": {"format": formats}, "output": {"format": formats, "voice": "alloy"}}
        self.harness.ai.send("session.updated", session={"type": "realtime", "audio": audio})

    def remembered(self) -> set[int]:
        """Voices of the responses that the call knows of."""
        agent = self.harness.call.conversation._agent if self.harness.call.conversation is not None else None
        known = {*agent._running, *agent._over} if agent is not None else set()
        return self.leftovers | {voice for response, voice in self.voices.items() if response in known}

    def check_variables(self) -> None:
        """The flow, or the record where there was no `disconnect`, has all variables, as texts."""
        (ended,) = self.harness.of(CallEnded)
        variables = self.harness.variables if self.harness.messages_of("disconnect") else ended.output_variables
        assert variables == ended.output_variables
        accepted = self.harness.of(SelectAgent) and self.harness.messages_of("opened")
        declared = {"INTENT", "ESCALATE"} if accepted else set()
        assert variables.keys() - {"OFFHOOK_TARGET"} == declared | {f"OFFHOOK_{name}" for name in OWN}
        assert all(isinstance(value, str) for value in variables.values())
        assert ended.outcome in ("completed", "escalated", "failed", "limit", "probe")

    def check_bound(self) -> None:
        """A call that has begun to end, ends."""
        harness = self.harness
        over = harness.messages_of("disconnect") or harness.messages_of("closed") or harness.socket_gone
        began = [moment.at for moment in harness.moments_of("ending")]
        if over or not began:
            return
        assert harness.now <= began[0] + MAX_GOODBYE + self.generated / 8000 + DRAIN_MARGIN
        assert self.hurried is None or harness.now <= max(self.hurried, began[0]) + LAST_WORDS
        assert harness.call.next_timer(harness.now) is not None

    # What must hold after every step.

    def check(self) -> None:
        harness = self.harness
        self.check_told()
        self.check_secrets()
        for _, message in harness.log[self.seen :]:
            if isinstance(message, bytes):
                assert 1600 <= len(message) <= 8000
                assert not self.silenced & set(message), "audio of an interrupted response"
            elif "barge_in" in json.dumps(message) and not self.spares():
                # What came before the session was ready belongs to nothing that could be interrupted.
                self.silenced |= self.remembered()
        self.silenced &= self.remembered()  # sixteen responses later nobody knows what was interrupted
        self.check_bound()
        self.seen = len(harness.log)
        assert len(harness.of(CallEnded)) <= 1
        assert len(harness.messages_of("disconnect")) <= 1
        assert within_budget([at for at, _ in harness.packets])
        # Who tells when playing begins and not when it runs dry may begin anew, late, without our knowing.
        if self.honest and harness.reports != REPORTS[:1]:
            assert harness.playback.most_unplayed <= 8000 + (480 if harness.way else 0)
        conversation = harness.call.conversation
        if conversation is not None:
            assert conversation.playout.queued <= MAX_QUEUED + REPORTED.lead + REPLAYED
            judge = conversation._caller._judge
            assert judge is None or len(judge._turns) <= MAX_TURNS
            assert len(conversation.transcript._entries) <= MAX_OPEN
            assert len(conversation._agent._running) <= MAX_RUNNING
            assert len(conversation.playout._items) <= self.count + 2 + conversation._agent._clips_played
            assert len(conversation._agent._clips) <= len(conversation.playout._items)
            if conversation.playout.held:
                assert harness.call.state is CallState.TALKING
                assert harness.call.next_timer(harness.now) is not None, "nobody ever decides"
            assert len(conversation._history._entries) <= MAX_ENTRIES
            assert len(conversation._history._calls) <= MAX_ENTRIES + MAX_OPEN
            assert len(conversation.tool_calls.confirmations._pending) <= MAX_PENDING
            collection = conversation.digits._collection
            assert collection is None or len(collection._digits) <= MAX_DIGITS

    def check_told(self) -> None:
        """What a session is told is whole: each call with its result behind it; no recordings of the outage."""
        events = [event for _, event in self.harness.ai.sent[max(self.told[0] - 1, 0) :]]
        last = ""
        for event in events:
            if event["type"] != "conversation.item.create":
                assert not last, "a call without its result"
                continue
            item = event["item"]
            assert not last or (item["type"], item.get("call_id")) == ("function_call_output", last)
            last = item["call_id"] if item["type"] == "function_call" else ""
            assert ANNOUNCED not in json.dumps(item)
        assert not last
        legs = {connect.leg for connect in self.harness.of(ConnectRealtime)}
        assert len(legs - {close.leg for close in self.harness.of(CloseRealtime)}) <= 2

    def check_secrets(self) -> None:
        """No four digits of a secret in a row are in anything that leaves the call."""
        harness = self.harness
        frames, commands = harness.ai.sent[self.told[0] :], harness.commands[self.told[1] :]
        self.told = [len(harness.ai.sent), len(harness.commands)]
        if not self.entered:
            return
        said = [event for _, event in frames if event["type"] != "input_audio_buffer.append"]
        messages = [message for _, message in harness.log[self.seen :] if isinstance(message, dict)]
        seen = shown(said, commands, messages)
        typed = (SECRET * 2)[: min(self.entered, len(SECRET) + 3)]
        for at in range(len(typed) - 3):
            part = typed[at : at + 4]
            assert part not in seen
            assert " ".join(part) not in seen

    def spares(self) -> bool:
        """After an interruption something may be heard of what was interrupted."""
        conversation = self.harness.call.conversation
        if conversation is None:
            return False
        # What was said counts, not what the plan says now: it may have changed with the language.
        said = conversation._answers._said.values()
        return conversation.plan.barge_in.resume or any(prompt.protected for prompt in said)


def _prompt(rng: random.Random) -> Prompt:
    return rng.choice((Prompt(instructions="Greet."), Prompt(text="Hello."), Prompt(text="Hi.", protected=True)))


def _plan(rng: random.Random) -> CallPlan:
    detection = rng.choice(
        (
            rt.ServerVad(),
            rt.ServerVad(create_response=True, interrupt_response=True),
            rt.ServerVad(create_response=False, interrupt_response=True),
            rt.ServerVad(create_response=True, interrupt_response=False),
            rt.ServerVad(create_response=False, interrupt_response=False, silence_duration_ms=300),
            rt.SemanticVad(),
        )
    )
    secretly = CollectDigits(secret_tool="verify_pin", timeout=3.0)
    return plan(
        session=session(turn_detection=detection, transcription=rng.choice((None, rt.TranscriptionConfig(model="t")))),
        notice=rng.choice((None, None, _prompt(rng))),
        greeting=rng.choice((None, _prompt(rng))),
        goodbye=rng.choice((None, _prompt(rng))),
        handover=rng.choice((None, _prompt(rng))),
        no_input=rng.choice(
            (NoInput(), NoInput(), NoInput(after=rng.choice((1.0, 8.0)), prompts=(_prompt(rng),) * rng.randrange(4)))
        ),
        filler=rng.choice((Filler(), Filler(after=0.5, every=2.0, prompts=(_prompt(rng),)))),
        recovery=rng.choice(
            (
                Recovery(),
                Recovery(prompt=Prompt(text=ANNOUNCED, audio=bytes((CLIP,)) * 4000), limit=rng.choice((1.0, 20.0))),
                Recovery(prompt=Prompt(text=ANNOUNCED, audio=bytes((CLIP,)) * 16_000), after=0.5, every=1.0),
            )
        ),
        limits=CallLimits(
            max_duration=rng.choice((*[None] * 5, 0.5, 20.0, 200.0)),
            warn_before=rng.choice((0.0, 10.0)),
            max_turns=rng.choice((*[None] * 5, 1, 4)),
        ),
        summary=rng.choice(("escalated", "always", "never")),
        barge_in=BargeIn(enabled=rng.random() < 0.9, min_speech=rng.choice((0.0, 0.0, 0.3)), resume=rng.random() < 0.4),
        mode="listen" if rng.random() < 0.02 else "talk",
        tools={"order_status": ToolPlan(), "weather": ToolPlan(), "book": ToolPlan(confirm=True)},
        collect_digits=rng.choice((None, CollectDigits(), secretly, secretly, secretly)),
        dtmf=Dtmf(timeout=rng.choice((0.5, 1.5))),
        goodbye_timeout=rng.choice((2.0, 10.0)),
        bot_turn_response=rng.random() < 0.8,
        approved_mcp=frozenset({("docs", "search")}),
    )


def run(iterations: int, seed: int) -> int:
    """Do at least that many steps in calls of up to 200; returns how many calls there were."""
    rng = random.Random(seed)
    calls = 0
    while iterations > 0:
        calls += 1
        iterations -= FuzzedCall(rng).run(rng.choice((5, 50, 200)))
    return calls


def test_only_documented_behaviour_comes_out() -> None:
    assert run(STEPS, seed=1) > STEPS / 200


if __name__ == "__main__":
    print(run(int(sys.argv[1]), int(sys.argv[2])), "calls")

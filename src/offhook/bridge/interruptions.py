"""Which sounds of the caller interrupt the agent, and which turns are answered, when that is decided here.

The server stops the agent at any sound, and answers it. Where the agent's settings want more than a sound
(`BargeIn.min_speech`), where a false alarm is to be undone (`BargeIn.resume`), or where something must be heard to its
end (a protected prompt), the session is told to do neither (openai-realtime.md §4, traps 12 and 32), and this is the
judge. Pure: it hears of the caller's sounds and says what is to be done (`Verdict`); `caller_turns.py` does it.

A sound is in one of four states, from `speech_started` until it is known what it was:

    PLAIN      said while the agent was silent: a turn like any other
    PASSING    said over the agent, too short to count so far
    DOUBTFUL   long enough to stop the agent, and perhaps no speech
    CERTAIN    speech; the interruption stands

    PASSING ──long──▶ DOUBTFUL (STOP) ──speech──▶ CERTAIN (STAND)         PLAIN, CERTAIN ──committed──▶ ANSWER
       │  └──long, without resume──▶ CERTAIN (STOP)
       │                 └──noise──▶ over (IGNORE), and the agent goes on (GO_ON)
       ├──speech──▶ over (PASSED)
       └──noise──▶ over (IGNORE)

*Long* is `min_speech` of speech, measured by the loudness of the caller's audio (`caller_voice.py`), or proved by the
server's not having said for so long that it stopped. *Speech* or *noise* is known for PASSING when the turn is
committed, for DOUBTFUL also before, in this order:

1. `SURE` of speech is speech;
2. words in the transcript are speech, a transcript without words is noise;
3. if no transcript comes within `WORDS_WAIT`, or there is none at all: `SHORTEST` of speech is speech if it was long
   enough to stop the agent; anything less is noise.

A turn that is answered is answered together with all that was committed before it, and not while the caller is speaking
again. Words said in PASSING ("mhm") stay in the conversation, and are answered only if the agent has fallen silent.
"""

from enum import Enum, auto

import msgspec

from offhook.bridge.caller_voice import CallerVoice
from offhook.bridge.plan import BargeIn
from offhook.realtime import SemanticVad, ServerVad
from offhook.realtime.wire import given

SURE = 1.0
"""Seconds of speech that are no noise, whatever the transcript says."""
SHORTEST = 0.4
"""Seconds of sound that are taken for speech when there is no transcript."""
WORDS_WAIT = 1.2
"""Seconds after the commit in which the transcript of a short sound is waited for."""
COMMIT_WAIT = 3.0
"""Seconds after the end of a sound in which it becomes an item of the conversation, or never will."""
MAX_TURNS = 8
"""Sounds that are judged at a time; the oldest is kept and not answered then."""
LATENESS = 0.3
"""Seconds that frames and the network may add to the server's silence."""
PREFIX_MS, SILENCE_MS = 300, 500
"""What a server does by itself (openai-realtime.md §3)."""
EAGERNESS = {"low": 8.0, "medium": 4.0, "high": 2.0, "auto": 4.0}
"""Seconds of quiet after which `semantic_vad` ends any turn."""


class TurnState(Enum):
    """What is known of a sound."""

    PLAIN = auto()
    PASSING = auto()
    DOUBTFUL = auto()
    CERTAIN = auto()


class Finding(Enum):
    """What comes to be known of it."""

    LONG = auto()
    SPEECH = auto()
    NOISE = auto()


class Verdict(Enum):
    """What is to be done."""

    STOP = auto()
    """The agent falls silent: for good without `resume`, else until STAND or GO_ON."""
    STAND = auto()
    """The caller did interrupt: what the agent had left to say is dropped."""
    GO_ON = auto()
    """Nobody interrupted: the agent goes on."""
    IGNORE = auto()
    """The item is no turn: it leaves the conversation."""
    PASSED = auto()
    """Words in passing: to be answered if the agent is silent."""
    ANSWER = auto()
    """The caller is to be answered."""


_S, _F, _V = TurnState, Finding, Verdict

TABLE: dict[tuple[TurnState, Finding], tuple[TurnState | None, Verdict]] = {
    (_S.PASSING, _F.LONG): (_S.DOUBTFUL, _V.STOP),
    (_S.PASSING, _F.SPEECH): (None, _V.PASSED),
    (_S.PASSING, _F.NOISE): (None, _V.IGNORE),
    (_S.DOUBTFUL, _F.SPEECH): (_S.CERTAIN, _V.STAND),
    (_S.DOUBTFUL, _F.NOISE): (None, _V.IGNORE),
}
"""Every step of a sound; None = it is over."""


class _Turn(msgspec.Struct, eq=False):
    item_id: str
    state: TurnState
    since: float
    start_ms: int
    spoken: float | None = None
    """Seconds of speech, once it has stopped."""
    give_up_at: float | None = None
    """Stopped: when it will not be committed any more. Committed: when the transcript will not come any more."""
    committed: bool = False
    words: bool | None = None
    """The transcript has words; None = not known."""


class Interruptions:
    """The judge of one call.

    Args:
        policy: What the agent's settings say.
        detection: How the server finds turns.
        transcribes: There are transcripts of what the caller says.
    """

    def __init__(self, policy: BargeIn, detection: ServerVad | SemanticVad | None, *, transcribes: bool) -> None:
        self._policy = policy
        self._transcribes = transcribes
        self._voice = CallerVoice()
        self._prefix_ms, self._silence_ms, quiet = _timing(detection)
        self._quiet = quiet + LATENESS
        self._turns: list[_Turn] = []
        self._doubt = False  # the agent was stopped, and that may be undone
        self._owed = False  # the caller is to be answered
        self._verdicts: list[tuple[Verdict, str]] = []

    def verdicts(self) -> list[tuple[Verdict, str]]:
        """Return what is to be done since the last call, in order, each with the item it is about."""
        verdicts, self._verdicts = self._verdicts, []
        return verdicts

    @property
    def idle(self) -> bool:
        """There is nothing to judge."""
        return not self._turns

    # What is heard.

    def hear(self, audio: bytes) -> None:
        """8 kHz µ-law on its way to the server; `handle_timer` draws the conclusions."""
        if self._policy.decided_here:
            self._voice.hear(audio)

    def started(self, item_id: str, start_ms: int, now: float, *, busy: bool) -> None:
        """The server heard speech begin.

        Args:
            item_id: The item it will be.
            start_ms: Where, in milliseconds of the audio sent, prefix padding included.
            now: Monotonic seconds.
            busy: The caller hears the agent, or is about to.
        """
        # One sound at a time: a former one that was not committed never will be.
        self._turns = [turn for turn in self._turns if turn.committed][-MAX_TURNS + 1 :]
        turn = _Turn(item_id, TurnState.PASSING if busy else TurnState.PLAIN, now, start_ms)
        self._turns.append(turn)
        self._voice.begin(start_ms + self._prefix_ms)
        self._measure(turn, now)
        self._conclude()

    def stopped(self, item_id: str, end_ms: int, now: float) -> None:
        """It stopped; `end_ms` counts like `start_ms` and includes the silence that showed it."""
        turn = self._find(item_id)
        if turn is None or turn.committed:
            return
        if self._silence_ms is not None and end_ms > turn.start_ms:
            turn.spoken = max(end_ms - turn.start_ms - self._prefix_ms - self._silence_ms, 0) / 1000
        else:
            turn.spoken = self._voice.spoken
        turn.give_up_at = now + COMMIT_WAIT
        self._measure(turn, now)
        self._conclude()

    def committed(self, item_id: str, now: float, *, busy: bool) -> None:
        """It became an item of the conversation; one that was never told of is a plain turn."""
        turn = self._find(item_id)
        if turn is None:
            turn = _Turn(item_id, TurnState.PLAIN, now, 0)
            self._turns.append(turn)
        if turn.state is TurnState.PASSING and not busy:
            turn.state = TurnState.PLAIN
        if turn.spoken is None:
            turn.spoken = self._voice.spoken
        turn.committed = True
        turn.give_up_at = now + WORDS_WAIT if self._transcribes else now
        self._judge(turn, now)
        self._conclude()

    def taken_back(self) -> None:
        """What is being said was taken back: nobody will tell of its end."""
        self._turns = [turn for turn in self._turns if turn.committed]
        self._conclude()

    def transcribed(self, item_id: str, text: str, now: float, *, complete: bool) -> None:
        """Words of a sound, or a piece of them; a failed transcript is complete without words."""
        turn = self._find(item_id)
        if turn is None:
            return
        if any(character.isalnum() for character in text):
            turn.words = True
        elif complete and turn.words is None:
            turn.words = False
        self._judge(turn, now)
        self._conclude()

    def owe(self) -> None:
        """An answer that was asked for was taken back: it is owed again."""
        self._owed = True

    # Time.

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do, if nothing is heard before."""
        return min((at for turn in self._turns if (at := self._due_at(turn)) is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Conclude from what was heard, and from what was not."""
        for turn in self._turns[:]:
            if turn not in self._turns:
                continue  # answered with another one just now
            if not turn.committed and turn.spoken is None:
                self._measure(turn, now)
            elif turn.give_up_at is not None and now >= turn.give_up_at:
                if turn.committed:
                    self._judge(turn, now)
                else:
                    self._turns.remove(turn)
        self._conclude()

    def _due_at(self, turn: _Turn) -> float | None:
        if turn.give_up_at is not None:
            return turn.give_up_at
        if turn.state is TurnState.PASSING:
            return self._proved_at(turn, self._policy.min_speech)
        return self._proved_at(turn, SURE) if turn.state is TurnState.DOUBTFUL else None

    def _proved_at(self, turn: _Turn, seconds: float) -> float:
        """When the server would have told that it stopped, if it had been shorter than that."""
        return turn.since + seconds + self._quiet

    # What follows.

    def _measure(self, turn: _Turn, now: float) -> None:
        """Has it lasted long enough?"""
        # When it is over the server's measure counts, which is a coarse one; and there is less to gain then.
        over = turn.spoken is not None
        enough = max(self._policy.min_speech, SHORTEST) if over else self._policy.min_speech
        if turn.state is TurnState.PASSING and self._lasted(turn, enough, now):
            self._take(turn, Finding.LONG)
        if turn.state is TurnState.DOUBTFUL and (turn.words or self._lasted(turn, SURE, now)):
            self._take(turn, Finding.SPEECH)

    def _lasted(self, turn: _Turn, seconds: float, now: float) -> bool:
        if turn.spoken is not None:
            return turn.spoken >= seconds
        return self._voice.spoken >= seconds or now >= self._proved_at(turn, seconds)

    def _judge(self, turn: _Turn, now: float) -> None:
        """What was it? Nothing happens while that is not known."""
        spoken = turn.spoken or 0.0
        doubtful = turn.state is TurnState.DOUBTFUL
        if turn.state in (TurnState.PLAIN, TurnState.CERTAIN):
            pass
        elif doubtful and (turn.words or spoken >= SURE):
            self._take(turn, Finding.SPEECH)
        elif turn.committed and turn.words is not None:
            self._take(turn, Finding.SPEECH if turn.words else Finding.NOISE)
        elif turn.committed and turn.give_up_at is not None and now >= turn.give_up_at:
            speech = doubtful and spoken >= max(SHORTEST, self._policy.min_speech)
            self._take(turn, Finding.SPEECH if speech else Finding.NOISE)
        if turn.committed and turn.state in (TurnState.PLAIN, TurnState.CERTAIN):
            self._owed = True
            # Whatever was committed before it is answered with it.
            self._turns = [other for other in self._turns if not other.committed]

    def _take(self, turn: _Turn, finding: Finding) -> None:
        state, verdict = TABLE[turn.state, finding]
        if state is TurnState.DOUBTFUL and not self._policy.resume:
            state = TurnState.CERTAIN
        if state is None:
            self._turns.remove(turn)
        else:
            turn.state = state
        if verdict is Verdict.STOP:
            self._doubt = state is TurnState.DOUBTFUL
        elif verdict is Verdict.STAND:
            self._doubt = False
        self._verdicts.append((verdict, turn.item_id))

    def _conclude(self) -> None:
        states = {turn.state for turn in self._turns}
        if self._doubt and TurnState.DOUBTFUL not in states:
            self._doubt = False
            self._verdicts.append((Verdict.GO_ON, ""))
        if self._owed and not states & {TurnState.PLAIN, TurnState.DOUBTFUL, TurnState.CERTAIN}:
            self._owed = False
            self._verdicts.append((Verdict.ANSWER, ""))

    def _find(self, item_id: str) -> _Turn | None:
        return next((turn for turn in self._turns if turn.item_id == item_id), None)


def _timing(detection: ServerVad | SemanticVad | None) -> tuple[int, int | None, float]:
    """Return prefix padding and silence in milliseconds, and the most quiet within a turn in seconds.

    `semantic_vad` does not tell how much quiet is in the end of a turn.
    """
    if isinstance(detection, SemanticVad):
        return PREFIX_MS, None, EAGERNESS.get(given(detection.eagerness) or "auto", EAGERNESS["low"])
    prefix = silence = None
    if detection is not None:
        prefix, silence = given(detection.prefix_padding_ms), given(detection.silence_duration_ms)
    silence = SILENCE_MS if silence is None else silence
    return PREFIX_MS if prefix is None else prefix, silence, silence / 1000

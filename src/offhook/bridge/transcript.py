"""The transcript: who said what, in the order of the conversation, with the heard part of the agent's words only.

Transcripts arrive late, out of order or never (openai-realtime.md §9 traps 3, 28, 29), and an agent turn is settled
only when its audio was played or cut. So turns are kept in the order `previous_item_id` gives and released from the
front as they settle. Bounds: a caller turn waits `TRANSCRIPT_DEADLINE` for its words, at most `MAX_OPEN` turns wait.
"""

from offhook.bridge.commands import Turn
from offhook.bridge.playout import Heard

MARK = "mark"
"""Speaker of what is no turn."""
TRANSCRIPT_DEADLINE = 10.0
"""Seconds that a caller turn waits for its transcript after the audio was committed."""
MAX_OPEN = 64
MAX_TEXT = 16_000
"""Characters kept of one turn; the rest is cut off."""
BYTES_PER_CHARACTER = 400
"""Of audio: 20 characters a second, which is fast speech."""


def heard_text(text: str, heard: int, received: int) -> tuple[str, str]:
    """Split `text` where the caller stopped hearing it, at a word boundary, by proportion of the audio.

    The Realtime API gives no word timings; the proportion is the estimate that the reference recommends (§4.3).

    Args:
        text: What the agent generated.
        heard: Bytes (or any other unit) of its audio that were played.
        received: Bytes of its audio that were generated, the same unit.
    """
    if heard >= received:
        return text, ""
    cut = len(text) * heard // received
    while 0 < cut < len(text) and not text[cut].isspace() and not text[cut - 1].isspace():
        cut -= 1
    return text[:cut].rstrip(), text[cut:].lstrip()


def least_audio(text: str) -> int:
    """Bytes of audio that so much text has at least: the words of an answer that breaks off run ahead of its audio."""
    return len(text) * BYTES_PER_CHARACTER


class _Entry:
    __slots__ = (
        "broken_off",
        "deadline",
        "generated",
        "heard",
        "interrupted",
        "item_id",
        "played",
        "received",
        "speaker",
        "text",
    )

    def __init__(self, item_id: str, speaker: str) -> None:
        self.item_id = item_id
        self.speaker = speaker
        self.text = ""
        self.generated = False  # the words are complete
        self.played = speaker != "agent"  # nothing more of it will be heard
        self.heard = 0
        self.received = 0
        self.interrupted = False
        self.deadline: float | None = None
        self.broken_off = False

    def turn(self) -> Turn:
        text, unheard = self.text, ""
        if self.speaker == "agent":
            # An item without audio, or one that is given up before it was played, was not heard.
            least = least_audio(self.text) if self.broken_off else 1
            text, unheard = heard_text(self.text, self.heard, max(self.received, least))
        return Turn(
            speaker=self.speaker,
            text=text.strip(),
            unheard=unheard.strip(),
            interrupted=self.interrupted,
            item_id=self.item_id,
            heard_ms=self.heard // 8,
            audio_ms=self.received // 8,
        )


class Transcript:
    """Open turns of one call; settled ones leave through `settled`."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._settled: list[Turn] = []

    def begin(self, item_id: str, speaker: str, previous_item_id: str | None = None) -> None:
        """A turn of `caller`, `agent` or `keypad` exists; known ids are left where they are."""
        if self._find(item_id) is not None:
            return
        position = len(self._entries)
        for index, entry in enumerate(self._entries):
            if entry.item_id == previous_item_id:
                position = index + 1
        self._entries.insert(position, _Entry(item_id, speaker))
        if len(self._entries) > MAX_OPEN:
            self._release(self._entries[0])

    def add_text(self, item_id: str, text: str) -> None:
        """More words of a turn."""
        entry = self._find(item_id)
        if entry is not None and not entry.generated:
            entry.text = (entry.text + text)[:MAX_TEXT]

    def finish_text(self, item_id: str, text: str | None = None) -> None:
        """The words of a turn are complete; `text`, when given, replaces the deltas. Unknown ids are ignored."""
        entry = self._find(item_id)
        if entry is None:
            return
        if text is not None and not entry.generated:
            entry.text = text[:MAX_TEXT]
        entry.generated = True
        self._settle()

    def commit(self, item_id: str, now: float, *, transcribed: bool) -> None:
        """The caller's turn, begun before, is over; its words come by the deadline, or not at all."""
        entry = self._find(item_id)
        if entry is None or entry.generated:
            return
        if transcribed:
            entry.deadline = now + TRANSCRIPT_DEADLINE
        else:
            self.finish_text(item_id)

    def played(self, heard: Heard) -> None:
        """The agent's item was heard to its end."""
        self._play(heard, interrupted=False)

    def cut(self, heard: Heard) -> None:
        """The agent's item was interrupted, or its rest will never be heard."""
        self._play(heard, interrupted=True)

    def unheard(self, item_id: str, size: int) -> None:
        """So many bytes more of a cut item were generated; nobody will hear them."""
        entry = self._find(item_id)
        if entry is not None:
            entry.received += size

    def silence(self, item_id: str) -> None:
        """The agent's item has no audio that could still be heard."""
        entry = self._find(item_id)
        if entry is not None and not entry.played:
            entry.played = True
            self._settle()

    def drop(self, item_id: str) -> None:
        """There was no such turn after all: it is not recorded, and nothing waits for it."""
        entry = self._find(item_id)
        if entry is not None:
            self._entries.remove(entry)
            self._settle()

    def mark(self, mark: Turn) -> None:
        """Something that is no turn stands here: it comes out of `settled` in its place, as it is."""
        entry = _Entry(mark.item_id, mark.speaker)
        entry.text, entry.generated = mark.text, True
        self._entries.append(entry)
        self._settle()
        if len(self._entries) > MAX_OPEN:
            self._release(self._entries[0])

    def break_off(self, item_id: str) -> None:
        """No more words will come of a turn of the agent, and no more audio; some of its words may have none."""
        entry = self._find(item_id)
        if entry is not None and not entry.generated:
            entry.broken_off = True
            self.finish_text(item_id)

    def session_lost(self) -> None:
        """No more words will come of anything that the caller said."""
        for entry in self._entries:
            if entry.speaker == "caller":
                entry.generated, entry.deadline = True, None
        self._settle()

    def text(self, item_id: str) -> tuple[str, int]:
        """The words of a turn that is not settled, and how many bytes of audio they have at least."""
        entry = self._find(item_id)
        if entry is None:
            return "", 1
        return entry.text, least_audio(entry.text) if entry.broken_off else 1

    def close(self) -> None:
        """The call is over: release every turn with what is known of it."""
        while self._entries:
            self._release(self._entries[0])

    def unsettled(self) -> list[Turn]:
        """What is known to have been heard of the turns that are not settled yet, in order."""
        return [turn for turn in self.open_turns() if turn.text and turn.speaker != MARK]

    def open_turns(self) -> list[Turn]:
        """What is known of everything that is not settled yet, in order."""
        return [entry.turn() for entry in self._entries]

    def settled(self) -> list[Turn]:
        """Turns released since the last call; empty ones (no words, no audio heard) are left out."""
        turns, self._settled = self._settled, []
        return turns

    def next_timer(self) -> float | None:
        """When the first turn stops waiting for its words."""
        deadlines = [entry.deadline for entry in self._entries if entry.deadline is not None]
        return min(deadlines, default=None)

    def handle_timer(self, now: float) -> None:
        """Give up on transcripts that are overdue."""
        for entry in self._entries:
            if entry.deadline is not None and entry.deadline <= now:
                entry.generated = True
                entry.deadline = None
        self._settle()

    def _find(self, item_id: str) -> _Entry | None:
        for entry in self._entries:
            if entry.item_id == item_id:
                return entry
        return None

    def _play(self, heard: Heard, *, interrupted: bool) -> None:
        entry = self._find(heard.item_id)
        if entry is None:
            return
        entry.heard += heard.heard_bytes
        entry.received += heard.received_bytes
        entry.interrupted = interrupted
        entry.played = True
        self._settle()

    def _settle(self) -> None:
        while self._entries and self._entries[0].generated and self._entries[0].played:
            self._release(self._entries[0])

    def _release(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        turn = entry.turn()
        if turn.text or turn.unheard or turn.audio_ms or turn.speaker == MARK:
            self._settled.append(turn)

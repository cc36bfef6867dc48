"""Playout: agent audio leaves at the pace at which the caller hears it, and what was heard is known.

OpenAI generates 3-5 times faster than real time; Genesys plays what we send in order and throws away what it has not
played when it gets `barge_in` (audiohook.md §4). So the audio waits here:

* **queue** - deltas as they came, whole, in one buffer; bounded (`MAX_QUEUED`), what goes beyond is refused.
* **packets** - 200 to 800 ms; the first one as soon as 200 ms are there, the tail of an answer joined to the packet
  before it. A tail that is left alone is filled up to 200 ms with silence, so that no message is shorter.
* **lead** - how much of what was sent may be un-played, whatever the speed of generation (`Pace`).
* **ledger** - every byte belongs to an item; the **playhead** says how many of them were played.

An interruption is one of two. `interrupt` forgets what was not heard. `hold_back` is for one that may be a false alarm:
what was not heard, sent or not, waits in the queue; then `go_on` plays it from a little before the cut, or `interrupt`
forgets it. **Protected** audio is spared by both: it goes on, and what stands around it is cut.
"""

from collections import deque

import msgspec

from offhook.audio import BYTES_PER_MS, SILENCE
from offhook.bridge.playhead import BYTES_PER_SECOND, Playhead

PACKET = 200 * BYTES_PER_MS
"""Smallest binary message, and the unit of all: 200 ms (5 messages a second is the limit, audiohook.md §5)."""
MAX_QUEUED = 300 * BYTES_PER_SECOND
"""Five minutes of one answer waiting; no agent should talk that long, and a broken peer must not fill the memory."""

REPLAYED = 300 * BYTES_PER_MS
"""What is played again after a false alarm: the word that was cut has begun somewhere in there."""
KEPT = 1400 * BYTES_PER_MS
"""Sent audio that is remembered: what may be un-played (1 s is promised) and what may be played again."""

STALLED = 3.0
"""Seconds without audio after which the rest of an unfinished item is sent although it is no whole packet: generation
has pauses, but one that long means that its end was lost."""


class Pace(msgspec.Struct, frozen=True):
    """How far sending runs ahead of playing, in bytes."""

    lead: int
    """Most un-played audio at Genesys as we reckon it; the rest up to the promised 1 s is for the reckoning's error."""
    refill: int
    """In the middle of an answer the next packet leaves when no more than this is un-played."""
    late: int
    """The last packet of what is there stays back until no more than this is un-played, so that a short tail finds
    company."""


REPORTED = Pace(800 * BYTES_PER_MS, 400 * BYTES_PER_MS, 80 * BYTES_PER_MS)
"""For a peer that tells when it plays."""
UNREPORTED = Pace(500 * BYTES_PER_MS, 300 * BYTES_PER_MS, 150 * BYTES_PER_MS)
"""For a peer that has not told yet or never does: it may begin 100 ms earlier or 500 ms later than we reckon, and must
neither run dry in the one case nor hold more than 1 s in the other."""


class Heard(msgspec.Struct, frozen=True):
    """How much of one item of the agent reached the caller's ear."""

    item_id: str
    content_index: int
    heard_bytes: int
    received_bytes: int
    done: bool
    """The item's audio is complete; False: it was still being generated."""

    @property
    def heard_ms(self) -> int:
        """Whole milliseconds played, never more than were received."""
        return self.heard_bytes // BYTES_PER_MS

    @property
    def complete(self) -> bool:
        """The caller heard all of it."""
        return self.done and self.heard_bytes == self.received_bytes


class _Item:
    """An item in the stream that goes to Genesys."""

    __slots__ = ("content_index", "done", "item_id", "protected", "stretches")

    def __init__(self, item_id: str, content_index: int, protected: bool) -> None:
        self.item_id = item_id
        self.content_index = content_index
        self.protected = protected
        self.done = False
        self.stretches: list[list[int]] = []  # start and end offsets; more than one when items come interleaved

    @property
    def end(self) -> int:
        return self.stretches[-1][1]

    def heard(self, playhead: int) -> Heard:
        heard = sum(min(max(playhead - start, 0), end - start) for start, end in self.stretches)
        received = sum(end - start for start, end in self.stretches)
        return Heard(self.item_id, self.content_index, heard, received, self.done)

    def shift(self, border: int, by: int) -> None:
        """What stands behind the border moves back, to be played later; what was heard stays where it was."""
        moved: list[list[int]] = []
        for start, end in self.stretches:
            if start < border or end <= border:
                moved.append([start, min(end, border)])
            if end > border:
                moved.append([max(start, border) + by, end + by])
        self.stretches = moved


class Playout:
    """The way of the agent's audio to the caller; all offsets are bytes of PCMU since the start of the call.

    Args:
        largest: Most bytes in one packet, for media that need more than a byte a sample on the wire.
    """

    def __init__(self, largest: int = REPORTED.lead) -> None:
        self.playhead = Playhead()
        self.underruns = 0
        """How often playing stopped in the middle of an answer."""
        self._largest = largest
        self._queue = bytearray()
        self._items: deque[_Item] = deque()
        self._last: _Item | None = None  # whose audio stands at the end of the queue
        self._ended = True
        self._tail_sent = True
        self._added_at = 0.0
        self._recent = bytearray()  # what was sent last
        self._replay = b""  # what was heard last before it was held back
        self.held = False
        """Only protected audio leaves until `go_on` or `interrupt`."""

    # What comes from the Realtime leg.

    def add(self, item_id: str, content_index: int, audio: bytes, now: float, *, protected: bool = False) -> bool:
        """Queue a delta; a protected item cannot be interrupted.

        Returns:
            False when the queue is full: nothing was taken, and the response is to be cancelled.
        """
        queue = self._queue
        if len(queue) + len(audio) > MAX_QUEUED:
            return False
        start = self.total
        item = self._last
        if item is None or item.item_id != item_id:
            item = self._last = self._item(item_id, content_index, protected)
        queue += audio
        if item.stretches and item.end == start:
            item.stretches[-1][1] = start + len(audio)
        else:
            item.stretches.append([start, start + len(audio)])
        item.done = self._ended = False
        self._added_at = now
        return True

    def _item(self, item_id: str, content_index: int, protected: bool) -> _Item:
        for item in self._items:
            if item.item_id == item_id:
                return item
        item = _Item(item_id, content_index, protected)
        self._items.append(item)
        return item

    def finish(self, item_id: str) -> None:
        """No more audio of this item: its tail may leave now."""
        for item in self._items:
            if item.item_id == item_id:
                item.done = True
        self._ended = self._last is None or self._last.done

    def finish_all(self) -> None:
        """No more audio of anything."""
        for item in self._items:
            item.done = True
        self._ended = True

    # What goes to Genesys.

    @property
    def total(self) -> int:
        """Offset behind the last byte queued."""
        return self.playhead.sent + len(self._queue)

    @property
    def queued(self) -> int:
        """Bytes that have not been sent yet."""
        return len(self._queue)

    @property
    def sent(self) -> int:
        """Offset behind the last byte sent."""
        return self.playhead.sent

    def next_packet_at(self, now: float) -> float | None:
        """When the next packet is due (`now` or earlier: at once); None while there is nothing to send."""
        threshold = self._threshold()
        if threshold is None:
            return self._stalled_at()
        if self.playhead.unplayed(now) <= threshold:
            return now
        return self.playhead.reaches(self.playhead.sent - threshold)

    def take(self, now: float) -> bytes | None:
        """Take the packet that is due, if any, and enter it in the ledger as sent now."""
        threshold = self._threshold()
        unplayed = self.playhead.unplayed(now)
        free, ended = self._free()
        if threshold is not None and unplayed <= threshold:
            size = self._size(unplayed)
        elif threshold is None and (stalled := self._stalled_at()) is not None and now >= stalled:
            size = free
        else:
            return None
        packet = bytes(self._queue[:size])
        del self._queue[:size]
        if size < PACKET:
            # Only the lone tail of an answer comes here; silence belongs to no item.
            packet += bytes((SILENCE,)) * (PACKET - size)
        self._recent += packet
        del self._recent[:-KEPT]
        run_begins = self.playhead.send(len(packet), now)
        if run_begins and not self._tail_sent:
            self.underruns += 1
        self._tail_sent = ended and size == free
        return packet

    def _free(self) -> tuple[int, bool]:
        """Bytes of the queue that may leave, and whether something ends with them."""
        if not self.held:
            return len(self._queue), self._ended
        end = self.sent
        for item in self._items:
            for start, stop in item.stretches:
                if item.protected and start <= end < stop:
                    end = stop
        free = end - self.sent
        return free, self._ended or free < len(self._queue)

    def _stalled_at(self) -> float | None:
        """When the beginning of a packet has waited long enough for its rest; None while nothing waits."""
        if not self._free()[0]:
            return None
        return max(self._added_at + STALLED, self.playhead.reaches(self.playhead.sent))

    @property
    def _pace(self) -> Pace:
        return REPORTED if self.playhead.reports else UNREPORTED

    def _threshold(self) -> int | None:
        """The next packet leaves when no more than this is un-played; None = there is none to send."""
        queued, ended = self._free()
        if not queued or (queued < PACKET and not ended):
            return None
        pace = self._pace
        if not ended:
            return pace.late if queued < 2 * PACKET else pace.refill
        if queued < 2 * PACKET:
            return min(pace.refill, pace.lead - queued)  # the whole tail in one packet
        if queued < 3 * PACKET:
            return min(pace.refill, pace.lead + pace.refill - queued)  # as much as lets the tail fit early
        return pace.refill

    def _size(self, unplayed: int) -> int:
        """Bytes of the packet to send when so much is un-played, which is no more than the threshold."""
        queued, ended = self._free()
        room = min(self._pace.lead - unplayed, self._largest)
        if ended:
            return queued if queued <= room else min(room, queued - PACKET)
        return PACKET if queued < 2 * PACKET else min(room, queued - PACKET) // PACKET * PACKET

    # What the call wants to know.

    def at_genesys(self, now: float) -> bool:
        """Genesys may still be playing something, or is about to: a `barge_in` has an effect."""
        return self.playhead.playing(now)

    def spares(self, now: float) -> bool:
        """Genesys has protected audio to play, and may not be told to flush."""
        playhead = self.playhead.at(now + self.playhead.way)
        stretches = (stretch for item in self._items if item.protected for stretch in item.stretches)
        return any(start < self.sent and end > playhead for start, end in stretches)

    def heard_ms(self, item_id: str, now: float) -> int:
        """Milliseconds of an item that were played, as reckoned, while it is in the ledger; 0 for any other."""
        playhead = self.playhead.at(now)
        return sum(item.heard(playhead).heard_ms for item in self._items if item.item_id == item_id)

    def begun(self, item_id: str) -> bool | None:
        """Some of the item has left for Genesys; None for an item that is over, or was never here."""
        return next((item.stretches[0][0] < self.sent for item in self._items if item.item_id == item_id), None)

    def waiting(self) -> list[str]:
        """The items that have not been heard to their end, in their order."""
        return [item.item_id for item in self._items]

    def unplayed(self, now: float) -> int:
        """Bytes sent that the caller has not heard yet, as reckoned."""
        return self.playhead.unplayed(now)

    def played_at(self) -> float:
        """When all that was sent is played, as reckoned; in the past if it is."""
        return self.playhead.reaches(self.playhead.sent)

    def interrupt(self, now: float, *, everything: bool = False) -> list[Heard]:
        """Forget what is un-played and not protected: the caller spoke, and Genesys is being told to flush.

        While Genesys has protected audio to play (`spares`) it is not told, and what was sent behind it is heard, too.

        Args:
            now: Monotonic seconds.
            everything: Protected audio is forgotten, too: the call is over.

        Returns:
            The items that will not be heard to their end, in the order of the conversation.
        """
        spares = self.spares(now) and not everything
        border = self.sent if spares else self.playhead.at(now + self.playhead.way)
        cut: list[Heard] = []
        kept: deque[_Item] = deque()
        for item in self._items:
            heard = item.heard(border)
            if heard.complete or (item.protected and not everything):
                kept.append(item)
            else:
                cut.append(heard)
        self._items = kept
        self._keep_protected()
        if not spares:
            self.playhead.flush(now)
        self.held = False
        self._replay = b""
        return cut

    def _keep_protected(self) -> None:
        """Only what is still in the ledger stays in the queue."""
        queue, sent = bytearray(), self.sent
        for item in self._items:
            kept: list[list[int]] = []
            for start, end in item.stretches:
                if start < sent or end <= sent:
                    kept.append([start, min(end, sent)])
                if end > sent:
                    begin = sent + len(queue)
                    queue += self._queue[max(start - sent, 0) : end - sent]
                    kept.append([begin, sent + len(queue)])
            item.stretches = kept
        self._queue = queue
        self._last = self._items[-1] if self._items else None
        self._ended = self._last is None or self._last.done
        self._tail_sent = True

    def hold_back(self, now: float) -> list[Heard]:
        """Fall silent for now: the caller may have interrupted, and Genesys is being told to flush.

        What was sent and not heard goes back to the queue, and nothing but protected audio leaves until `go_on` or
        `interrupt`. While Genesys has protected audio to play it is not told to flush, as for `interrupt`.

        Returns:
            The items that are cut as things stand, in the order of the conversation.
        """
        playhead = self.playhead.at(now + self.playhead.way)
        cut = [item.heard(playhead) for item in self._items if not item.protected]
        if not self.spares(now):
            self._take_back(playhead)
            self.playhead.flush(now)
        self.held = True
        self._tail_sent = True
        return [heard for heard in cut if not heard.complete]

    def _take_back(self, playhead: int) -> None:
        """Put what was sent and not heard in front of the queue, and keep what was heard of the item that is cut."""
        unheard = min(self.sent - playhead, len(self._recent))
        playhead = self.sent - unheard
        stretches = (stretch for item in self._items for stretch in item.stretches)
        begin = next((start for start, end in stretches if start < playhead < end), playhead)
        heard = len(self._recent) - unheard
        self._replay = bytes(self._recent[max(heard - min(playhead - begin, REPLAYED), 0) : heard])
        self._put_in_front(playhead, bytes(self._recent[heard:]))
        del self._recent[heard:]

    def _put_in_front(self, border: int, audio: bytes) -> None:
        self._queue[:0] = audio
        for item in self._items:
            item.shift(border, len(audio))

    def go_on(self) -> bool:
        """Nobody interrupted: play what was held back, from a little before the cut; says whether anything was.

        The repetition belongs to no item: what was heard once counts once.
        """
        waits = self._free()[0] < len(self._queue)
        replay, self._replay = self._replay, b""
        self._put_in_front(self.sent, replay)
        self.held = False
        return waits

    def settle(self, now: float) -> list[Heard]:
        """Items that have been heard to their end since the last call, in order; they leave the ledger."""
        settled: list[Heard] = []
        while self._items and self._items[0].done:
            playhead = self.playhead.at(now)
            if self._items[0].end > playhead:
                break
            item = self._items.popleft()
            settled.append(item.heard(playhead))
            if item is self._last:
                self._last = None
        return settled

    def next_settle_at(self) -> float | None:
        """When the first item of the ledger will have been heard to its end, as reckoned."""
        if not self._items or not self._items[0].done or self._items[0].end > self.playhead.sent:
            return None
        return self.playhead.reaches(self._items[0].end)

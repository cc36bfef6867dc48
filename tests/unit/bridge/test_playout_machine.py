"""Playout under any order of deltas, time, reports and interruptions, against a plain model of Genesys' queue."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from offhook.audio import SILENCE
from offhook.bridge.playout import PACKET
from tests.unit.bridge.playing import Playing

MS = 8


class PlayoutMachine(RuleBasedStateMachine):
    """What was queued comes out once, in order; what was cut never; never more than 1 s ahead; heard is known."""

    def __init__(self) -> None:
        super().__init__()
        self.playing = Playing()
        self.queued: list[tuple[str, bytes]] = []  # since the last interruption
        self.packets_before = 0
        self.item = 0
        self.generated: dict[str, int] = {}
        self.heard: dict[str, int] = {}
        self.finished: set[str] = set()
        self.byte = 0

    @initialize(start_delay=st.sampled_from((0.0, 0.05, 0.2, 0.6)), reports=st.booleans())
    def begin(self, start_delay: float, reports: bool) -> None:
        self.playing = Playing(start_delay, reports=reports, report_delay=0.02)

    @rule(length=st.integers(1, 12_000))
    def delta(self, length: int) -> None:
        self.byte = (self.byte + 1) % 250
        audio = bytes((self.byte,)) * length
        name = f"i{self.item}"
        self.queued.append((name, audio))
        self.generated[name] = self.generated.get(name, 0) + length
        self.playing.add(audio, name)

    @rule()
    def item_done(self) -> None:
        name = f"i{self.item}"
        self.playing.finish(name)
        self.finished.add(name)
        self.item += 1

    @rule(milliseconds=st.integers(1, 3000))
    def time(self, milliseconds: int) -> None:
        self.playing.advance(milliseconds / 1000)

    @rule()
    def interrupt(self) -> None:
        self.check_sent()
        for cut in self.playing.interrupt():
            assert cut.item_id not in self.heard, "settled before, or cut twice"
            self.heard[cut.item_id] = cut.heard_bytes
            assert cut.received_bytes == self.generated[cut.item_id]
        self.queued.clear()
        self.packets_before = len(self.playing.packets)
        self.item += 1
        before = self.playing.sent
        self.playing.advance(0.5)
        assert self.playing.sent == before, "nothing of what was cut leaves later"

    @invariant()
    def bounded(self) -> None:
        assert self.playing.most_unplayed <= 1000 * MS
        assert all(PACKET <= len(packet) <= 800 * MS for _, packet in self.playing.packets)
        for settled in self.playing.settled:
            assert settled.complete
            assert settled.received_bytes == self.generated[settled.item_id]
            assert settled.item_id in self.finished
            self.heard[settled.item_id] = settled.heard_bytes
        self.playing.settled.clear()

    @invariant()
    def check_sent(self) -> None:
        """What left is what was queued, and silence only behind the tail of an item that was done."""
        sent = b"".join(packet for _, packet in self.playing.packets[self.packets_before :])
        wanted = b"".join(audio for _, audio in self.queued)
        spoken = sent.replace(bytes((SILENCE,)), b"")
        assert wanted.startswith(spoken)
        assert len(wanted) - len(spoken) == self.playing.playout.queued

    def teardown(self) -> None:
        self.item_done()
        self.playing.advance(400)
        assert self.playing.playout.queued == 0
        assert self.playing.playback.unplayed == 0
        self.bounded()
        self.check_sent()
        assert set(self.heard) == set(self.generated)


TestPlayoutMachine = PlayoutMachine.TestCase
TestPlayoutMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

"""How long the caller has been speaking, by the loudness of their audio.

The server tells that speech began, some 100 ms late, and that it ended, after half a second of quiet or more. In
between, a cough and a sentence look the same. So the loudness is measured here, on the server's clock (the audio sent
to it): a block is loud when it comes near the loudest since speech began and stands out from the noise before it.
"""

from collections import deque

from offhook.audio import BYTES_PER_MS, dbfs

BLOCK_MS = 10
_BLOCK = BLOCK_MS * BYTES_PER_MS
REMEMBERED_MS = 3_000
"""How far back the beginning of speech may lie when the server tells of it."""
DYNAMICS_DB = 20.0
"""How much quieter than the loudest block speech may be."""
AUDIBLE_DBFS = -60.0
"""What is quieter is silence, whatever came before."""
DENSITY = 0.4
"""Part of the time that is loud in speech, at least; clicks of a bad line are far apart."""


class CallerVoice:
    """The loudness of everything that was sent to the server."""

    def __init__(self) -> None:
        self._rest = b""
        self._blocks = 0
        self._levels: deque[float] = deque(maxlen=REMEMBERED_MS // BLOCK_MS)
        self._noise = self._peak = AUDIBLE_DBFS
        self._first: int | None = None  # loud block since speech began
        self._behind = 0  # the last loud one
        self._loud = 0

    def hear(self, audio: bytes) -> None:
        """8 kHz µ-law on its way to the server, every byte of it."""
        data = self._rest + audio
        whole = len(data) - len(data) % _BLOCK
        self._rest = data[whole:]
        for at in range(0, whole, _BLOCK):
            level = dbfs(data[at : at + _BLOCK])
            self._levels.append(level)
            self._judge(self._blocks, level)
            self._blocks += 1

    def begin(self, onset_ms: float) -> None:
        """The server heard speech begin.

        Args:
            onset_ms: Where, in milliseconds of the audio sent; what cannot be true is taken for "just now".
        """
        oldest = self._blocks - len(self._levels)
        onset = int(onset_ms // BLOCK_MS)
        if not oldest <= onset < self._blocks:
            onset = self._blocks
        levels = list(self._levels)
        before, since = sorted(levels[: onset - oldest]), levels[onset - oldest :]
        self._noise = before[len(before) // 2] if before else AUDIBLE_DBFS
        self._peak = AUDIBLE_DBFS
        self._first, self._loud = None, 0
        for block, level in enumerate(since, onset):
            self._judge(block, level)

    @property
    def spoken(self) -> float:
        """Seconds from the first that was loud to the last; pauses count, unless there is little but pauses."""
        if self._first is None:
            return 0.0
        return min(self._behind - self._first, self._loud / DENSITY) * BLOCK_MS / 1000

    def _judge(self, block: int, level: float) -> None:
        self._peak = max(self._peak, level)
        if level >= max(AUDIBLE_DBFS, self._peak - DYNAMICS_DB, (self._peak + self._noise) / 2):
            self._first = block if self._first is None else self._first
            self._behind = block + 1
            self._loud += 1

"""The call as a stereo recording: the caller left as sent, the agent right as played, sample by sample."""

from collections.abc import Iterable

from offhook.audio.ulaw import SAMPLE_RATE, SILENCE
from offhook.audio.wav import write_wav
from offhook.simulator.caller import CallerFrame
from offhook.simulator.playback import PlayedRun


def stereo(frames: Iterable[CallerFrame], runs: Iterable[PlayedRun], *, zero: float) -> bytes:
    """Return a µ-law WAV file.

    Args:
        frames: what was sent of the caller's line; the gaps of pauses are silence.
        runs: what was played to the caller.
        zero: monotonic seconds of the line's first sample.
    """
    caller = _track((frame.position, frame.audio) for frame in frames)
    agent = _track((round((run.at - zero) * SAMPLE_RATE), run.audio) for run in runs)
    return write_wav(caller, agent)


def _track(pieces: Iterable[tuple[int, bytes]]) -> bytes:
    track = bytearray()
    for position, audio in pieces:
        if len(track) < position:
            track += bytes([SILENCE]) * (position - len(track))
        track[position : position + len(audio)] = audio
    return bytes(track)

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.emulator.bursts import cut_arguments, cut_audio, cut_text
from offhook.emulator.formats import BYTES_PER_SAMPLE, PCM, PCMA, PCMU


@given(st.binary(max_size=60_000), st.integers(), st.sampled_from([PCM, PCMU, PCMA]), st.sampled_from([None, False]))
def test_audio_pieces_join_to_the_whole_and_hold_whole_samples(
    audio: bytes, seed: int, kind: str, single: bool | None
) -> None:
    audio = audio[: len(audio) // 2 * 2]
    pieces = cut_audio(audio, random.Random(seed), kind=kind, single=single)
    assert b"".join(pieces) == audio
    assert all(pieces)
    assert all(len(piece) % BYTES_PER_SAMPLE[kind] == 0 for piece in pieces)


def test_sizes_are_odd_and_sometimes_a_single_sample_or_everything() -> None:
    audio = bytes(80_000)
    cuts = [cut_audio(audio, random.Random(seed), kind=PCMU) for seed in range(60)]
    sizes = {len(piece) for cut in cuts for piece in cut}
    assert any(size % 160 for size in sizes)
    assert 1 in sizes
    assert 80_000 in sizes


@pytest.mark.parametrize(("single", "count"), [(True, 1), (None, 0)])
def test_a_single_delta_can_be_had_and_nothing_gives_nothing(single: bool | None, count: int) -> None:
    audio = bytes(9000 * count)
    assert len(cut_audio(audio, random.Random(1), kind=PCMU, single=single)) == count
    assert cut_audio(b"", random.Random(1), kind=PCMU, single=True) == []


@given(st.text(alphabet="ab ", max_size=80), st.integers())
def test_text_pieces_join_to_the_whole(text: str, seed: int) -> None:
    pieces = cut_text(text, random.Random(seed))
    assert "".join(pieces) == text
    assert all(pieces)


@given(st.text(max_size=40), st.integers())
def test_argument_pieces_join_to_the_whole(text: str, seed: int) -> None:
    pieces = cut_arguments(text, random.Random(seed))
    assert "".join(pieces) == text
    assert all(pieces)
    assert len(pieces) >= min(2, len(text))

import pytest

from offhook.audio import ulaw
from offhook.audiohook import PCMU_MONO, FrameDecoder, Media, choose_media, decode_frame, encode_frame


def media(format_: str = "PCMU", *channels: str, rate: int = 8000, type_: str = "audio") -> Media:
    return Media(type_, format_, channels or ("external",), rate)


STEREO = media("PCMU", "internal", "external")
L16 = media("L16")
L16_STEREO = media("L16", "internal", "external")


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([PCMU_MONO], PCMU_MONO),
        ([L16, STEREO, PCMU_MONO], PCMU_MONO),
        ([L16_STEREO, L16, STEREO], STEREO),
        ([L16_STEREO, L16], L16),
        ([L16_STEREO], L16_STEREO),
        ([media("PCMU", "internal"), STEREO], STEREO),
        ([media("PCMU", "internal")], None),
        ([media("opus"), media(rate=16000), media(type_="video")], None),
        ([media("PCMU", *["external"] * 9)], None),
        ([], None),
    ],
)
def test_the_best_offer_is_taken(offers: list[Media], chosen: Media | None) -> None:
    assert choose_media(offers) is chosen


def test_the_first_of_equal_offers_is_taken() -> None:
    """Trap 31."""
    other = media("PCMU", "external", "internal")
    assert choose_media([STEREO, other]) is STEREO
    assert choose_media([other, STEREO]) is other


def test_mono_pcmu_is_not_touched() -> None:
    data = bytes(range(256))
    assert decode_frame(PCMU_MONO, data) is data
    assert encode_frame(PCMU_MONO, data) is data


def test_the_callers_channel_is_taken_out() -> None:
    assert decode_frame(STEREO, b"aAbBcC") == b"ABC"
    assert decode_frame(STEREO, b"aAbBc") == b"AB"
    assert decode_frame(media("PCMU", "left", "right"), b"aAbB") == b"ab"


@pytest.mark.parametrize("chosen", [PCMU_MONO, STEREO, L16, L16_STEREO])
def test_audio_survives_the_way_there_and_back(chosen: Media) -> None:
    audio = bytes(range(128)) + bytes(range(128, 256))
    back = decode_frame(chosen, encode_frame(chosen, audio))
    assert ulaw.decode(back) == ulaw.decode(audio)  # 0x7F and 0xFF are both zero


def test_l16_is_little_endian() -> None:
    assert decode_frame(L16, b"\x00\x10") == ulaw.encode(b"\x00\x10")
    assert decode_frame(L16_STEREO, b"\x34\x12\x00\x10\xff") == ulaw.encode(b"\x00\x10")


@pytest.mark.parametrize("chosen", [STEREO, L16, L16_STEREO])
def test_frames_may_be_cut_anywhere(chosen: Media) -> None:
    audio = bytes(range(200))
    data = encode_frame(chosen, audio)
    for size in (1, 3, 7, 1000):
        decoder = FrameDecoder(chosen)
        parts = [decoder.decode(data[i : i + size]) for i in range(0, len(data), size)]
        assert b"".join(parts) == decode_frame(chosen, data)

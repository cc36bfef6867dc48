"""What was heard is known by its bytes; dead air begins and ends where nobody is heard while an answer is owed."""

import pytest

from offhook.audio import silence
from offhook.bench.hearing import Gap, Pause, Repertoire, Said, Stretch, dead_air
from offhook.bench.talk import ANSWERS, BRIDGES, LONG, LOOKING
from offhook.emulator.script import GREETING
from offhook.simulator.playback import PlayedRun
from offhook.speech import Speech

SPEECH = Speech(synthesiser=None)
REPERTOIRE = Repertoire(SPEECH, ANSWERS, BRIDGES)
ANSWER, BRIDGE = SPEECH.clip(GREETING), SPEECH.clip(LOOKING)
RECORDING = SPEECH.clip("One moment, please.")


def heard(*runs: tuple[float, bytes]) -> list[tuple[float, float, str]]:
    found = REPERTOIRE.stretches([PlayedRun(100 + at, audio) for at, audio in runs], 100.0)
    return [(round(part.start, 1), round(part.end, 1), part.what) for part in found]


def test_every_text_has_a_clip_with_an_end_of_its_own() -> None:
    texts = [*ANSWERS, *BRIDGES]
    assert len({SPEECH.clip(text)[-400:] for text in texts}) == len(texts)
    for text in ANSWERS:
        assert REPERTOIRE.end_of(SPEECH.clip(text) + silence(150)) == "answer"
    for text in BRIDGES:
        assert REPERTOIRE.end_of(SPEECH.clip(text)) == "bridge"


def test_what_was_heard() -> None:
    assert heard((0.0, ANSWER + silence(100))) == [(0.0, 1.8, "answer")]
    assert heard((1.0, ANSWER[:8000])) == [(1.0, 2.0, "cut")]
    assert heard((0.0, BRIDGE)) == [(0.0, 0.7, "bridge")]
    assert heard((0.0, RECORDING)) == [(0.0, 1.4, "recording")]
    assert heard((0.0, silence(500))) == []
    # A bridge and the answer behind it are one stretch, and its end is what counts.
    assert [what for _, _, what in heard((0.0, BRIDGE + ANSWER))] == ["answer"]
    assert [what for _, _, what in heard((0.0, ANSWER + silence(3000) + ANSWER[:8000]))] == ["answer", "cut"]


def test_an_answer_may_come_in_pieces() -> None:
    assert heard((0.0, ANSWER[:-200]), (2.0, ANSWER[-200:] + silence(175)))[-1][2] == "answer"
    assert heard((0.0, ANSWER[:8000]), (4.0, ANSWER[8000:])) == [(0.0, 1.0, "cut"), (4.0, 4.8, "answer")]


def test_pauses_within_an_answer_do_not_split_it() -> None:
    assert len(heard((0.0, SPEECH.clip(LONG)))) == 1


def gaps(*parts: Stretch | Said | Pause, ended: float = 20.0) -> list[tuple[float, float, str, str]]:
    found = dead_air(
        opened=0.0,
        ended=ended,
        heard=[part for part in parts if isinstance(part, Stretch)],
        said=[part for part in parts if isinstance(part, Said)],
        pauses=[part for part in parts if isinstance(part, Pause)],
    )
    return [(gap.at, round(gap.seconds, 6), gap.after, gap.until) for gap in found]


GREETED = Stretch(1.0, 2.0, "answer")


def test_the_greeting_is_owed_from_the_beginning() -> None:
    assert gaps(GREETED) == [(0.0, 1.0, "opened", "answer")]
    assert gaps(ended=3.0) == [(0.0, 3.0, "opened", "end")]
    assert gaps(Said(0.0, 4.0), ended=5.0) == [(4.0, 1.0, "caller", "end")]


def test_after_an_answer_it_is_the_callers_turn() -> None:
    assert gaps(GREETED, Said(9.0, 10.0), Stretch(10.5, 12.0, "answer")) == [
        (0.0, 1.0, "opened", "answer"),
        (10.0, 0.5, "caller", "answer"),
    ]


@pytest.mark.parametrize(
    ("what", "after"), [("cut", "agent"), ("bridge", "announcement"), ("recording", "announcement")]
)
def test_what_is_no_answer_settles_nothing(what: str, after: str) -> None:
    unsettled = Stretch(1.0, 2.0, what)  # type: ignore[arg-type]
    found = gaps(unsettled, Stretch(7.0, 8.0, "answer"))
    assert found[-1] == (2.0, 5.0, after, "answer")
    assert Gap(2.0, 5.0, after, "answer").announced == (after == "announcement")  # type: ignore[arg-type]


def test_a_recording_ends_dead_air_and_more_may_follow() -> None:
    assert gaps(GREETED, Said(3.0, 4.0), Stretch(7.0, 8.0, "recording"), Stretch(13.0, 14.0, "answer"))[1:] == [
        (4.0, 3.0, "caller", "recording"),
        (8.0, 5.0, "announcement", "answer"),
    ]


def test_a_caller_who_interrupts_is_owed_an_answer_from_their_last_word() -> None:
    assert gaps(GREETED, Stretch(4.0, 5.3, "cut"), Said(5.0, 6.0), Stretch(7.0, 8.0, "answer"))[1:] == [
        (6.0, 1.0, "caller", "answer")
    ]


def test_keys_are_a_turn() -> None:
    assert gaps(GREETED, Said(3.0, 3.0), Said(3.2, 3.2), Stretch(5.0, 6.0, "answer"))[1:] == [
        (3.0, 0.2, "caller", "caller"),
        (3.2, 1.8, "caller", "answer"),
    ]


def test_nobody_owes_an_answer_to_what_was_lost() -> None:
    assert gaps(GREETED, Said(3.0, 4.0, lost=True), Said(9.0, 10.0), Stretch(11.0, 12.0, "answer"))[1:] == [
        (10.0, 1.0, "caller", "answer")
    ]


def test_pauses_do_not_count() -> None:
    said = Said(3.0, 4.0)
    answer = Stretch(12.0, 13.0, "answer")
    assert gaps(GREETED, said, answer, Pause(5.0, 8.0))[1:] == [
        (4.0, 1.0, "caller", "pause"),
        (8.0, 4.0, "pause", "answer"),
    ]
    assert gaps(GREETED, said, answer, Pause(3.5, 6.0), Pause(0.0, 0.5), Pause(14.0, 15.0))[1:] == [
        (6.0, 6.0, "pause", "answer")
    ]
    assert gaps(GREETED, said, Pause(3.0, float("inf")))[1:] == []


def test_nothing_counts_after_the_end() -> None:
    assert gaps(GREETED, Said(3.0, 4.0), Stretch(30.0, 31.0, "answer"), ended=6.0)[1:] == [
        (4.0, 2.0, "caller", "answer")
    ]

"""Which sounds interrupt and which turns are answered: every step of the table, every order of what is told."""

from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge.interruptions import (
    COMMIT_WAIT,
    EAGERNESS,
    LATENESS,
    MAX_TURNS,
    SHORTEST,
    SURE,
    TABLE,
    WORDS_WAIT,
    Finding,
    Interruptions,
    TurnState,
    Verdict,
)
from offhook.bridge.plan import BargeIn
from tests.unit.bridge.test_caller_voice import silence, sound

VAD = rt.ServerVad(prefix_padding_ms=300, silence_duration_ms=500)
STOP, STAND, GO_ON, IGNORE, PASSED, ANSWER = Verdict


class Judge:
    """The caller makes sounds over an agent that is speaking, unless `busy` is False."""

    def __init__(
        self, *, min_speech: float = 0.0, resume: bool = False, transcribes: bool = True, detection: Any = VAD
    ) -> None:
        self.it = Interruptions(BargeIn(min_speech=min_speech, resume=resume), detection, transcribes=transcribes)
        self.now = 100.0
        self.clock = 0  # milliseconds of audio sent
        self.onset = 0
        self.busy = True

    def hear(self, audio: bytes, frame: int = 800) -> list[Verdict]:
        for at in range(0, len(audio), frame):
            piece = audio[at : at + frame]
            self.it.hear(piece)
            self.clock += len(piece) // 8
            self.now += len(piece) / 8000
            self.it.handle_timer(self.now)
        return self.verdicts()

    def start(self, item: str = "u1", *, ago: int = 100) -> list[Verdict]:
        """The server tells of speech that began so many milliseconds ago."""
        self.onset = self.clock - ago
        self.it.started(item, self.onset - 300, self.now, busy=self.busy)
        return self.verdicts()

    def stop(self, item: str = "u1", *, spoken: int) -> list[Verdict]:
        """The server tells that it was so many milliseconds of speech."""
        self.it.stopped(item, self.onset + spoken + 500, self.now)
        return self.verdicts()

    def commit(self, item: str = "u1") -> list[Verdict]:
        self.it.committed(item, self.now, busy=self.busy)
        return self.verdicts()

    def words(self, text: str, item: str = "u1", *, complete: bool = True) -> list[Verdict]:
        self.it.transcribed(item, text, self.now, complete=complete)
        return self.verdicts()

    def wait(self, seconds: float) -> list[Verdict]:
        self.now += seconds
        self.it.handle_timer(self.now)
        return self.verdicts()

    def due(self) -> float:
        due = self.it.next_timer()
        assert due is not None
        return due

    def verdicts(self) -> list[Verdict]:
        return [verdict for verdict, _ in self.it.verdicts()]


def test_the_table_is_complete_and_leads_to_an_end() -> None:
    assert set(TABLE) == {
        (TurnState.PASSING, Finding.LONG),
        (TurnState.PASSING, Finding.SPEECH),
        (TurnState.PASSING, Finding.NOISE),
        (TurnState.DOUBTFUL, Finding.SPEECH),
        (TurnState.DOUBTFUL, Finding.NOISE),
    }


class TestSilentAgent:
    @pytest.mark.parametrize("spoken", [50, 300, 2000])
    def test_a_turn_is_a_turn(self, spoken: int) -> None:
        judge = Judge(min_speech=0.5, resume=True)
        judge.busy = False
        assert judge.start() == []
        assert judge.stop(spoken=spoken) == []
        assert judge.commit() == [ANSWER]
        assert judge.words("") == []
        assert judge.it.next_timer() is None

    def test_one_that_was_not_announced(self) -> None:
        assert Judge(resume=True).commit("x") == [ANSWER]


class TestAtOnce:
    """Something is protected, or everything has to be decided here; there is nothing to judge."""

    def test_stop_and_answer(self) -> None:
        judge = Judge()
        assert judge.start() == [STOP]
        assert judge.stop(spoken=80) == []
        assert judge.commit() == [ANSWER]
        assert judge.words("") == []

    def test_a_sound_that_is_never_committed(self) -> None:
        judge = Judge()
        judge.start()
        judge.it.owe()
        judge.stop(spoken=80)
        assert judge.it.next_timer() == pytest.approx(judge.now + COMMIT_WAIT)
        assert judge.wait(COMMIT_WAIT) == [ANSWER], "what was taken back for it is asked for again"
        assert judge.it.next_timer() is None


class TestMinimumSpeech:
    def test_a_cough_stops_nothing_and_is_ignored(self) -> None:
        judge = Judge(min_speech=0.3)
        judge.hear(silence(500) + sound(100, -20))
        assert judge.start() == []
        assert judge.hear(sound(150, -20) + silence(700)) == []
        assert judge.stop(spoken=250) == []
        assert judge.commit() == []
        assert judge.words("") == [IGNORE]
        assert judge.it.next_timer() is None

    def test_speech_stops_the_agent_when_it_has_lasted(self) -> None:
        judge = Judge(min_speech=0.3)
        judge.hear(silence(500) + sound(100, -20))
        judge.start()
        assert judge.hear(sound(180, -20), frame=160) == []
        assert judge.hear(sound(40, -20), frame=160) == [STOP]
        assert judge.hear(sound(2000, -20)) == []
        judge.stop(spoken=2300)
        assert judge.commit() == [ANSWER]

    def test_what_was_long_enough_when_it_is_told_of(self) -> None:
        judge = Judge(min_speech=0.3)
        judge.hear(silence(500) + sound(400, -20))
        assert judge.start(ago=400) == [STOP]

    def test_a_sound_that_the_server_does_not_end(self) -> None:
        """What is too quiet for us, or no audio at all: the server would have told if it had been short."""
        judge = Judge(min_speech=0.3)
        judge.start()
        due = judge.due()
        assert due == pytest.approx(judge.now + 0.3 + 0.5 + LATENESS)
        assert judge.wait(due - judge.now - 0.01) == []
        judge.now = due
        assert judge.wait(0) == [STOP]
        assert judge.it.next_timer() is None

    def test_the_server_heard_more_of_it(self) -> None:
        judge = Judge(min_speech=0.3)
        judge.start()
        assert judge.stop(spoken=400) == [STOP]
        assert judge.commit() == [ANSWER]

    def test_the_servers_measure_is_coarse(self) -> None:
        judge = Judge(min_speech=0.3)
        judge.start()
        assert judge.stop(spoken=int(SHORTEST * 1000) - 10) == []

    def test_words_in_passing_stay_and_are_not_answered(self) -> None:
        judge = Judge(min_speech=0.5)
        judge.start()
        judge.stop(spoken=200)
        assert judge.commit() == []
        assert judge.words("mhm", complete=False) == [PASSED]
        assert judge.words("mhm") == []

    def test_words_that_were_there_before_the_commit(self) -> None:
        judge = Judge(min_speech=0.5)
        judge.start()
        judge.stop(spoken=200)
        assert judge.words(" ...", complete=False) == []
        assert judge.words("no") == []
        assert judge.commit() == [PASSED]

    def test_the_agent_has_fallen_silent_meanwhile(self) -> None:
        judge = Judge(min_speech=0.5)
        judge.start()
        judge.stop(spoken=200)
        judge.busy = False
        assert judge.commit() == [ANSWER]

    def test_no_transcript_in_time(self) -> None:
        judge = Judge(min_speech=0.5)
        judge.start()
        judge.stop(spoken=200)
        judge.commit()
        assert judge.it.next_timer() == pytest.approx(judge.now + WORDS_WAIT)
        assert judge.wait(1.1) == []
        assert judge.wait(0.2) == [IGNORE]

    def test_no_transcription_at_all(self) -> None:
        judge = Judge(min_speech=0.5, transcribes=False)
        judge.start()
        judge.stop(spoken=200)
        assert judge.commit() == [IGNORE]


class TestResume:
    def test_a_false_alarm(self) -> None:
        judge = Judge(resume=True)
        assert judge.start() == [STOP]
        assert judge.stop(spoken=250) == []
        assert judge.commit() == []
        assert judge.words("") == [IGNORE, GO_ON]

    @pytest.mark.parametrize("text", ["", " ", "...", "♪"])
    def test_what_is_no_word(self, text: str) -> None:
        judge = Judge(resume=True)
        judge.start()
        judge.stop(spoken=800)
        judge.commit()
        assert judge.words(text) == [IGNORE, GO_ON]

    @pytest.mark.parametrize("text", ["No", "42", "да", "好"])
    def test_what_is(self, text: str) -> None:
        judge = Judge(resume=True)
        judge.start()
        judge.stop(spoken=150)
        judge.commit()
        assert judge.words(text, complete=False) == [STAND, ANSWER]

    def test_words_before_the_commit(self) -> None:
        judge = Judge(resume=True)
        judge.start()
        assert judge.words("Stop", complete=False) == [STAND]
        judge.stop(spoken=300)
        assert judge.commit() == [ANSWER]

    def test_a_transcript_without_words_before_the_commit(self) -> None:
        judge = Judge(resume=True)
        judge.start()
        judge.stop(spoken=300)
        assert judge.words("") == []
        assert judge.commit() == [IGNORE, GO_ON]

    def test_a_second_of_speech_is_no_noise(self) -> None:
        judge = Judge(resume=True)
        judge.start()
        assert judge.stop(spoken=int(SURE * 1000)) == [STAND]
        assert judge.words("") == []
        assert judge.commit() == [ANSWER]

    def test_known_while_they_are_speaking(self) -> None:
        judge = Judge(resume=True)
        judge.hear(silence(500) + sound(100, -20))
        assert judge.start() == [STOP]
        assert judge.hear(sound(850, -20)) == []
        assert judge.hear(sound(100, -20)) == [STAND]

    def test_the_server_does_not_end_it(self) -> None:
        judge = Judge(resume=True)
        judge.start()
        due = judge.due()
        assert due == pytest.approx(judge.now + SURE + 0.5 + LATENESS)
        judge.now = due
        assert judge.wait(0) == [STAND]
        assert judge.it.next_timer() is None

    @pytest.mark.parametrize(
        ("min_speech", "spoken", "speech"), [(0.0, 390, False), (0.0, 410, True), (0.5, 490, False), (0.5, 510, True)]
    )
    @pytest.mark.parametrize("transcribes", [True, False])
    def test_by_duration(self, min_speech: float, spoken: int, speech: bool, transcribes: bool) -> None:
        judge = Judge(min_speech=min_speech, resume=True, transcribes=transcribes)
        judge.hear(silence(500) + sound(520, -20))
        assert judge.start(ago=520) == [STOP]
        judge.stop(spoken=spoken)
        found = judge.commit() + judge.wait(WORDS_WAIT)
        assert found == ([STAND, ANSWER] if speech else [IGNORE, GO_ON])

    def test_no_commit_comes(self) -> None:
        judge = Judge(resume=True)
        judge.start()
        judge.stop(spoken=300)
        assert judge.wait(COMMIT_WAIT) == [GO_ON]

    def test_a_minimum_before_the_doubt(self) -> None:
        judge = Judge(min_speech=0.3, resume=True)
        judge.hear(silence(500) + sound(100, -20))
        assert judge.start() == []
        assert judge.hear(sound(250, -20)) == [STOP]
        assert judge.hear(silence(500)) == []
        judge.stop(spoken=350)
        judge.commit()
        assert judge.words("") == [IGNORE, GO_ON]


class TestSeveral:
    def test_the_agent_waits_for_the_last_doubt(self) -> None:
        judge = Judge(resume=True)
        judge.start("u1")
        judge.stop("u1", spoken=200)
        judge.commit("u1")
        assert judge.start("u2") == [STOP]
        assert judge.words("", "u1") == [IGNORE]
        judge.stop("u2", spoken=200)
        judge.commit("u2")
        assert judge.words("", "u2") == [IGNORE, GO_ON]

    def test_an_answer_waits_for_the_end_of_what_is_being_said(self) -> None:
        judge = Judge(resume=True)
        judge.start("u1")
        judge.stop("u1", spoken=200)
        judge.commit("u1")
        judge.start("u2")
        assert judge.words("Well", "u1") == [STAND]
        judge.stop("u2", spoken=200)
        assert judge.commit("u2") == []
        assert judge.words("", "u2") == [IGNORE, ANSWER]

    def test_one_answer_for_all_that_was_said(self) -> None:
        judge = Judge(resume=True)
        judge.start("u1")
        judge.stop("u1", spoken=200)
        judge.commit("u1")
        judge.start("u2")
        assert judge.stop("u2", spoken=1500) == [STAND]
        assert judge.commit("u2") == [ANSWER]
        assert judge.words("Well", "u1") == []
        assert judge.it.next_timer() is None

    def test_a_sound_that_is_followed_by_another_without_an_end(self) -> None:
        judge = Judge(resume=True, min_speech=0.3)
        judge.start("u1")
        assert judge.wait(0.3 + 0.5 + LATENESS + 0.01) == [STOP]
        assert judge.start("u2") == [GO_ON]
        assert judge.commit("u1") == [ANSWER]

    def test_several_run_out_together(self) -> None:
        judge = Judge(resume=True)
        for item in ("u1", "u2"):
            judge.start(item)
            judge.stop(item, spoken=600)
            judge.commit(item)
        assert judge.wait(WORDS_WAIT) == [STAND, ANSWER]

    def test_their_number_is_bounded(self) -> None:
        judge = Judge(resume=True)
        for number in range(50):
            judge.start(f"u{number}")
            judge.stop(f"u{number}", spoken=100)
            judge.commit(f"u{number}")
            assert len(judge.it._turns) <= MAX_TURNS
        judge.wait(WORDS_WAIT)
        assert judge.it._turns == []


class TestOddities:
    def test_what_is_not_known_is_passed_over(self) -> None:
        judge = Judge(resume=True)
        assert judge.stop("x", spoken=100) == []
        assert judge.words("Hello", "x") == []
        assert judge.it.next_timer() is None
        assert judge.wait(10) == []

    def test_an_end_after_the_commit(self) -> None:
        judge = Judge(resume=True)
        judge.start()
        judge.commit()
        assert judge.stop(spoken=2000) == []
        assert judge.words("") == [IGNORE, GO_ON]

    def test_a_server_that_tells_no_times(self) -> None:
        """Then it is our own measure that counts."""
        judge = Judge(resume=True, transcribes=False)
        judge.hear(silence(5000) + sound(100, -20))
        judge.it.started("u1", 0, judge.now, busy=True)
        judge.hear(sound(700, -20) + silence(600))
        judge.it.stopped("u1", 0, judge.now)
        judge.verdicts()
        assert judge.commit() == [STAND, ANSWER]

    @pytest.mark.parametrize("eagerness", ["low", "medium", "high", "auto", "odd", rt.UNSET])
    def test_semantic_detection_does_not_tell_the_length(self, eagerness: Any) -> None:
        judge = Judge(min_speech=0.3, detection=rt.SemanticVad(eagerness=eagerness))
        judge.hear(silence(500) + sound(100, -20))
        judge.start()
        quiet = {"odd": 8.0, rt.UNSET: 4.0}.get(eagerness) or EAGERNESS[eagerness]
        assert judge.it.next_timer() == pytest.approx(judge.now + 0.3 + quiet + LATENESS)
        judge.hear(sound(100, -20) + silence(1000))
        assert judge.stop(spoken=2000) == []
        judge.commit()
        assert judge.words("") == [IGNORE]

    @pytest.mark.parametrize("detection", [None, rt.ServerVad()])
    def test_settings_that_are_not_known(self, detection: Any) -> None:
        judge = Judge(min_speech=0.3, detection=detection)
        judge.start()
        assert judge.it.next_timer() == pytest.approx(judge.now + 0.3 + 0.5 + LATENESS)


def test_what_is_said_may_be_taken_back() -> None:
    judge = Judge(resume=True)
    assert judge.start() == [STOP]
    judge.it.taken_back()
    assert judge.verdicts() == [GO_ON]
    assert judge.it.idle
    assert judge.it.next_timer() is None


def test_what_was_committed_stays() -> None:
    judge = Judge(min_speech=0.5)
    judge.start()
    judge.it.committed("u1", judge.now, busy=True)
    judge.it.taken_back()
    assert not judge.it.idle

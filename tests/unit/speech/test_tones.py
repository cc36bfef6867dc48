from offhook.audio import level, ulaw
from offhook.audio.vad import EnergyVad, SpeechStarted, SpeechStopped
from offhook.speech.tones import CLAUSE_GAP_MS, SYLLABLE_MS, WORD_GAP_MS, tones


def test_length_follows_syllables_and_punctuation() -> None:
    assert ulaw.duration_ms(len(tones("hello there, 12"))) == 6 * SYLLABLE_MS + 2 * WORD_GAP_MS + CLAUSE_GAP_MS
    assert tones("hm") != b""


def test_same_text_same_tones_and_another_voice_is_lower() -> None:
    assert tones("some words") == tones("Some words")
    assert tones("some words", "caller") != tones("some words", "agent")


def test_turn_detection_hears_one_utterance() -> None:
    audio = tones("This is a sentence, with a comma. And a second one.")
    assert -26 < level.dbfs(audio) < -14
    found = EnergyVad(silence_duration_ms=300).feed(audio + ulaw.silence(600))
    assert [type(event) for event in found] == [SpeechStarted, SpeechStopped]

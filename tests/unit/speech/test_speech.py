import pytest

from offhook.audio import level, ulaw
from offhook.audio.vad import EnergyVad, SpeechStarted, SpeechStopped
from offhook.speech import Speech, Voice, normalise, shipped_texts

GREETING = "Hello, Acme here. How can I help you?"
DEMO: list[tuple[str, Voice]] = [
    (GREETING, "agent"),
    ("What are your opening hours?", "caller"),
    (
        "We are open Monday to Friday, from nine in the morning until six in the evening, and on Saturdays from ten "
        "until two. On Sundays and public holidays we are closed.",
        "agent",
    ),
    ("Thanks, that is enough.", "caller"),
    ("Of course. To hear about an order, press one. For anything else, just tell me.", "agent"),
    ("You pressed one. Which order is it?", "agent"),
    ("It is order one two three four.", "caller"),
    ("One moment, I am looking it up.", "agent"),
    ("Your order has been shipped. It arrives on Friday.", "agent"),
    ("Great, thank you. Goodbye.", "caller"),
    ("Thank you for calling Acme. Goodbye.", "agent"),
]


class Counting:
    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Voice]] = []

    def __call__(self, text: str, voice: Voice) -> bytes | None:
        self.asked.append((text, voice))
        return self.answer


@pytest.fixture
def unable() -> Speech:
    return Speech(synthesiser=None)


def test_normalise_keeps_the_words() -> None:
    assert normalise("  Hello, ACME —\nhere!  It's me. ") == "hello acme here its me"
    assert normalise("…") == ""


@pytest.mark.parametrize(("text", "voice"), DEMO)
def test_the_demo_is_shipped(text: str, voice: Voice) -> None:
    assert (normalise(text), voice) in shipped_texts()


def test_every_clip_is_one_utterance_at_speech_level() -> None:
    speech = Speech(synthesiser=None)
    total = 0
    for text, voice in shipped_texts():
        audio = speech.clip(text, voice)
        total += len(audio)
        assert -26 < level.dbfs(audio) < -17, text
        found = EnergyVad().feed(audio + ulaw.silence(1000))
        assert [type(event) for event in found] == [SpeechStarted, SpeechStopped], text
    assert len(shipped_texts()) >= 35
    assert total < 1_500_000


def test_spelling_does_not_matter(unable: Speech) -> None:
    assert unable.clip("hello acme HERE - how can I help you") == unable.clip(GREETING)


def test_the_voices_differ_and_stand_in_for_each_other(unable: Speech) -> None:
    assert unable.clip("Goodbye.", "agent") != unable.clip("Goodbye.", "caller")
    assert unable.clip(GREETING, "caller") == unable.clip(GREETING, "agent")


def test_unprepared_text_sounds_as_tones_without_waiting() -> None:
    synthesiser = Counting(b"\x10" * 800)
    speech = Speech(synthesiser)
    audio = speech.clip("A sentence nobody recorded.")
    assert synthesiser.asked == []
    assert 1000 < ulaw.duration_ms(len(audio)) < 3000
    assert audio == Speech(None).clip("a sentence nobody recorded.")


def test_prepared_text_is_synthesised_once() -> None:
    synthesiser = Counting(b"\x10" * 800)
    speech = Speech(synthesiser)
    speech.prepare([GREETING, "Something new.", "something NEW", "?"])
    speech.prepare(["Something new."], "caller")
    assert synthesiser.asked == [("Something new.", "agent"), ("Something new.", "caller")]
    assert speech.clip("Something new") == b"\x10" * 800


def test_failing_synthesiser_leaves_the_tones() -> None:
    speech = Speech(Counting(None))
    speech.prepare(["Something new."])
    assert speech.clip("Something new.") == Speech(None).clip("Something new.")


def test_without_synthesiser_prepare_does_nothing(unable: Speech) -> None:
    unable.prepare(["Something new."])
    assert unable.clip("") == unable.clip(" ?! ") == b""

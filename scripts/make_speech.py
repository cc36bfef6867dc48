"""Make the clips of `offhook.speech` with espeak-ng (tested with 1.51): raw 8 kHz µ-law and their index.

Run it after a change of the texts below: `python scripts/make_speech.py`. The clips are committed, so nothing but this
script needs espeak-ng.
"""

import json
import re
import sys
from pathlib import Path
from typing import Final

from offhook.speech import Voice
from offhook.speech.espeak import synthesise

FOLDER: Final = Path(__file__).parents[1] / "src" / "offhook" / "speech" / "clips"
MAX_TOTAL_BYTES: Final = 1_500_000

TEXTS: Final[dict[Voice, tuple[str, ...]]] = {
    "agent": (
        # the demo call
        "Hello, Acme here. How can I help you?",
        "We are open Monday to Friday, from nine in the morning until six in the evening, and on Saturdays from ten "
        "until two. On Sundays and public holidays we are closed.",
        "Of course. To hear about an order, press one. For anything else, just tell me.",
        "You pressed one. Which order is it?",
        "One moment, I am looking it up.",
        "Your order has been shipped. It arrives on Friday.",
        "Thank you for calling Acme. Goodbye.",
        # the emulator's default scenario
        "Hello, how can I help you?",
        "We are open Monday to Friday, from nine until six.",
        "You find us in Station Road, next to the library.",
        "Delivery usually takes two to three working days.",
        "Yes, you can return anything within thirty days.",
        "You can pay by card, by invoice or in cash.",
        "Thank you, I have noted the digits you entered.",
        "Thank you for calling. Goodbye.",
        # phrases for scenarios
        "One moment, please.",
        "Is there anything else I can help you with?",
        "I am sorry, I did not understand that. Could you say it again?",
        "I am sorry, something went wrong. Please call again later.",
        "I will connect you to a colleague now.",
        "Please enter your order number, followed by the hash key.",
        "Are you still there?",
        "All right.",
        "Goodbye.",
        # the examples
        "Practice of Doctor Miller, how can I help you?",
        "Let me see.",
        "I have nine o'clock and half past two. Which one suits you?",
        "The first of December, half past two, for Jones. Shall I book that?",
        "It is booked. Goodbye.",
        "Acme, good morning. How can I help you?",
        "Let me find you.",
        "I am connecting you now. One moment, please.",
    ),
    "caller": (
        # the demo call
        "What are your opening hours?",
        "Thanks, that is enough.",
        "It is order one two three four.",
        "Great, thank you. Goodbye.",
        # phrases for scenarios
        "Hello?",
        "Hello, can you help me?",
        "Where is my order?",
        "How long does delivery take?",
        "Can I send something back?",
        "I would like to speak to a person, please.",
        "Sorry, one more question.",
        "Stop, please.",
        "Yes, please.",
        "No, thank you.",
        "Thank you, goodbye.",
        "Goodbye.",
        # the examples
        "I need an appointment on the first of December.",
        "Half past two, please. My name is Jones.",
        "I have a question about my bill.",
    ),
}


def main() -> int:
    """Write every clip and the index; complain when espeak-ng is missing or the clips grow too large."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.ulaw"):
        old.unlink()
    clips = []
    total = 0
    for voice, texts in TEXTS.items():
        for n, text in enumerate(texts, start=1):
            audio = synthesise(text, voice)
            if audio is None:
                print(f"espeak-ng is not installed or failed on: {text}", file=sys.stderr)
                return 1
            file = f"{voice}-{n:02}-{file_name(text)}.ulaw"
            (FOLDER / file).write_bytes(audio)
            clips.append({"text": text, "voice": voice, "file": file})
            total += len(audio)
    (FOLDER / "index.json").write_text(json.dumps({"clips": clips}, indent=1) + "\n", "utf-8")
    print(f"{len(clips)} clips, {total / 8000:.1f} s, {total} bytes in {FOLDER}")
    return 0 if total <= MAX_TOTAL_BYTES else 1


def file_name(text: str) -> str:
    """Return the first words of a text as a file name."""
    return "-".join(re.findall(r"[a-z]+", text.lower())[:5])


if __name__ == "__main__":
    sys.exit(main())

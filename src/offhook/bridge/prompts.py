"""Instructions that the bridge adds for single responses.

`instructions` of a response replace those of the session (openai-realtime.md trap 22), so the persona goes along.
"""

from collections.abc import Sequence

from offhook.bridge.plan import Prompt


def _with_persona(persona: str, task: str) -> str:
    return f"{persona}\n\n# Now\n{task}" if persona else task


GOODBYE = Prompt(instructions="The call ends now. Say goodbye to the caller in one short sentence. Ask nothing.")
HANDOVER = Prompt(
    instructions="The call is being handed to a colleague now. Tell the caller so in one short sentence. Ask nothing."
)
CONNECTED = "The caller has just been connected and has not spoken yet."

CARRY_ON = (
    "The line to you was interrupted for some seconds. What the caller said meanwhile, or shortly before, may not have "
    "reached you. Carry on now where the conversation stands: if they wait for an answer, give it; if it is not clear "
    "what they want, ask them to repeat it. Do not greet them again, and repeat no action that was done already."
)
STILL_RUNNING = (
    "These functions were called before and still run: {tools}. Their results will follow; do not call them again for "
    "the same."
)
IT_TAKES_A_MOMENT = "Tell the caller in a few words that it takes a moment."
STILL_COLLECTING = (
    "The digits that you asked for are being collected, and the result of collect_digits will follow: ask the caller "
    "to enter them, or to go on entering them."
)


def still_running(names: Sequence[str]) -> str:
    """What the model has to know of functions that it called in another session and that have no result yet."""
    return STILL_RUNNING.format(tools=", ".join(names))


def carry_on(*, running: bool = False, collecting: bool = False) -> str:
    """What the model has to know when it takes up a conversation in mid-course.

    Args:
        running: The caller waits for a tool.
        collecting: The caller is entering digits that the model asked for.
    """
    return " ".join((CARRY_ON, *(IT_TAKES_A_MOMENT,) * running, *(STILL_COLLECTING,) * collecting))


def say(persona: str, wanted: Prompt, situation: str = "") -> str:
    """Instructions for a response that says a prompt.

    Args:
        persona: Instructions of the session.
        wanted: What to say; exact words if it has a text.
        situation: What the model has to know beside it.
    """
    if wanted.text is not None:
        task = f"Say exactly these words and nothing else: {wanted.text}"
    else:
        task = wanted.instructions or ""
    return _with_persona(persona, f"{situation} {task}".strip())

"""Instructions that the bridge adds for single responses.

`instructions` of a response replace those of the session (openai-realtime.md trap 22), so the persona goes along.
"""

from offhook.bridge.plan import Prompt


def _with_persona(persona: str, task: str) -> str:
    return f"{persona}\n\n# Now\n{task}" if persona else task


GOODBYE = Prompt(instructions="The call ends now. Say goodbye to the caller in one short sentence. Ask nothing.")
HANDOVER = Prompt(
    instructions="The call is being handed to a colleague now. Tell the caller so in one short sentence. Ask nothing."
)
CONNECTED = "The caller has just been connected and has not spoken yet."


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

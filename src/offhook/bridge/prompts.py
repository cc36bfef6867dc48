"""Instructions that the bridge adds for single responses.

`instructions` of a response replace those of the session (openai-realtime.md trap 22), so the persona goes along.
"""

from offhook.bridge.plan import Prompt


def _with_persona(persona: str, task: str) -> str:
    return f"{persona}\n\n# Now\n{task}" if persona else task


def greeting(persona: str, wanted: Prompt) -> str:
    """Instructions for the first response of a call."""
    if wanted.text is not None:
        return _with_persona(
            persona, f"The caller has just been connected. Say exactly these words and nothing else: {wanted.text}"
        )
    return _with_persona(persona, f"The caller has just been connected and has not spoken yet. {wanted.instructions}")


def goodbye(persona: str, *, escalated: bool) -> str:
    """Instructions for the last response of a call, when the model ended it without a word."""
    if escalated:
        task = "The call is being handed to a colleague now. Tell the caller so in one short sentence."
    else:
        task = "The call ends now. Say goodbye to the caller in one short sentence. Ask nothing."
    return _with_persona(persona, task)

"""Arguments of function calls as models write them, and the errors that models read."""

import msgspec

NOT_AN_OBJECT = "the arguments are not a JSON object"


def read_arguments(text: str) -> dict[str, object] | None:
    """Return the arguments of a call; None if they are no JSON object. An empty text stands for no arguments."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return None


def error(text: str) -> str:
    """Return the output of a call that could not be carried out."""
    return msgspec.json.encode({"error": text}).decode()

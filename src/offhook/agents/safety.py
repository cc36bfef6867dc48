"""A stable name for a caller that does not tell who it is: OpenAI's safety identifier (openai-realtime.md §1.2)."""

import hashlib
import hmac


def safety_identifier(ani: str, key: bytes) -> str:
    """Return the keyed hash of the caller's number, 64 hexadecimal digits; empty if the caller has no number.

    Without the key nobody can find the number by hashing all numbers. Different spellings of one number
    (``tel:``, blanks, dashes) give one identifier.
    """
    number = ani.strip().lower().removeprefix("tel:")
    number = "".join(character for character in number if character not in " -.()")
    if not number:
        return ""
    return hmac.new(key, number.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

"""How values of tools become text."""

import json
import re

_NOT_IN_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def as_text(value: object) -> str:
    """Return a value as it is sent in an address, a header or a form: text as it is, nothing for null, else JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_one_line(text: str) -> bool:
    """Tell whether a text can be sent in a header: no line feeds, no other control characters."""
    return _NOT_IN_A_LINE.search(text) is None

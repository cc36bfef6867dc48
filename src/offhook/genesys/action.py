"""What Genesys says about a data action."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook.genesys.errors import Unreadable

#: Longer names are cut off.
MAX_NAME_CHARS = 256


@dataclass(frozen=True, slots=True)
class Action:
    """A data action as it is published."""

    name: str
    input_schema: Mapping[str, Any] = field(repr=False)
    """JSON schema of its input contract, as Genesys gives it."""

    @classmethod
    def read(cls, document: Any) -> "Action":
        """Read the answer to ``GET …/actions/{actionId}?expand=contract``; Unreadable if it lacks the contract."""
        name = _inside(document, "name")
        schema = _inside(document, "contract", "input", "inputSchema")
        if not isinstance(name, str) or not isinstance(schema, Mapping):
            raise Unreadable("the data action has no name or no input contract", reason="contract")
        return cls(name[:MAX_NAME_CHARS], schema)


def _inside(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document

"""What Genesys dialled after our base path: the Connector ID, further path parts, and the query (audiohook.md §1.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class ConnectorPath:
    """A request target below the base path, percent-decoded.

    Genesys puts the Connector ID behind the Base Connection URI; whether it puts a slash between them is not
    documented, so none, one and more are the same here.
    """

    connector_id: str = ""
    """Empty for the bare base path: a connection probe, or the default agent."""
    path: tuple[str, ...] = ()
    """Path parts after the Connector ID."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Query parameters; the first of several with one name."""

    @classmethod
    def parse(cls, request_target: str, base_path: str) -> "ConnectorPath | None":
        """Read the raw request target; None if it is not below ``base_path`` (given without a slash at its end)."""
        if not request_target.startswith(base_path):
            return None
        raw_path, _, raw_query = request_target[len(base_path) :].partition("?")
        parts = [unquote(part) for part in raw_path.split("/") if part]
        query: dict[str, str] = {}
        for name, value in parse_qsl(raw_query, keep_blank_values=True):
            query.setdefault(name, value)
        return cls(parts[0] if parts else "", tuple(parts[1:]), query)

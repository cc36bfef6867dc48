"""The IDs of a simulated call."""

import uuid
from typing import Self

import msgspec

from offhook.audiohook.messages import NIL_UUID


class CallIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The UUIDs of one call; the first three are headers of the upgrade as well."""

    organization_id: str
    session_id: str
    correlation_id: str
    conversation_id: str
    participant_id: str

    @classmethod
    def fresh(cls, *, organization_id: str | None = None, probe: bool = False) -> Self:
        """Return IDs that no call had before; a probe has nil IDs where audiohook.md §3.6 says so."""
        return cls._of([str(uuid.uuid4()) for _ in range(5)], organization_id, probe=probe)

    @classmethod
    def from_seed(cls, seed: int, *, organization_id: str | None = None, probe: bool = False) -> Self:
        """Return the IDs that belong to a number: the same ones each time, for tests."""
        ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"offhook {seed} {number}")) for number in range(5)]
        return cls._of(ids, organization_id, probe=probe)

    @classmethod
    def _of(cls, ids: list[str], organization_id: str | None, *, probe: bool) -> Self:
        return cls(
            organization_id=organization_id or ids[0],
            session_id=ids[1],
            correlation_id=ids[2],
            conversation_id=NIL_UUID if probe else ids[3],
            participant_id=NIL_UUID if probe else ids[4],
        )

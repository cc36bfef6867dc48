"""Who may call: decided before the upgrade, from the request's signature and the key's own limits.

The peer learns nothing but that it was refused, and not before half a second has passed (audiohook.md §2.3). The code
of the reason goes to the log; no value of the request does.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from offhook.gateway.nonces import Nonces, NoncesUnknown, OwnNonces
from offhook.httpsig import Key, KeyRing, PublicUrl, RefusalReason, Refused, SignedRequest, Verified, Verifier
from offhook.telemetry.logging import get_logger

REFUSAL_DELAY = 0.5
"""Seconds that a refusal takes at least."""

ORGANIZATION_NOT_ALLOWED = "OH-AUTH-12"
NONCES_UNKNOWN = "OH-AUTH-15"

_log = get_logger("offhook.gateway.auth")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key of the configuration."""

    key: Key
    organizations: frozenset[str] | None = None
    """Organization IDs that may use it, in lower case; None = any."""
    agents: frozenset[str] | None = None
    """Agents that may be called with it; None = any."""
    name: str = ""
    """What it is called in the log and where its calls are counted; never the key itself."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The request may be upgraded."""

    signed: bool
    """False for a key without a secret."""
    agents: Collection[str] | None = None
    """Agents that may be called; None = any."""
    key: str = ""
    """Name of the key that was shown, never the key itself."""


class Gate:
    """Checks upgrade requests against the configured keys.

    Args:
        keys: the configured keys.
        public_url: what Genesys dials, where a proxy changes host or path.
        nonces: remembers used nonces; by default in this process's memory.
        clock: Unix seconds.
    """

    def __init__(
        self,
        keys: Iterable[AccessKey],
        *,
        public_url: PublicUrl | None = None,
        nonces: Nonces | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = {access.key.id: access for access in keys}
        self._keys = KeyRing(access.key for access in self._limits.values())
        self._verifier = Verifier(public_url=public_url)
        self._nonces = nonces if nonces is not None else OwnNonces()
        self._clock = clock

    async def admit(self, request: SignedRequest, remote: str | None = None) -> Admission | None:
        """Decide about a request; None = refuse it, now that the delay is over. Others are not held up meanwhile."""
        began = time.monotonic()
        decision = await self._decide(request)
        if isinstance(decision, Admission):
            return decision
        code, detail = decision
        _log.warning("call refused", code=code, detail=detail, remote=remote)
        await asyncio.sleep(REFUSAL_DELAY - (time.monotonic() - began))
        return None

    async def _decide(self, request: SignedRequest) -> Admission | tuple[str, str]:
        now = self._clock()
        verified = self._verifier.verify(request, self._keys, None, now)
        if isinstance(verified, Refused):
            return verified.reason.code, verified.detail
        try:
            fresh = await self._is_fresh(verified, now)
        except NoncesUnknown as error:
            # To let it in could let somebody in twice.
            return NONCES_UNKNOWN, str(error)
        if not fresh:
            return RefusalReason.REPLAYED.code, "the nonce was used before"
        access = self._limits[verified.key_id]
        organization = request.headers.get("audiohook-organization-id", "").lower()
        if access.organizations is not None and organization not in access.organizations:
            return ORGANIZATION_NOT_ALLOWED, "the key is not for this organization"
        return Admission(verified.signed, access.agents, access.name)

    async def _is_fresh(self, verified: Verified, now: float) -> bool:
        """Ask last of all, so that only good signatures use up memory, and a bad one does not use up a good nonce."""
        return verified.nonce is None or await self._nonces.remember(verified.key_id, verified.nonce, now)

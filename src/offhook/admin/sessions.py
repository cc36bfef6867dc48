"""Who is who at the admin port: tokens, and the sessions of browsers that have shown one."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_SESSIONS = 64
"""Sessions at a time; the one that was not used for longest makes room."""
SESSION_IDLE = 1800.0
"""Seconds without a request after which a session is over."""
SESSION_AGE = 43_200.0
"""Seconds after which it is over in any case."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is known; the text itself is not kept."""

    name: str
    """For the log, like ``admin_token[0]``."""
    digest: bytes = field(repr=False)


class Tokens:
    """The tokens that open the admin port.

    Args:
        texts: the tokens, by their names for the log.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._tokens = tuple(Token(name, _digest(text)) for name, text in texts.items())

    @property
    def digests(self) -> frozenset[bytes]:
        """What sessions are bound to."""
        return frozenset(token.digest for token in self._tokens)

    def find(self, offered: str) -> Token | None:
        """Return the token that `offered` is; the time that it takes tells nothing about it."""
        digest = _digest(offered)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


@dataclass(slots=True)
class Session:
    """A browser that has shown a token; times are monotonic seconds."""

    token: Token
    form_token: str = field(repr=False)
    """Stands in every form of the session, and in no page of another site."""
    began: float
    used: float


class Sessions:
    """The sessions that are open. Their IDs are kept as digests only."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, token: Token, now: float) -> str:
        """Open a session and return its ID."""
        self._expire(now)
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.popitem(last=False)
        session_id = secrets.token_urlsafe(32)
        self._sessions[_digest(session_id)] = Session(token, secrets.token_urlsafe(32), now, now)
        return session_id

    def find(self, session_id: str, now: float) -> Session | None:
        """Return a session that is not over, which counts as a use of it."""
        self._expire(now)
        session = self._sessions.get(_digest(session_id))
        if session is not None:
            session.used = now
            self._sessions.move_to_end(_digest(session_id))
        return session

    def end(self, session_id: str) -> None:
        """Close a session, if there is one."""
        self._sessions.pop(_digest(session_id), None)

    def keep(self, digests: Iterable[bytes]) -> None:
        """Close the sessions of all tokens but these."""
        kept = frozenset(digests)
        for key in [key for key, session in self._sessions.items() if session.token.digest not in kept]:
            del self._sessions[key]

    def _expire(self, now: float) -> None:
        for key in [key for key, session in self._sessions.items() if _is_over(session, now)]:
            del self._sessions[key]


def same(one: str, other: str) -> bool:
    """Compare two secrets; the time that it takes tells nothing about them."""
    return hmac.compare_digest(_digest(one), _digest(other))


def _is_over(session: Session, now: float) -> bool:
    return now - session.used >= SESSION_IDLE or now - session.began >= SESSION_AGE


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()

"""The Realtime legs of one call: the one in use, the next one when it is lost, and the one that takes over in time.

    TRYING ──session ready──▶ READY ──lost, silent or refused──▶ WAITING ──back-off over──▶ TRYING
                                                                    └──`limit` is over, or nobody to ask──▶ given up

A session lives for 60 minutes at most (openai-realtime.md §1.6). Shortly before its end a **successor** is set up
beside it; the conversation takes it over between two turns. If the session in use is lost meanwhile, it is there.

Which provider a leg is made with is decided outside, by what `ReportRealtime` tells of the legs before.
"""

from collections.abc import Callable
from enum import Enum, auto

import msgspec

from offhook import realtime
from offhook.bridge.commands import CloseRealtime, Command, ConnectRealtime, ReportRealtime
from offhook.realtime import RealtimeSession, SessionConfig
from offhook.realtime.usage import UsageTotals

DELAYS = (0.0, 0.5, 1.0, 2.0)
"""Seconds before the first attempt to connect again, the second, and so on; the last one stays."""
FIRST_LIMIT = 8.0
"""Seconds for which a call that has never had a model tries on after the first failure: its flow can do better."""
STEADY = 5.0
"""Seconds for which a session has to work for its loss to count as a new one: what breaks at once is broken still."""
SUCCESSOR_DELAY = 10.0
"""Seconds before another successor is tried."""
LIFETIME = 3600.0
"""Seconds that a session lives if the server does not tell."""
LATEST = 2**53
"""Unix seconds beyond which a session does not expire; more are too many for a float."""
MARGIN = 300.0
"""Seconds before the end of a session's life at which its successor is set up, for a life of `LIFETIME`."""
STALLED = 15.0
"""Seconds without a word of the server, while it owes one, after which the session counts as lost (§7, half-open)."""


class LegState(Enum):
    """How the call is connected with a model."""

    TRYING = auto()
    """A leg is being connected and set up."""
    WAITING = auto()
    """The next attempt waits for its time."""
    READY = auto()
    """The model listens."""
    CLOSED = auto()
    """No leg is wanted any more."""


class _Leg(msgspec.Struct):
    """One leg."""

    number: int
    session: RealtimeSession
    opened_at: float
    heard_at: float
    """When its server last said something."""
    ready: realtime.SessionReady | None = None
    """Of a successor: to be told when it takes over."""


class Legs:
    """Connects one call with a model, again and again if need be.

    Args:
        config: Gives the settings of a new session, as they are then.
        emit: Takes commands.
        now: Monotonic seconds; the first leg is asked for at once.
        setup: Seconds for the first session to get ready.
        limit: Seconds for each further one, from the loss of the one before.
        unix: Unix seconds at `now`; None = not known, every session lives for `LIFETIME`.

    Attributes:
        state: Of the leg in use.
        hopeless: There is nobody left to ask.
    """

    def __init__(
        self,
        config: Callable[[], SessionConfig],
        emit: Callable[[Command], None],
        now: float,
        *,
        setup: float,
        limit: float,
        unix: float | None = None,
    ) -> None:
        self.state = LegState.TRYING
        self.hopeless = False
        self._config = config
        self._emit = emit
        self._limit = limit
        self._unix_zero = None if unix is None else unix - now
        self._count = 0
        self._attempts = 0
        self._spent = UsageTotals()  # by sessions that are gone
        self._ready_by = now + setup
        self._ready_at: float | None = None
        self._retry_at = now
        self._successor: _Leg | None = None
        self._successor_at: float | None = None  # when one is to be set up
        self._leg = self._open(now)

    @property
    def session(self) -> RealtimeSession:
        """The session in use, or that is to be."""
        return self._leg.session

    @property
    def usage(self) -> UsageTotals:
        """Tokens of all sessions of the call."""
        return self._spent + self.session.usage

    @property
    def standing_by(self) -> bool:
        """A successor is ready."""
        return self._successor is not None and self._successor.ready is not None

    # What the shell tells.

    def connected(self, number: int, now: float, created: bytes | None = None) -> None:
        """A socket stands; `created` is the `session.created` of a warm session on it, which is adopted."""
        leg = self._find(number)
        if leg is None:
            return
        leg.heard_at = now
        if created is None:
            leg.session.connected(now)
        else:
            leg.session.adopt(created, now)

    def receive(self, number: int, data: str | bytes, now: float) -> None:
        """A message arrived."""
        leg = self._leg if number == self._leg.number else self._find(number)
        if leg is not None:
            leg.heard_at = now
            leg.session.receive_text(data, now)

    def lost(self, number: int, code: int | None, reason: str, now: float, *, retryable: bool) -> None:
        """A socket is gone, or could not be had."""
        leg = self._find(number)
        if leg is None:
            return
        if leg is self._leg and not retryable:
            self.hopeless = True
        leg.session.receive_eof(code, reason, now)

    def data(self, number: int) -> list[bytes]:
        """What is to be written to a socket."""
        leg = self._leg if number == self._leg.number else self._find(number)
        return [] if leg is None else leg.session.data_to_send()

    def events(self, now: float) -> list[realtime.RealtimeEvent]:
        """What happened in the session in use."""
        if self._successor is not None:
            self._look_after(self._successor, now)
        ready, self._leg.ready = self._leg.ready, None
        return [*((ready,) if ready is not None else ()), *self.session.events()]

    # What the conversation tells.

    def ready(self, event: realtime.SessionReady, now: float) -> None:
        """The session in use is ready."""
        if self._ready_at is None:
            self._attempts = 0  # those of the set-up had a limit of their own
        self.state = LegState.READY
        self._ready_at = now
        expires_at = self._expiry(event.expires_at, now)
        margin = min(MARGIN, MARGIN / LIFETIME * (expires_at - now))
        # A session that lives for seconds only is a fault, not to be answered by a new one every moment.
        self._successor_at = max(expires_at - margin, now + STEADY)
        self._emit(ReportRealtime(self._leg.number, "ready"))

    def failed(self, code: str, now: float, *, unusable: bool = False) -> bool:
        """The leg in use does not work (any more): close it and get another one.

        Args:
            code: Why, a stable code.
            now: Monotonic seconds.
            unusable: Its provider refuses us for good.

        Returns:
            False when there is nobody left to ask.
        """
        self._emit(ReportRealtime(self._leg.number, "unusable" if unusable else "failed", code))
        self._part_with(self._leg)
        if self._ready_at is None and not self._attempts:
            self._ready_by = min(self._ready_by, now + FIRST_LIMIT)
        if self.state is LegState.READY and self._ready_at is not None:
            if now - self._ready_at >= STEADY:
                self._attempts = 0
            if self._attempts == 0:
                self._ready_by = now + self._limit
        if self._successor is not None:
            self._adopt(self._successor, now)  # ready, or further than a new one would be
            return True
        if self.hopeless:
            self.state = LegState.CLOSED
            return False
        self.state = LegState.WAITING
        self._retry_at = now + DELAYS[min(self._attempts, len(DELAYS) - 1)]
        self._attempts += 1
        if self._retry_at <= now:
            self._try(now)
        return True

    def take_over(self, now: float) -> None:
        """Between two turns: the successor takes the place of the session in use; its `SessionReady` is told again."""
        if self._successor is not None and self.standing_by:
            self._part_with(self._leg)
            self._adopt(self._successor, now)

    def close(self) -> None:
        """No leg is wanted any more."""
        if self.state in (LegState.TRYING, LegState.READY):
            self._part_with(self._leg)
        self._drop_successor()
        self.state = LegState.CLOSED

    # Time.

    def stalled_at(self, waiting_from: float) -> float:
        """When the session in use counts as lost if its server, waited for since then, goes on saying nothing."""
        return max(self._leg.heard_at, waiting_from) + STALLED

    def given_up_at(self) -> float | None:
        """When the call has waited for a model for long enough; None while it has one."""
        return self._ready_by if self.state in (LegState.TRYING, LegState.WAITING) else None

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do."""
        times: list[float | None] = [self.session.next_timer()]
        if self.state is LegState.WAITING:
            times = [self._retry_at]
        elif self.state is LegState.READY:
            times.append(self._successor_at)
        if self._successor is not None:
            times.append(self._successor.session.next_timer())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Act on what is due."""
        if self.state is LegState.WAITING:
            if now >= self._retry_at:
                self._try(now)
            return
        self.session.handle_timer(now)
        if self._successor is not None:
            self._successor.session.handle_timer(now)
        elif self.state is LegState.READY and self._successor_at is not None and now >= self._successor_at:
            self._successor_at = None
            self._successor = self._open(now)

    # Inner workings.

    def _open(self, now: float) -> _Leg:
        self._count += 1
        config = self._config()
        self._emit(ConnectRealtime(self._count, config))
        return _Leg(self._count, RealtimeSession(config), now, now)

    def _try(self, now: float) -> None:
        self._leg = self._open(now)
        self.state = LegState.TRYING

    def _part_with(self, leg: _Leg) -> None:
        self._spent = self._spent + leg.session.usage
        leg.session.usage = UsageTotals()
        leg.session.close()
        self._emit(CloseRealtime(leg.number))

    def _adopt(self, successor: _Leg, now: float) -> None:
        self._leg, self._successor = successor, None
        self._successor_at = None
        self._leg.heard_at = now
        self.state = LegState.TRYING  # until its readiness is told

    def _drop_successor(self) -> None:
        if self._successor is not None:
            self._part_with(self._successor)
            self._successor = None

    def _look_after(self, leg: _Leg, now: float) -> None:
        """Nothing of a successor matters but whether it can be had; its readiness is told when it takes over."""
        for event in leg.session.events():
            match event:
                case realtime.SessionReady():
                    leg.ready = event
                case realtime.SessionRefused(code=code, fatal=fatal):
                    return self._give_up(leg, code, now, unusable=fatal)
                case realtime.SessionLost(retryable=retryable):
                    return self._give_up(leg, "", now, unusable=not retryable)
                case realtime.ErrorReceived(code=code, fatal=True):
                    return self._give_up(leg, code, now, unusable=True)

    def _give_up(self, leg: _Leg, code: str, now: float, *, unusable: bool) -> None:
        """A successor cannot be had: another one is tried later."""
        self._emit(ReportRealtime(leg.number, "unusable" if unusable else "failed", code))
        self._drop_successor()
        self._successor_at = now + SUCCESSOR_DELAY

    def _find(self, number: int) -> _Leg | None:
        known = (self._leg, self._successor) if self.state is not LegState.WAITING else (self._successor,)
        return next((leg for leg in known if leg is not None and leg.number == number), None)

    def _expiry(self, expires_at: int | None, now: float) -> float:
        if expires_at is not None and self._unix_zero is not None:
            at = max(0, min(expires_at, LATEST)) - self._unix_zero
            if at > now:
                return at
        return self._leg.opened_at + LIFETIME

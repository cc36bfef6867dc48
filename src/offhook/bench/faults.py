"""Everything that can happen to a call: the catalogue of faults, by class.

A fault is something that the world does, never the gateway: what it should come to is in the verdict of a run. A class
that needs more than a call, such as restarts of the gateway, would be one more value of `FaultClass`, with faults whose
moment is `run`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from offhook.bench.network import Connection
from offhook.bench.talk import Run, Talk
from offhook.emulator.scenario import Failure, Handshake, Loss, Turn
from offhook.emulator.script import ALL_RIGHT, SMALL_TALK
from offhook.emulator.server import EmulatedConnection

FaultClass = Literal["ai", "genesys", "process"]
CLASSES: Final[tuple[FaultClass, ...]] = ("ai", "genesys", "process")

Moment = Literal["connect", "call", "run"]
"""When a fault is injected: before the call is dialled, at some time in it, or at some time in the run to all calls."""
Breaks = Literal["ai", "caller", "session"]
"""What it breaks for good: the Realtime leg, the AudioHook leg, or the session by the rules of the protocol."""

FOR_GOOD: Final = float("inf")
OUTAGE: Final = 4.0
"""Seconds of an outage of the Realtime API."""


class Stage(Protocol):
    """What a fault can get hold of in one call."""

    talk: Talk

    def genesys(self) -> Connection | None:
        """Return the AudioHook leg on the network."""
        ...

    def realtime(self) -> Connection | None:
        """Return the Realtime leg on the network, the newest one."""
        ...

    def model(self) -> EmulatedConnection | None:
        """Return the same leg in the emulator."""
        ...

    def shake_hands(self, handshake: Handshake) -> None:
        """Let the next connection to the preferred provider begin like this."""
        ...

    def cannot_be_heard(self, seconds: float, *, lost: bool = False) -> None:
        """Note that caller and gateway cannot hear each other for so long, whatever the gateway does.

        Args:
            seconds: how long from now.
            lost: what the caller says meanwhile is lost, at least a part of it.
        """
        ...

    def retry(self, *, beside: bool) -> None:
        """Have Genesys make the session again on a new socket: when this one is lost, or beside it."""
        ...


Inject = Callable[[Stage], bool]
"""Lets a fault happen; False where it cannot, as the leg is not there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can go wrong."""

    name: str
    text: str
    """What happens, for people to read."""
    inject: Inject = lambda stage: False
    """Those that come to all calls are injected by the run."""
    moment: Moment = "call"
    breaks: Breaks | None = None

    @property
    def of(self) -> FaultClass:
        """The class, which its name begins with."""
        return next(known for known in CLASSES if self.name.startswith(f"{known}-"))


def _lost(code: int | None, error: str | None = None) -> Inject:
    def inject(stage: Stage) -> bool:
        if (model := stage.model()) is None:
            return False
        model.lose(Loss(after=0, code=code, error=error))
        return True

    return inject


def _handshake(handshake: Handshake) -> Inject:
    def inject(stage: Stage) -> bool:
        stage.shake_hands(handshake)
        return True

    return inject


def _answer(turn: Turn) -> Inject:
    def inject(stage: Stage) -> bool:
        if (model := stage.model()) is None:
            return False
        model.session.interject(turn)
        return True

    return inject


def _realtime(act: Callable[[Connection], None]) -> Inject:
    def inject(stage: Stage) -> bool:
        if (leg := stage.realtime()) is None:
            return False
        act(leg)
        return True

    return inject


def _genesys(act: Callable[[Connection], None], *, unheard: float = FOR_GOOD) -> Inject:
    def inject(stage: Stage) -> bool:
        if (leg := stage.genesys()) is None:
            return False
        act(leg)
        stage.cannot_be_heard(unheard)
        return True

    return inject


def _aside(make: Callable[[Talk], Run], *, unheard: float = 0.0, lost: bool = False) -> Inject:
    def inject(stage: Stage) -> bool:
        stage.talk.aside(make(stage.talk))
        if unheard:
            stage.cannot_be_heard(unheard, lost=lost)
        return True

    return inject


def _tool(name: str) -> Inject:
    def inject(stage: Stage) -> bool:
        stage.talk.use_tool(name)
        return True

    return inject


def _retry(stage: Stage) -> bool:
    stage.retry(beside=False)
    return _genesys(Connection.reset)(stage)


def _retry_beside(stage: Stage) -> bool:
    done = _genesys(Connection.go_silent)(stage)
    stage.retry(beside=True)
    return done


SENTENCE: Final = SMALL_TALK[0][1]
STALL: Final = 2.0
"""Seconds of a stall: a few segments lost, sent again with growing patience."""
SLOW: Final = 6_000.0
"""Bytes a second that a slow peer reads: less than the 8,000 of audio."""
SLOW_FOR: Final = 4.0
GRACE: Final = 0.5
"""Seconds from the end of such a fault until what it kept back has arrived."""

_AI: Final = (
    Fault("ai-1001", "closed with 1001, as a server that goes away", _lost(1001), breaks="ai"),
    Fault("ai-1006", "the connection breaks without a close frame", _lost(1006), breaks="ai"),
    Fault("ai-1011", "closed with 1011, as a server that failed", _lost(1011), breaks="ai"),
    Fault("ai-3000", "closed with 3000 in mid-call, as for a key that was revoked", _lost(3000), breaks="ai"),
    Fault("ai-half-open", "the socket stays and nothing comes any more, no pong either", _lost(None), breaks="ai"),
    Fault("ai-error", "an error event server_error, then closed with 1011", _lost(1011, "server_error"), breaks="ai"),
    Fault(
        "ai-expired",
        "an error event session_expired, then closed with 1001",
        _lost(1001, "session_expired"),
        breaks="ai",
    ),
    Fault("ai-reset", "the TCP connection is reset", _realtime(Connection.reset), breaks="ai"),
    Fault("ai-fin", "the TCP connection is closed, the WebSocket is not", _realtime(Connection.finish), breaks="ai"),
    Fault("ai-stall", "nothing passes for 2 s, as when packets are lost", _realtime(lambda leg: leg.stall(STALL))),
    Fault("ai-401", "the upgrade is refused with 401", _handshake(Handshake(status=401)), "connect"),
    Fault("ai-429", "the upgrade is refused with 429", _handshake(Handshake(status=429)), "connect"),
    Fault("ai-500", "the upgrade is refused with 500", _handshake(Handshake(status=500)), "connect"),
    Fault("ai-503", "the upgrade is refused with 503", _handshake(Handshake(status=503)), "connect"),
    Fault("ai-bad-key", "closed with 3000 right after the upgrade", _handshake(Handshake(close=3000)), "connect"),
    Fault("ai-created-late", "session.created takes 3 s", _handshake(Handshake(created_after=3.0)), "connect"),
    Fault("ai-created-never", "session.created never comes", _handshake(Handshake(created=False)), "connect"),
    Fault("ai-failed", "a response fails by a rate limit", _answer(Turn(fail=Failure()))),
    Fault("ai-empty", "a response completes without audio", _answer(Turn(say=ALL_RIGHT, no_audio=True))),
    Fault(
        "ai-filtered",
        "a response stops half way: content_filter",
        _answer(Turn(say=SENTENCE, incomplete="content_filter")),
    ),
    Fault("ai-unfinished", "a response begins and never ends", _answer(Turn(say=SENTENCE, unfinished=True))),
    Fault("ai-late", "half way through a response nothing comes for 3 s", _answer(Turn(say=SENTENCE, pause_ms=3000))),
    Fault("ai-outage", "every provider is gone for 4 s, for all calls", moment="run", breaks="ai"),
    Fault("ai-outage-first", "the preferred provider is gone for 4 s, for all calls", moment="run", breaks="ai"),
)

_GENESYS: Final = (
    Fault(
        "genesys-slow",
        "Genesys reads less than there is for 4 s",
        _genesys(lambda leg: leg.limit(SLOW, SLOW_FOR, "down"), unheard=SLOW_FOR + STALL),
    ),
    Fault(
        "genesys-stall",
        "nothing passes for 2 s in either direction",
        _genesys(lambda leg: leg.stall(STALL), unheard=STALL + GRACE),
    ),
    Fault("genesys-reset", "the TCP connection is reset, no close before", _genesys(Connection.reset), breaks="caller"),
    Fault(
        "genesys-fin",
        "the TCP connection is closed, the WebSocket is not",
        _genesys(Connection.finish),
        breaks="caller",
    ),
    Fault(
        "genesys-half-open",
        "nothing comes any more, and nobody says so",
        _genesys(Connection.go_silent),
        breaks="caller",
    ),
    Fault("genesys-retry", "the socket is lost, and Genesys makes the session again", _retry, breaks="caller"),
    Fault(
        "genesys-retry-early",
        "Genesys makes the session again while its old socket stands",
        _retry_beside,
        breaks="caller",
    ),
    Fault("genesys-no-pings", "no ping for 12 s", _aside(lambda talk: talk.be_odd("no_pings", 12.0))),
    Fault(
        "genesys-throttled",
        "error 429 with retryAfter 2 s",
        _aside(lambda talk: talk.be_odd("throttled", STALL), unheard=STALL + GRACE),
    ),
    Fault(
        "genesys-reopen",
        "open comes a second time",
        _aside(lambda talk: talk.be_odd("repeated_open", 0.0)),
    ),
    Fault(
        "genesys-burst",
        "2 s of audio come at once",
        _aside(lambda talk: talk.be_odd("burst", STALL), unheard=STALL + GRACE),
    ),
    Fault(
        "genesys-discarded",
        "1 s of audio is discarded",
        _aside(lambda talk: talk.be_odd("discarded", STALL), unheard=STALL + GRACE, lost=True),
    ),
    Fault(
        "genesys-malformed",
        "a text message breaks off",
        _aside(lambda talk: talk.be_odd("malformed", 0.0)),
        breaks="session",
    ),
    Fault("genesys-pause", "the caller is on hold for 3 s", _aside(lambda talk: talk.hold(3.0))),
    Fault(
        "genesys-close",
        "the caller hangs up, wherever the call is",
        _aside(lambda talk: talk.hang_up()),
        breaks="session",
    ),
    Fault("genesys-dtmf", "60 keys in 2 s", _aside(lambda talk: talk.press(60, 0.033))),
    Fault("genesys-interrupts", "the caller speaks over the agent", _aside(lambda talk: talk.interrupt())),
)

_PROCESS: Final = (
    Fault("process-stall", "a tool keeps the event loop busy for 200 ms", _tool("stall")),
    Fault("process-slow-tool", "a tool takes 5 s", _tool("slow")),
    Fault("process-failing-tool", "a tool fails", _tool("fail")),
    Fault("process-crash", "a tool raises SystemExit", _tool("crash")),
    Fault("process-hanging-tool", "a tool never answers", _tool("hang")),
)

FAULTS: Final = {fault.name: fault for fault in (*_AI, *_GENESYS, *_PROCESS)}
"""All of them, by name."""


class UnknownFault(ValueError):
    """There is no fault and no class of this name."""


def chosen(names: str) -> tuple[Fault, ...]:
    """Return the faults of a list of names and classes, `all` for all, `none` for none.

    Raises:
        UnknownFault: a name that nothing has; the text has those that there are.
    """
    found: dict[str, Fault] = {}
    for name in (part.strip() for part in names.split(",")):
        several = [fault for fault in FAULTS.values() if name in ("all", fault.name, fault.of)]
        if not several and name != "none":
            raise UnknownFault(f"there is no fault {name!r}; there are all, none, {', '.join((*CLASSES, *FAULTS))}")
        found |= {fault.name: fault for fault in several}
    return tuple(fault for fault in FAULTS.values() if fault.name in found)

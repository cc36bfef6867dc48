"""The one owner of every `response.create` and `response.cancel` (openai-realtime.md §5.2; the tables are in state.py).

Each request is answered by exactly one `ResponseStarted` or `ResponseRefused` with its tag; waiting requests of the
same tag count as one. Only a request that was given up (OH-RT-10) can still start, when the server wakes up late.
Each `ResponseStarted` is followed by exactly one `ResponseEnded`.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from offhook.realtime.client_events import ClientEvent, ResponseCancelEvent
from offhook.realtime.errors import ACTIVE_RESPONSE, safe_code
from offhook.realtime.events import RealtimeEvent, ResponseRefused, ResponseStarted
from offhook.realtime.ledger import ResponseLedger
from offhook.realtime.objects import ErrorDetails, Response
from offhook.realtime.requests import Mark, ResponseRequest, create_event, read_mark
from offhook.realtime.state import FLOOR_TABLE, REQUEST_TABLE, Floor, FloorInput, Request, RequestInput

ANSWER_TIMEOUT: Final = 10.0
"""Seconds after which a create, a cancel or a "busy" that nothing follows is given up (trap 19)."""

MAX_WAITING: Final = 8
"""How many requests may wait for the floor."""


class _Create(msgspec.Struct):
    """A `response.create` that has been sent, or was refused and waits again."""

    request: ResponseRequest
    event_id: str = ""
    deadline: float = 0.0
    revoked: bool = False


class ResponseSequencer:
    """Decides when a response is asked for or cancelled.

    Args:
        new_event_id: Gives the next client event id.
        send: Takes client events in wire order.
        emit: Takes core events in order.
    """

    def __init__(
        self,
        new_event_id: Callable[[], str],
        send: Callable[[ClientEvent], None],
        emit: Callable[[RealtimeEvent], None],
    ):
        self.ledger = ResponseLedger()
        self.active_response_id: str | None = None
        self.floor = Floor.FREE
        self.request_state = Request.NONE
        self._new_event_id = new_event_id
        self._send = send
        self._emit = emit
        self._create: _Create | None = None
        self._waiting: list[_Create] = []
        self._beside: dict[str, _Create] = {}  # event id -> out-of-band create without answer
        self._beside_active: dict[str, str] = {}  # response id -> tag
        self._floor_deadline: float | None = None

    @property
    def pending_tags(self) -> tuple[str, ...]:
        """Tags of the requests for the floor that are still wanted and have not become a response."""
        sent = () if self._create is None or self._create.revoked else (self._create.request.tag,)
        return (*sent, *(create.request.tag for create in self._waiting))

    def request(self, request: ResponseRequest, now: float) -> None:
        """Ask for a response: now, when the floor is free, or not at all, as the request says."""
        create = _Create(request)
        if request.conversation == "none":
            self._send_create(create, now)
            self._beside[create.event_id] = create
        elif self._is_idle and not self._waiting:
            self._send_default(create, now)
        elif request.only_if_idle:
            self._refuse(create, "OH-RT-12")
        else:
            for index, waiting in enumerate(self._waiting):
                if waiting.request.tag == request.tag:
                    self._waiting[index] = create
                    return
            if len(self._waiting) >= MAX_WAITING:
                self._refuse(create, "OH-RT-11")
            else:
                self._waiting.append(create)

    def withdraw(self, tag: str) -> bool:
        """Take back every request with this tag that has not become a response of the default conversation.

        A waiting one is refused (OH-RT-14), a sent one cancelled as soon as it is created. An out-of-band response is
        cancelled even when it runs. Returns whether there was anything to take back.
        """
        waiting = [create for create in self._waiting if create.request.tag == tag]
        for create in waiting:
            self._waiting.remove(create)
            self._refuse(create, "OH-RT-14")
        found = bool(waiting)
        if self._create is not None and self._create.request.tag == tag:
            self._revoke(self._create)
            found = True
        for create in self._beside.values():
            if create.request.tag == tag:
                create.revoked = found = True
        for response_id, running in self._beside_active.items():
            if running == tag:
                self._send_cancel(response_id)
                found = True
        return found

    def cancel(self, now: float) -> None:
        """Stop the response of the default conversation, also one that is asked for but not created yet (trap 20)."""
        if self.floor is Floor.ACTIVE and self.active_response_id is not None:
            self._send_cancel(self.active_response_id)
            self._move(FloorInput.CANCEL_SENT)
            self._floor_deadline = now + ANSWER_TIMEOUT
        elif self.floor is not Floor.CANCELLING and self._create is not None:
            self._revoke(self._create)

    def created(self, response: Response, now: float) -> None:
        """Take a `response.created`: the answer to our request, or a response that turn detection asked for."""
        response_id = response.id
        if response_id is None or response_id == self.active_response_id or response_id in self._beside_active:
            return
        mark = read_mark(response.metadata)
        if mark is None and response.conversation_id is None:
            mark = self._unmarked()
        create = self._answered(mark)
        revoked = create is not None and create.revoked
        tag = mark.tag if mark is not None else None
        if not self.ledger.started(response_id, tag):
            return
        if mark is not None and mark.beside:
            self._beside_active[response_id] = mark.tag
            self._emit(ResponseStarted(response_id, tag, revoked))
            if revoked:
                self._send_cancel(response_id)
            return
        if self.active_response_id is not None:
            # There is one at a time: the former is over, its response.done was lost or comes too late to matter.
            self._emit(self.ledger.abandoned(self.active_response_id))
        self.active_response_id = response_id
        self._move(FloorInput.CREATED)
        self._emit(ResponseStarted(response_id, tag, revoked))
        if revoked:
            self.cancel(now)

    def done(self, response: Response) -> None:
        """Take a `response.done`; `advance` is to be called when its function outputs have been sent."""
        mark = read_mark(response.metadata)
        self._answered(mark)
        response_id = response.id or self.active_response_id
        if response_id is None:
            return
        beside = self._beside_active.pop(response_id, None) is not None or (mark is not None and mark.beside)
        if not beside and self.active_response_id in (None, response_id):
            self.active_response_id = None
            self._move(FloorInput.DONE)
        if self.ledger.has_ended(response_id):
            return
        tag = mark.tag if mark is not None else None
        if self.ledger.started(response_id, tag):
            self._emit(ResponseStarted(response_id, tag))  # its response.created never came
        self._emit(self.ledger.ended(response_id, response))

    def error(self, error: ErrorDetails, now: float) -> None:
        """Take an `error` that may be about one of our creates (§5.2; the event id may be missing, trap 19)."""
        create = self._create
        if error.code == ACTIVE_RESPONSE and create is not None and error.event_id in (None, create.event_id):
            self._settle(create)
            self._move(FloorInput.BUSY)
            if self.floor is Floor.BLOCKED:
                self._floor_deadline = now + ANSWER_TIMEOUT
            self._wait_again(create)
        elif create is not None and error.event_id == create.event_id:
            self._settle(create)
            self._refuse(create, safe_code(error.code, "OH-RT-13"))
        elif error.event_id in self._beside:
            self._refuse(self._beside.pop(error.event_id), safe_code(error.code, "OH-RT-13"))
        self.advance(now)

    def advance(self, now: float) -> None:
        """Send the next waiting request if the floor is free."""
        if self._is_idle and self._waiting:
            self._send_default(self._waiting.pop(0), now)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        deadlines = [create.deadline for create in self._beside.values()]
        if self._create is not None:
            deadlines.append(self._create.deadline)
        if self._floor_deadline is not None:
            deadlines.append(self._floor_deadline)
        return min(deadlines, default=None)

    def handle_timer(self, now: float) -> None:
        """Give up what was not answered in time."""
        if self._create is not None and self._create.deadline <= now:
            self._refuse(self._settle(self._create), "OH-RT-10")
        for event_id in [event_id for event_id, create in self._beside.items() if create.deadline <= now]:
            self._refuse(self._beside.pop(event_id), "OH-RT-10")
        if self._floor_deadline is not None and self._floor_deadline <= now:
            abandoned = self.active_response_id
            self.active_response_id = None
            self._move(FloorInput.TIMED_OUT)
            if abandoned is not None:
                self._emit(self.ledger.abandoned(abandoned))
        self.advance(now)

    @property
    def _is_idle(self) -> bool:
        return self.floor is Floor.FREE and self.request_state is Request.NONE

    def _unmarked(self) -> Mark | None:
        """Return the mark of the out-of-band create that waits longest, for a server that echoes no metadata.

        Taken for a response of the default conversation it would end the one that runs.
        """
        create = next(iter(self._beside.values()), None)
        return None if create is None else Mark(create.event_id, True, create.request.tag)

    def _answered(self, mark: Mark | None) -> _Create | None:
        """Find the create that a response answers, and count it as answered."""
        if mark is None:
            return None
        if self._create is not None and self._create.event_id == mark.event_id:
            return self._settle(self._create)
        for index, waiting in enumerate(self._waiting):
            # Refused as "busy" by mistake: a refusal without event id can belong to an older create (trap 19).
            if waiting.event_id == mark.event_id:
                return self._waiting.pop(index)
        return self._beside.pop(mark.event_id, None)

    def _wait_again(self, create: _Create) -> None:
        """Queue a create that was refused as busy, in front, unless nobody wants it any more."""
        tags = [waiting.request.tag for waiting in self._waiting]
        if create.revoked:
            self._refuse(create, "OH-RT-14")
        elif create.request.only_if_idle:
            self._refuse(create, "OH-RT-12")
        elif create.request.tag not in tags:
            self._waiting.insert(0, create)

    def _send_default(self, create: _Create, now: float) -> None:
        self._send_create(create, now)
        self._create = create
        self.request_state = REQUEST_TABLE[self.request_state, RequestInput.SENT]

    def _send_create(self, create: _Create, now: float) -> None:
        create.event_id = self._new_event_id()
        create.deadline = now + ANSWER_TIMEOUT
        self._send(create_event(create.request, create.event_id))

    def _settle(self, create: _Create) -> _Create:
        """Count the request as answered, one way or another."""
        self._create = None
        self.request_state = REQUEST_TABLE[self.request_state, RequestInput.ANSWERED]
        return create

    def _revoke(self, create: _Create) -> None:
        create.revoked = True
        self.request_state = REQUEST_TABLE.get((self.request_state, RequestInput.REVOKED), self.request_state)

    def _move(self, what: FloorInput) -> None:
        """Move the floor; every step starts without a deadline."""
        moved = FLOOR_TABLE.get((self.floor, what))
        if moved is not None:
            self.floor = moved
            self._floor_deadline = None

    def _send_cancel(self, response_id: str) -> None:
        # By id: without one the server picks, and picks nothing when several run (§4.6).
        self._send(ResponseCancelEvent(event_id=self._new_event_id(), response_id=response_id))

    def _refuse(self, create: _Create, code: str) -> None:
        self._emit(ResponseRefused(create.request.tag, code))

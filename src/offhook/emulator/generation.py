"""One response on its way out: carries a plan out step by step and ends it properly wherever it is cancelled.

Order of the events: openai-realtime.md §4.1 and §11.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from offhook.emulator.hosted_items import ApprovalItem, HostedCallItem
from offhook.emulator.output import OutputItem
from offhook.emulator.plan import (
    Arguments,
    Begin,
    End,
    Finish,
    HostedOutput,
    Limits,
    Output,
    Plan,
    Run,
    Sound,
    Step,
    Timed,
    Words,
)
from offhook.emulator.script import Answer
from offhook.emulator.surroundings import Surroundings
from offhook.emulator.tokens import Piece, no_usage, output_audio_tokens
from offhook.realtime import (
    UNSET,
    RateLimit,
    RateLimitsUpdatedEvent,
    Response,
    ResponseCreatedEvent,
    ResponseDoneEvent,
    ResponseError,
    ResponseUsage,
    StatusDetails,
)

TOKEN_LIMIT: Final = 800_000
_REFILL_PER_SECOND: Final = 13_333.0

CancelReason = Literal["turn_detected", "client_cancelled"]


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: the fixed properties of a response."""

    shell: Response
    """The response as `response.created` shows it."""
    plan: Plan
    pieces: list[Piece]
    """What the model reads for it."""
    kind: str
    """Output audio format."""
    answer: Answer | None = None
    """The turn that it says; None for an out-of-band response."""
    without_created: bool = False


@dataclass(slots=True)
class Generation:
    """A response: pending until `created_at`, then running, after a cancel closing, at last done. Times in seconds."""

    order: Order
    around: Surroundings
    created_at: float
    created: bool = False
    done: bool = False
    status: str = "in_progress"
    closes_at: float | None = None
    _reason: CancelReason = "client_cancelled"
    _steps: deque[Timed] = field(default_factory=deque)
    _items: list[OutputItem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._items = [self._item(index, output) for index, output in enumerate(self.order.plan.outputs)]
        self._steps = deque(Timed(self.created_at + timed.at, timed.step) for timed in self.order.plan.steps)

    @property
    def id(self) -> str:
        """The response's id."""
        return self.order.shell.id or ""

    @property
    def in_conversation(self) -> bool:
        """Whether its items join the default conversation."""
        return self.order.shell.conversation_id is not None

    @property
    def closing(self) -> bool:
        """Whether it was cancelled and only its end is still to come."""
        return self.closes_at is not None and not self.done

    @property
    def begun(self) -> bool:
        """Whether any item of it has begun."""
        return any(item.status is not None for item in self._items)

    @property
    def audio_ms(self) -> float:
        """Milliseconds of audio sent so far."""
        return sum(item.audio_ms for item in self._items)

    @property
    def call_ids(self) -> list[str]:
        """Call ids of the function calls that are complete."""
        return [item.call_id for item in self._items if item.is_call and item.status == "completed"]

    def next_at(self) -> float:
        """Return when there is something to do next; infinity when it is done."""
        if not self.created:
            return self.created_at
        times = [self._steps[0].at] if self._steps else []
        if self.closing and self.closes_at is not None:
            times.append(self.closes_at)
        return min(times, default=float("inf"))

    def advance(self, now: float) -> None:
        """Send everything that is due, in order."""
        if not self.created and now >= self.created_at:
            self.created = True
            if not self.order.without_created:
                self.around.emit(ResponseCreatedEvent(response=self.order.shell))
        while self.created and not self.done and self.next_at() <= now:
            if self.closes_at is not None and self.closes_at <= self._steps[0].at:
                self._close_cancelled()
            else:
                timed = self._steps.popleft()
                self._take(timed.step, timed.at)

    def cancel(self, reason: CancelReason, at: float, *, in_flight: bool) -> None:
        """Stop generating.

        Args:
            reason: why.
            at: when the end is told; what is due until then still comes.
            in_flight: the next audio, if audio is what comes next, had left already.
        """
        self._reason = reason
        self.closes_at = max(at, self.created_at)
        if in_flight and self.created and isinstance(self._steps[0].step, Sound):
            self._take(self._steps.popleft().step, at)

    def _item(self, index: int, output: Output) -> OutputItem:
        around = self.around
        conversation = around.conversation if self.in_conversation else None
        names = (around.new_id("item"), around.new_id("call"))
        if not isinstance(output, HostedOutput):
            return OutputItem(output, self.id, index, *names, self.order.kind, around.emit, conversation)
        kind = ApprovalItem if output.kind == "approval" else HostedCallItem
        return kind(output, self.id, index, *names, self.order.kind, around.emit, conversation, hosted=output.hosted)

    def _run(self, call: HostedCallItem, asks: int | None, at: float) -> None:
        """Make a call at an MCP server, or wait for leave to; unless its end is planned, it outlasts the response."""
        call.arguments_done()
        if asks is not None:
            self.around.hosted.wait_for_leave(self._items[asks].item_id, call)
        elif call.hosted.outlasts:
            self.around.hosted.run(call, at)
        else:
            call.run(self.around.hosted.call_over)

    def _take(self, step: Step, at: float) -> None:
        match step:
            case Limits():
                self._tell_limits()
            case Begin(index):
                self._items[index].begin()
            case Words(index, text):
                self._items[index].add_words(text)
            case Sound(index, audio):
                self._items[index].add_sound(audio)
            case Arguments(index, text):
                self._items[index].add_arguments(text)
            case Run(index, asks):
                call = self._items[index]
                if isinstance(call, HostedCallItem):
                    self._run(call, asks, at)
            case End(index, status):
                self._items[index].end(status)
            case Finish():
                self._finish(step.status, _details(step))

    def _tell_limits(self) -> None:
        remaining = max(0, TOKEN_LIMIT - self.around.meter.total_tokens)
        reset = round((TOKEN_LIMIT - remaining) / _REFILL_PER_SECOND, 3)
        limit = RateLimit(name="tokens", limit=TOKEN_LIMIT, remaining=remaining, reset_seconds=reset)
        self.around.emit(RateLimitsUpdatedEvent(rate_limits=(limit,)))

    def _close_cancelled(self) -> None:
        for item in self._items:
            if item.open:
                item.end("incomplete")
        self._finish("cancelled", StatusDetails(type="cancelled", reason=self._reason))

    def _finish(self, status: str, details: StatusDetails | None) -> None:
        self.done = True
        self.status = status
        self._steps.clear()
        response = msgspec.structs.replace(
            self.order.shell,
            status=status,
            status_details=details,
            output=tuple(item.item() for item in self._items if item.status is not None),
            usage=self._usage() if self.begun or status == "completed" else no_usage(),
        )
        self.around.emit(ResponseDoneEvent(response=response))

    def _usage(self) -> ResponseUsage:
        text = sum(item.tokens for item in self._items)
        return self.around.meter.usage(self.order.pieces, text, output_audio_tokens(self.audio_ms))


def _details(finish: Finish) -> StatusDetails | None:
    if finish.status == "completed":
        return None
    if finish.failure is None:
        return StatusDetails(type=finish.status, reason=finish.reason)
    error = ResponseError(
        type="invalid_request_error", code=finish.failure.code, message=finish.failure.message or UNSET
    )
    return StatusDetails(type=finish.status, error=error)

"""Which responses run: one in the default conversation, others beside it (openai-realtime.md §5.2, §5.5)."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from offhook.emulator.conversation import Entry, message_text
from offhook.emulator.formats import PCM
from offhook.emulator.generation import CancelReason, Generation, Order
from offhook.emulator.plan import Planner
from offhook.emulator.refusals import Refused
from offhook.emulator.scenario import Call, Scenario, Turn
from offhook.emulator.script import ALL_RIGHT, Answer, Script
from offhook.emulator.settings import (
    Settings,
    check_modalities,
    check_token_limit,
    check_tool_choice,
    forced_function,
    function_names,
)
from offhook.emulator.surroundings import Surroundings
from offhook.emulator.tokens import input_pieces
from offhook.realtime import (
    ACTIVE_RESPONSE,
    CANCEL_NOT_ACTIVE,
    ItemReference,
    MessageItem,
    Response,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseParams,
    Tool,
    ToolChoice,
    UnknownItem,
)
from offhook.realtime.wire import Maybe, given

MAX_BESIDE: Final = 32
"""Out-of-band responses that may run at once."""

CLOSING_SECONDS: Final = 0.03
"""The longest time from a cancel to the end of the response; what is generated until then still arrives."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """The settings of one response: its own where it has some, else those of the session."""

    modality: str
    instructions: str
    own_instructions: str
    tools: tuple[Tool, ...]
    tool_choice: Maybe[str | ToolChoice | None]
    max_tokens: int | str
    output: ResponseAudioOutput


class Responses:
    """Starts, interrupts and cancels responses, and lets them run on the clock given."""

    def __init__(
        self,
        scenario: Scenario,
        settings: Settings,
        script: Script,
        around: Surroundings,
        clip: Callable[[str], bytes],
        rng: random.Random,
    ) -> None:
        self._scenario = scenario
        self._settings = settings
        self._script = script
        self._around = around
        self._planner = Planner(scenario, clip, rng)
        self._rng = rng
        self._main: Generation | None = None
        self._beside: list[Generation] = []
        self._ended: list[Generation] = []
        self.spoken = False

    @property
    def active(self) -> Generation | None:
        """The response of the default conversation that is not done yet."""
        return self._main

    def request(self, params: ResponseParams, now: float) -> None:
        """Carry out a `response.create`.

        Raises:
            Refused: another response is active, or a parameter is wrong.
        """
        wish = self._wish(params)
        conversation = given(params.conversation) or "auto"
        if conversation not in ("auto", "none"):
            raise Refused("invalid_value", f"Invalid value: '{conversation}'.", "response.conversation")
        context = self._context(params)
        created_at = now + self._scenario.created_ms / 1000
        if conversation == "none":
            self._start_beside(wish, context, given(params.metadata), created_at)
            return
        self._check_idle()
        for item in given(params.input) or ():
            if isinstance(item, MessageItem) and item.role == "user":
                self._script.caller_wrote(message_text(item))
        self._start_main(wish, context, given(params.metadata), created_at)

    def answer_turn(self, now: float) -> None:
        """Start the response that turn detection asks for.

        Raises:
            Refused: another response is active.
        """
        if self._main is not None and self._main.closing:
            # The turn may end before the interrupted response has told its end: that end comes first.
            self.advance(max(now, self._main.closes_at or now))
        self._check_idle()
        self._start_main(self._wish(ResponseParams()), self._around.conversation.entries(), None, now)
        self.advance(now)

    def interrupt(self, now: float) -> None:
        """The caller speaks: cancel the response of the default conversation, if one is running."""
        if self._main is not None and not self._main.closing:
            self._cancel(self._main, "turn_detected", now)

    def cancel(self, response_id: str | None, now: float) -> None:
        """Carry out a `response.cancel`; a response that was not created yet is not found (trap 20).

        Raises:
            Refused: there is nothing to cancel.
        """
        running = [*([self._main] if self._main else []), *self._beside]
        for generation in running:
            wanted = generation.in_conversation if response_id is None else generation.id == response_id
            if wanted and generation.created and not generation.closing:
                self._cancel(generation, "client_cancelled", now)
                return
        raise Refused(CANCEL_NOT_ACTIVE, "Cancellation failed: no active response found")

    def next_at(self) -> float:
        """Return when a response has something to send, infinity when none has."""
        running = [*([self._main] if self._main else []), *self._beside]
        return min((generation.next_at() for generation in running), default=float("inf"))

    def advance(self, now: float) -> None:
        """Let all responses send what is due."""
        for generation in [*([self._main] if self._main else []), *self._beside]:
            generation.advance(now)
            self.spoken = self.spoken or generation.audio_ms > 0
            if generation.done:
                self._settle(generation)

    def take_ended(self) -> list[Generation]:
        """Return the responses of the default conversation that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def _settle(self, generation: Generation) -> None:
        """Forget a response; what it left unsaid goes back to the script."""
        if generation is not self._main:
            self._beside.remove(generation)
            return
        self._main = None
        self._ended.append(generation)
        self._around.conversation.calls_finished(generation.call_ids)
        match generation.order.answer, generation.status:
            case Answer() as answer, "cancelled" if not generation.begun:
                self._script.unsaid(answer)
            case Answer() as answer, "failed":
                self._script.unanswered(answer)

    def _cancel(self, generation: Generation, reason: CancelReason, now: float) -> None:
        closes_at = now + self._rng.uniform(0.0, CLOSING_SECONDS)
        generation.cancel(reason, closes_at, in_flight=self._rng.random() < 0.5)

    def _check_idle(self) -> None:
        if self._main is not None:
            raise Refused(
                ACTIVE_RESPONSE,
                f"Conversation already has an active response in progress: {self._main.id}. "
                "Wait until the response is finished before creating a new one.",
            )

    def _context(self, params: ResponseParams) -> list[Entry]:
        """Return what the model reads: the items that were given, otherwise the conversation (§5.5)."""
        items = given(params.input)
        if items is None:
            return self._around.conversation.entries()
        context: list[Entry] = []
        for n, item in enumerate(items):
            if isinstance(item, ItemReference):
                entry = self._around.conversation.find(item.id)
                if entry is None:
                    raise Refused("item_not_found", f"Item with id '{item.id}' not found.", f"response.input[{n}].id")
                context.append(entry)
            elif not isinstance(item, UnknownItem):  # a client's would not have come so far
                context.append(Entry(item, spoken=message_text(item) if isinstance(item, MessageItem) else ""))
        return context

    def _wish(self, params: ResponseParams) -> _Wish:
        session = self._settings.session
        own_modalities = given(params.output_modalities)
        if own_modalities is not None:
            check_modalities(own_modalities, "response.output_modalities")
        check_token_limit(params.max_output_tokens, "response.max_output_tokens")
        tools = given(params.tools)
        tools = self._settings.tools if tools is None else tools
        check_tool_choice(params.tool_choice, tools, "response.tool_choice")
        _check_metadata(given(params.metadata))
        own = given((given(params.audio) or ResponseAudio()).output) or ResponseAudioOutput()
        output = self._settings.output
        instructions = given(params.instructions)
        return _Wish(
            modality=own_modalities[0] if own_modalities else self._settings.modality,
            instructions=self._settings.instructions if instructions is None else instructions,
            own_instructions=instructions or "",
            tools=tools,
            tool_choice=params.tool_choice if given(params.tool_choice) is not None else session.tool_choice,
            max_tokens=_limit(params.max_output_tokens) or _limit(session.max_output_tokens) or "inf",
            output=ResponseAudioOutput(
                format=output.format if given(own.format) is None else own.format,
                voice=output.voice if given(own.voice) is None else own.voice,
            ),
        )

    def _start_main(
        self, wish: _Wish, context: list[Entry], metadata: dict[str, str] | None, created_at: float
    ) -> None:
        answer = self._script.answer(wish.own_instructions, frozenset(function_names(wish.tools)))
        turn = _with_tool_choice(answer.turn, wish)
        shell = self._shell(wish, metadata, self._around.conversation.id)
        self._main = self._generation(turn, answer, wish, shell, context, created_at)

    def _start_beside(
        self, wish: _Wish, context: list[Entry], metadata: dict[str, str] | None, created_at: float
    ) -> None:
        if len(self._beside) >= MAX_BESIDE:
            raise Refused("rate_limit_exceeded", f"At most {MAX_BESIDE} out-of-band responses run at once.")
        turn = _with_tool_choice(self._script.aside(), wish)
        shell = self._shell(wish, metadata, None)
        self._beside.append(self._generation(turn, None, wish, shell, context, created_at))

    def _shell(self, wish: _Wish, metadata: dict[str, str] | None, conversation_id: str | None) -> Response:
        """Return the response as `response.created` shows it."""
        return Response(
            id=self._around.new_id("resp"),
            status="in_progress",
            conversation_id=conversation_id,
            output_modalities=(wish.modality,),
            max_output_tokens=wish.max_tokens,
            audio=ResponseAudio(output=wish.output),
            metadata=metadata,
        )

    def _generation(
        self,
        turn: Turn,
        answer: Answer | None,
        wish: _Wish,
        shell: Response,
        context: list[Entry],
        created_at: float,
    ) -> Generation:
        audio_format = given(wish.output.format)
        kind = audio_format.type if audio_format is not None else PCM
        limit = wish.max_tokens if isinstance(wish.max_tokens, int) else None
        order = Order(
            shell=shell,
            plan=self._planner.plan(turn, modality=wish.modality, kind=kind, max_tokens=limit),
            pieces=input_pieces(self._settings, wish.instructions, context),
            kind=kind,
            answer=answer,
            without_created=turn.without_created,
        )
        return Generation(order, self._around, created_at)


def _limit(limit: Maybe[int | str | None]) -> int | str | None:
    return limit if isinstance(limit, int | str) else None


def _with_tool_choice(turn: Turn, wish: _Wish) -> Turn:
    """Return the turn as the tool choice allows it: without calls, or with a call where one is forced."""
    if wish.tool_choice == "none" and (turn.calls() or turn.hosted_calls()):
        say = turn.say if turn.messages() else ALL_RIGHT
        return turn.model_copy(update={"call": None, "mcp_call": None, "say": say})
    forced = forced_function(wish.tool_choice)
    names = function_names(wish.tools)
    if forced is None and wish.tool_choice == "required" and names:
        forced = names[0] if not turn.calls() else None
    if forced is None or any(call.name == forced for call in turn.calls()):
        return turn
    return turn.model_copy(update={"say": None, "preamble": None, "call": Call(name=forced), "mcp_call": None})


def _check_metadata(metadata: dict[str, str] | None) -> None:
    if metadata is None:
        return
    if len(metadata) > 16:
        raise Refused("invalid_value", "Invalid 'response.metadata': at most 16 pairs.", "response.metadata")
    for key, value in metadata.items():
        if len(key) > 64 or len(value) > 512:
            raise Refused(
                "invalid_value",
                "Invalid 'response.metadata': keys have at most 64 characters, values 512.",
                "response.metadata",
            )

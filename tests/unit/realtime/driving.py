"""Short ways to drive a session from the server's side."""

from typing import Any

from offhook import realtime as rt

CONFIG = rt.SessionConfig(
    output_modalities=("audio",),
    instructions="You answer the phone.",
    audio=rt.AudioConfig(
        input=rt.AudioInput(format=rt.PCMU, turn_detection=rt.ServerVad(create_response=True)),
        output=rt.AudioOutput(format=rt.PCMU, voice="marin"),
    ),
)

DEFAULTS = rt.Session(
    id="sess_1",
    model="gpt-realtime-2.1",
    expires_at=1795363200,
    audio=rt.AudioConfig(
        input=rt.AudioInput(format=rt.AudioFormat("audio/pcm", 24000)),
        output=rt.AudioOutput(format=rt.AudioFormat("audio/pcm", 24000), voice="alloy"),
    ),
)


class Driven:
    """A session with a clock, fed with wire structs."""

    def __init__(self, config: rt.SessionConfig = CONFIG, **kwargs: Any) -> None:
        self.session = rt.RealtimeSession(config, **kwargs)
        self.now = 100.0

    def hear(self, *events: rt.KnownServerEvent | str) -> list[rt.RealtimeEvent]:
        """Let the server say something; returns what the session makes of it."""
        for event in events:
            text = event if isinstance(event, str) else rt.encode_server_event(event)
            self.session.receive_text(text, self.now)
        return self.session.events()

    def sent(self) -> list[rt.ClientEvent]:
        """Return what the session has sent since the last look."""
        events = [rt.decode_client_event(data) for data in self.session.data_to_send()]
        return [event for event in events if not isinstance(event, rt.UnknownEvent)]

    def creates(self) -> list[rt.ResponseCreateEvent]:
        return [event for event in self.sent() if isinstance(event, rt.ResponseCreateEvent)]

    def at(self, now: float) -> list[rt.RealtimeEvent]:
        """Let time pass."""
        self.now = now
        self.session.handle_timer(now)
        return self.session.events()


def ready(config: rt.SessionConfig = CONFIG) -> Driven:
    """Return a session that is READY, its set-up already looked at."""
    driven = Driven(config)
    driven.session.connected(driven.now)
    driven.hear(rt.SessionCreatedEvent(session=DEFAULTS))
    driven.hear(rt.SessionUpdatedEvent(session=rt.merge_config(DEFAULTS, config)))
    assert driven.session.state is rt.SessionState.READY
    driven.sent()
    return driven


def adopted(config: rt.SessionConfig = CONFIG, **kwargs: Any) -> Driven:
    """Return a session that was adopted, before the server has said anything about it."""
    driven = Driven(config, **kwargs)
    driven.session.adopt(rt.encode_server_event(rt.SessionCreatedEvent(session=DEFAULTS)), driven.now)
    return driven


def metadata_of(create: rt.ResponseCreateEvent | None) -> dict[str, str] | None:
    """Return the metadata that a server repeats in the response it creates."""
    if create is None or not isinstance(create.response, rt.ResponseParams):
        return None
    return create.response.metadata or None


def created(
    response_id: str | None, create: rt.ResponseCreateEvent | None = None, conversation_id: str | None = "conv_1"
) -> rt.ResponseCreatedEvent:
    return rt.ResponseCreatedEvent(
        response=rt.Response(
            id=response_id, status="in_progress", conversation_id=conversation_id, metadata=metadata_of(create)
        )
    )


def done(
    response_id: str | None,
    create: rt.ResponseCreateEvent | None = None,
    *,
    status: str | None = "completed",
    **fields: Any,
) -> rt.ResponseDoneEvent:
    return rt.ResponseDoneEvent(
        response=rt.Response(id=response_id, status=status, metadata=metadata_of(create), **fields)
    )


def error(code: str | None, event_id: str | None = None, type: str = "invalid_request_error") -> rt.ErrorEvent:
    return rt.ErrorEvent(error=rt.ErrorDetails(type=type, code=code, message="The server's words.", event_id=event_id))


def call_item(call_id: str, status: str | None = "completed") -> rt.FunctionCallItem:
    return rt.FunctionCallItem(id=f"item_{call_id}", status=status, name="look", call_id=call_id, arguments="{}")


def item_done(response_id: str, item: rt.Item) -> rt.ResponseOutputItemDoneEvent:
    return rt.ResponseOutputItemDoneEvent(response_id=response_id, item=item)

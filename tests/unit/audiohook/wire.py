"""Both roles joined in memory on a virtual clock."""

import dataclasses
from typing import Any

from offhook.audiohook import (
    PCMU_MONO,
    ClientSession,
    ClientState,
    Media,
    OpenedReceived,
    OpenReceived,
    ProtocolViolated,
    RateLimitExceeded,
    ServerSession,
    ServerState,
    ServerViolated,
    SessionEnded,
)
from tests.unit.audiohook.sample import CONVERSATION, ORGANIZATION, SESSION


@dataclasses.dataclass
class Wire:
    """A client and a server with a network between them that takes `delay` seconds each way."""

    delay: float = 0.02
    conversation_id: str = CONVERSATION
    media: tuple[Media, ...] = (PCMU_MONO,)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.server = ServerSession(session_id=SESSION, organization_id=ORGANIZATION, now=self.now)
        self.client = ClientSession(
            session_id=SESSION,
            organization_id=ORGANIZATION,
            conversation_id=self.conversation_id,
            media=self.media,
        )
        self.to_server: list[tuple[float, str | bytes]] = []
        self.to_client: list[tuple[float, str | bytes]] = []
        self.server_events: list[Any] = []
        self.client_events: list[Any] = []
        self.dropped = False

    def run(self, seconds: float = 0.2) -> None:
        """Let time pass: deliver what is under way and call the timers, in order of time."""
        end = self.now + seconds
        while True:
            self._collect()
            times = [self.to_server[0][0] if self.to_server else None, self.to_client[0][0] if self.to_client else None]
            times += [self.server.next_timer(), self.client.next_timer()]
            due = min((time for time in times if time is not None), default=end)
            if due > end:
                break
            self.now = max(self.now, due)
            self._step()
            if due == end:
                break
        self.now = end

    def _collect(self) -> None:
        self.to_server += [(self.now + self.delay, data) for data in self.client.data_to_send()]
        self.to_client += [(self.now + self.delay, data) for data in self.server.data_to_send()]
        self.server_events += self.server.events()
        self.client_events += self.client.events()
        if self.client.close_expected() and not self.dropped and not self.to_server:
            self.dropped = True
            self.server.receive_eof(self.now)
            self.client.receive_eof(self.now)
            self.server_events += self.server.events()

    def _step(self) -> None:
        while self.to_server and self.to_server[0][0] <= self.now:
            data = self.to_server.pop(0)[1]
            if isinstance(data, str):
                self.server.receive_text(data, self.now)
            else:
                self.server.receive_audio(data, self.now)
        while self.to_client and self.to_client[0][0] <= self.now:
            data = self.to_client.pop(0)[1]
            if isinstance(data, str):
                self.client.receive_text(data, self.now)
            else:
                self.client.receive_audio(data, self.now)
        self.server.handle_timer(self.now)
        self.client.handle_timer(self.now)

    def open(self, **options: Any) -> "Wire":
        self.client.send_open(self.now, **options)
        self.run()
        assert isinstance(self.server_events[0], OpenReceived)
        self.server.send_opened(self.now)
        self.run()
        assert isinstance(self.client_events[0], OpenedReceived)
        return self

    def both_ended_clean(self) -> None:
        assert self.server_events[-1] == self.client_events[-1] == SessionEnded(clean=True)
        assert self.server.state is ServerState.ENDED
        assert self.client.state is ClientState.ENDED
        for event in (*self.server_events, *self.client_events):
            assert not isinstance(event, ProtocolViolated | ServerViolated | RateLimitExceeded)

"""What a supervisor and a worker say to each other, over a socket pair that dies with either of them."""

import asyncio
import itertools
import socket
import struct
from typing import Self, TypeVar

import msgspec

from offhook.gateway.control import ReloadOutcome

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A configuration file may have 4 MiB, and needs room for escapes."""

MAX_ASKED = 1000
"""Questions that may wait for their answers; further ones fail at once."""

CLOSE_TIMEOUT = 1.0
"""Seconds that the other process has to read what was sent last."""

_LENGTH = struct.Struct("!I")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One message; `id` joins a question and its answer."""

    id: int = 0


# What the supervisor says:


class Begin(Message, frozen=True, kw_only=True):
    """Be a worker. The first message, once."""

    app: str | None = None
    """`module:attribute` of a gateway in Python; None = `text` is the configuration."""
    settings: dict[str, str] = {}
    """Settings of the command line that go with `app`."""
    source: str = ""
    """Name of the configuration file, for problems."""
    text: str = ""
    fixed_text: str = ""
    """Where the settings come from that only a restart changes."""
    overrides: tuple[str, ...] = ()
    number: int = 0
    slot: int = 0
    slots: int = 1
    scoreboard: int = -1
    """Descriptor of the scoreboard."""
    sockets: tuple[int, ...] = ()
    """Descriptors of the listening sockets."""


class Reload(Message, frozen=True, kw_only=True):
    """Go by this configuration from now on; answered with `Reloaded`."""

    text: str


class AskProviders(Message, frozen=True, kw_only=True):
    """How are the providers? Answered with `Providers`."""


class Drain(Message, frozen=True, kw_only=True):
    """The whole gateway stops."""


class HandOver(Message, frozen=True, kw_only=True):
    """A successor listens: carry your calls to their end and go."""


class Cut(Message, frozen=True, kw_only=True):
    """End all calls now and go."""


class NonceChecked(Message, frozen=True, kw_only=True):
    """Answers `CheckNonce`."""

    fresh: bool


# What a worker says:


class Ready(Message, frozen=True, kw_only=True):
    """New calls are taken."""


class Failed(Message, frozen=True, kw_only=True):
    """It cannot be started."""

    status: int
    """For the exit of the command: 2 = the configuration is wrong, 1 = something else."""
    lines: tuple[str, ...]


class StopAsked(Message, frozen=True, kw_only=True):
    """Somebody sent this process SIGTERM."""


class CheckNonce(Message, frozen=True, kw_only=True):
    """Is this nonce new? Answered with `NonceChecked`."""

    digest: str
    """Of the key's ID and the nonce, neither of which leaves the worker."""


class Reloaded(Message, frozen=True, kw_only=True):
    """Answers `Reload`."""

    outcome: ReloadOutcome


class Providers(Message, frozen=True, kw_only=True):
    """Answers `AskProviders`."""

    states: dict[str, str]


Answer = NonceChecked | Reloaded | Providers
Order = Begin | Reload | AskProviders | Drain | HandOver | Cut | Ready | Failed | StopAsked | CheckNonce
Asked = TypeVar("Asked", bound=Message)

_decoder = msgspec.msgpack.Decoder(Order | Answer)
_encoder = msgspec.msgpack.Encoder()


class ChannelClosed(Exception):
    """The other process is gone, or does not read."""


class Channel:
    """Typed messages both ways. Somebody has to be in `receive` for `ask` to get its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self.closed = False
        """The other process is gone."""

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Speak over one end of a socket pair."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: Message) -> None:
        """Send without waiting; nothing happens once the other process is gone."""
        if not self.closed:
            data = _encoder.encode(message)
            self._writer.write(_LENGTH.pack(len(data)) + data)

    async def receive(self) -> Order | None:
        """Return the next message that is no answer; None when the other process is gone."""
        while True:
            try:
                (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if size > MAX_MESSAGE_BYTES:
                    raise EOFError
                message: Order | Answer = _decoder.decode(await self._reader.readexactly(size))
            except (EOFError, OSError, msgspec.MsgspecError):
                self._end()
                return None
            if not isinstance(message, Answer):
                return message
            asked = self._asked.pop(message.id, None)
            if asked is not None and not asked.done():
                asked.set_result(message)

    async def ask(self, question: Message, answer: type[Asked], seconds: float) -> Asked:
        """Send a question and return its answer.

        Raises:
            ChannelClosed: there is nobody to ask, or too many questions wait.
            TimeoutError: no answer within so many seconds.
        """
        if self.closed or len(self._asked) >= MAX_ASKED:
            raise ChannelClosed
        number = next(self._ids)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self.send(msgspec.structs.replace(question, id=number))
        try:
            async with asyncio.timeout(seconds):
                found = await asked
        finally:
            self._asked.pop(number, None)
        if not isinstance(found, answer):
            raise ChannelClosed
        return found

    async def close(self) -> None:
        """Send what is left and close."""
        self._end()
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()

    def _end(self) -> None:
        self.closed = True
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ChannelClosed())

"""A Genesys that does what it should not, or what it does under stress: to see what a server makes of it."""

from typing import Any

import msgspec

from offhook.audiohook.client import ClientSession


class OddSession(ClientSession):
    """A client session with a few more things to say; otherwise it is the strict one."""

    _opening: str | bytes = ""

    def send_open(self, now: float, **parameters: Any) -> None:
        """Begin the session."""
        super().send_open(now, **parameters)
        self._opening = self._link.out[-1]

    def repeat_open(self) -> None:
        """Send `open` once more (audiohook.md §3.7 no. 6)."""
        message = msgspec.json.decode(self._opening)
        self._link.seq += 1
        message |= {"seq": self._link.seq, "serverseq": self._link.serverseq}
        self._link.out.append(msgspec.json.encode(message).decode())

    def send_malformed(self) -> None:
        """Send a text message that breaks off in the middle."""
        self._link.out.append('{"version":"2","type":"pi')

    def withhold_pings(self, seconds: float, now: float) -> None:
        """Send no ping for so long."""
        if self._ping_at is not None:
            self._ping_at = max(self._ping_at, now + seconds)

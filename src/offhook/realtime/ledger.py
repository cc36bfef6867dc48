"""The book of responses: what each one held, and that each ends exactly once."""

import msgspec

from offhook.realtime.errors import CODES, bounded, safe_code
from offhook.realtime.events import ResponseEnded
from offhook.realtime.objects import Response, ResponseError, StatusDetails
from offhook.realtime.usage import token_usage
from offhook.realtime.wire import given

MAX_RECORDS = 64
"""How many running, and how many ended, responses are remembered; a sane session has a handful."""


class _Record(msgspec.Struct):
    """What a running response has produced so far; `announced` once its owner knows of it."""

    announced: bool = False
    tag: str | None = None
    item_ids: list[str] = msgspec.field(default_factory=list)
    has_audio: bool = False


class ResponseLedger:
    """Follows each response from its first sign to its one `ResponseEnded`."""

    def __init__(self) -> None:
        self._running: dict[str, _Record] = {}
        self._ended: dict[str, None] = {}

    def started(self, response_id: str, tag: str | None) -> bool:
        """Open a response; False when it has been announced or has ended before."""
        record = self._record(response_id)
        if record is None or record.announced:
            return False
        record.announced = True
        record.tag = tag
        return True

    def has_ended(self, response_id: str) -> bool:
        """Tell whether the response is over."""
        return response_id in self._ended

    def item_started(self, response_id: str, item_id: str) -> None:
        """Note an item of a response."""
        record = self._record(response_id)
        if record is not None and item_id not in record.item_ids:
            record.item_ids.append(item_id)

    def audio_received(self, response_id: str) -> None:
        """Note that a response can be heard (trap 8: some complete without audio)."""
        record = self._record(response_id)
        if record is not None:
            record.has_audio = True

    def ended(self, response_id: str, response: Response) -> ResponseEnded:
        """Close a response by its `response.done`."""
        record = self._close(response_id)
        for item in response.output or ():
            item_id = given(item.id)
            if item_id is not None and item_id not in record.item_ids:
                record.item_ids.append(item_id)
        details = response.status_details or StatusDetails()
        failed = response.status == "failed"
        error = given(details.error) or (ResponseError() if failed else None)
        return ResponseEnded(
            response_id=response_id,
            tag=record.tag,
            status=response.status or "unknown",
            reason=given(details.reason),
            error_code=safe_code(given(error.code)) if error else None,
            error_message=CODES["OH-RT-09"] if error else None,
            item_ids=tuple(record.item_ids),
            has_audio=record.has_audio,
            usage=token_usage(response.usage) if response.usage is not None else None,
            error_detail=bounded(given(error.message)) if error else None,
        )

    def abandoned(self, response_id: str) -> ResponseEnded:
        """Close a response whose `response.done` will not come."""
        record = self._close(response_id)
        return ResponseEnded(
            response_id=response_id,
            tag=record.tag,
            status="unknown",
            reason=None,
            error_code=None,
            error_message=None,
            item_ids=tuple(record.item_ids),
            has_audio=record.has_audio,
            usage=None,
        )

    def _record(self, response_id: str) -> _Record | None:
        """Return the record of a running response, opening one at its first sign; None when it has ended."""
        record = self._running.get(response_id)
        if record is None and response_id not in self._ended:
            record = self._running[response_id] = _Record()
            _forget_oldest(self._running)
        return record

    def _close(self, response_id: str) -> _Record:
        self._ended[response_id] = None
        _forget_oldest(self._ended)
        return self._running.pop(response_id, None) or _Record()


def _forget_oldest(records: dict[str, _Record] | dict[str, None]) -> None:
    if len(records) > MAX_RECORDS:
        del records[next(iter(records))]

"""HTTP requests as tools, described in the configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from offhook.tools.base import CallContext, Tool, ToolDefinition, ToolError, ToolResult, ToolUnavailable
from offhook.tools.http_exchange import Answer, Exchange, carried_out, unknown
from offhook.tools.http_request import Request, RequestTemplate
from offhook.tools.http_settings import HttpToolSettings
from offhook.tools.pointer import PointerError, resolve_pointer
from offhook.tools.resources import ToolResources
from offhook.tools.settings import Settings
from offhook.tools.templates import RenderFailed, ValueMissing

_NO_JSON: Any = object()

_log = structlog.get_logger("offhook.tools")


class HttpEntry(Settings):
    """A request to a service."""

    http: HttpToolSettings

    def resolve(self) -> "HttpTool":
        """Return the tool."""
        return HttpTool(self)


class HttpTool:
    """One request as a tool, and the source of it: it needs the HTTP clients of the gateway.

    Args:
        entry: its settings, as they were written.
    """

    def __init__(self, entry: HttpEntry) -> None:
        self.entry = entry
        self._settings = settings = entry.http
        self._template = RequestTemplate(settings)
        self.policy = settings.policy()
        self.definition = ToolDefinition(settings.name, settings.description, settings.schema_of_arguments)
        self._exchange: Exchange | None = None
        self._seconds = 0.0

    @property
    def tools(self) -> Sequence[Tool]:
        """The tool itself."""
        return (self,)

    async def open(self, resources: ToolResources) -> None:
        """Take the HTTP clients."""
        self._exchange = Exchange(self._settings, resources.http)
        self._seconds = self._settings.timeout or resources.tool_timeout

    async def close(self) -> None:
        """Give them back."""
        self._exchange = None

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """Send the request and return what the settings select of the answer.

        Raises:
            ToolError: the arguments make no request, the service refuses it, or its answer cannot be used.
            ToolUnavailable: the service fails, or cannot be reached.
        """
        if self._exchange is None:
            raise ToolError("the tool is not ready")
        answer = await self._exchange.send(self._request(arguments, context), self._seconds)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer.status)
        return self._result(answer)

    def _request(self, arguments: dict[str, Any], context: CallContext) -> Request:
        try:
            return self._template.render(arguments, context)
        except ValueMissing as missing:
            if missing.owner == "args":
                text = f"the argument {missing.name} is missing" if missing.name else "an argument is missing"
                raise ToolError(text) from None
            _log.warning("http_template_failed", tool=self._settings.name, missing=f"{missing.owner}.{missing.name}")
            raise ToolError("the tool cannot be used in this call") from None
        except RenderFailed as failure:
            _log.warning("http_template_failed", tool=self._settings.name, problem=failure.reason)
            raise ToolError("no request can be made of these arguments") from None

    def _refusal(self, status: int) -> ToolError:
        _log.warning("http_refused", tool=self._settings.name, status=status)
        said = self._settings.errors.get(status)
        if status >= 500:
            return ToolUnavailable(f"{said or 'the service failed'} (status {status}){unknown(self._settings)}")
        if status == 429:
            return ToolUnavailable(f"{said or 'the service is busy'} (status {status})")
        if status >= 400:
            return ToolError(f"{said or 'the service refused the request'} (status {status})")
        # Some services answer a write with a redirect to what it made.
        redirected = said or "the service redirects, which is not followed"
        return ToolError(f"{redirected} (status {status}){unknown(self._settings)}")

    def _result(self, answer: Answer) -> ToolResult:
        settings = self._settings
        data = _parse(answer.body)
        if data is _NO_JSON:
            # What is to be taken out of an answer can only be found in JSON.
            if settings.result is not None or settings.outputs or settings.redact:
                raise self._useless("is not JSON")
            if answer.is_json and answer.body:
                raise self._useless("is not the JSON that it should be")
            return ToolResult(self._text(answer.body) or "done")
        return ToolResult(self._selected(data), outputs=_found(data, settings.outputs))

    def _selected(self, data: Any) -> Any:
        selection = self._settings.result
        if selection is None:
            return data
        try:
            if isinstance(selection, str):
                return resolve_pointer(data, selection)
            return {name: resolve_pointer(data, pointer) for name, pointer in selection.items()}
        except PointerError as error:
            raise ToolError(f"{carried_out(self._settings)}in the service's answer {error}") from None

    def _text(self, body: bytes) -> str:
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self._useless("is not text") from None

    def _useless(self, problem: str) -> ToolError:
        return ToolError(f"{carried_out(self._settings)}the service's answer {problem}")


def _parse(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NO_JSON


def _found(data: Any, outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the output variables that the answer has a value for; the others keep theirs."""
    values: dict[str, Any] = {}
    for name, pointer in outputs.items():
        try:
            value = resolve_pointer(data, pointer)
        except PointerError:
            continue
        if value is not None:
            values[name] = value
    return values

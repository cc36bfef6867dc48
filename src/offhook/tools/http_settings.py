"""What can be configured of an HTTP tool. Every mistake that shows before the first call is found here."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from offhook.tools.base import MAX_NAME_CHARS
from offhook.tools.hints import did_you_mean
from offhook.tools.http_url import UrlFault, UrlTemplate
from offhook.tools.parameters import check_parameters
from offhook.tools.settings import ResponseSettings
from offhook.tools.templates import Template, TemplateFault
from offhook.tools.values import as_text, is_one_line

#: Methods that change nothing: their requests may be repeated.
SAFE_METHODS = frozenset({"GET", "HEAD"})
#: Repeats of a request that may be repeated, unless the settings say otherwise.
RETRIES = 2
#: Bytes of an answer that are read, unless the settings say otherwise.
MAX_ANSWER_BYTES = 256 * 1024
#: Of a tool without arguments.
NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# These are the connection's, or say how the body is written.
_RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_HIDDEN = "**********"

_Place = tuple[str | int, ...]


def _text(value: object) -> object:
    """Take numbers and ``true`` as the texts that they are sent as; a secret without the line feed of its file."""
    if isinstance(value, bool | int | float):
        return as_text(value)
    return value.strip() if isinstance(value, str) else value


def _hide(value: object) -> str | None:
    return None if value is None else _HIDDEN


Hidden = Annotated[SecretStr, BeforeValidator(_text)]
"""A text that may hold a secret."""


class HttpToolSettings(ResponseSettings):
    """A request to a service as a tool. Texts are templates over ``args.NAME``, ``input.NAME`` and ``call.NAME``."""

    name: str = Field(
        pattern=rf"^[A-Za-z0-9_-]{{1,{MAX_NAME_CHARS}}}$",
        description="What the model calls it by: letters, digits, _ and -.",
    )
    description: str = Field(min_length=1, description="Tells the model what it does and when to use it.")
    method: Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"] = Field(
        default="GET", description="Anything but GET and HEAD is a write: it goes out once, whatever happens."
    )
    idempotent: bool = Field(
        default=False, description="A repeat of the write does no harm, so that it may be tried again."
    )
    idempotency_header: str | None = Field(
        default="Idempotency-Key",
        description="Header of every write that is the same for its repeats and for nothing else; null for none.",
    )
    allow_private: bool = Field(
        default=False, description="It may reach addresses that are not of the public Internet, like 10.0.0.7."
    )
    parameters: Mapping[str, Any] | None = Field(
        default=None, description="JSON schema of the arguments, of type object; left out: there are none."
    )
    url: str = Field(
        description="https://HOST/path; the host is fixed. A value in path or query is percent-encoded as one piece."
    )
    headers: Mapping[str, Hidden] = Field(default={}, description="Further headers, by name; never shown.")
    query: Mapping[str, Hidden] = Field(
        default={}, description="Query parameters, by name; those that come to nothing are left out. Never shown."
    )
    body: Annotated[Any, PlainSerializer(_hide)] = Field(
        default=None,
        repr=False,
        description="Sent as JSON. A text that is nothing but one argument keeps its type; "
        "a text whose argument is missing is left out. Never shown.",
    )
    form: Mapping[str, Hidden] | None = Field(
        default=None, description="Sent as a form instead, by name; what comes to nothing is left out. Never shown."
    )
    retries: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description=f"Repeats after a failure that may pass; left out: {RETRIES} where a repeat does no harm, else 0.",
    )
    max_bytes: int = Field(
        default=MAX_ANSWER_BYTES, ge=1, le=512 * 1024, description="A longer answer is an error for the model."
    )
    errors: Mapping[Annotated[int, Field(ge=300, le=599)], str] = Field(
        default={}, description="What the model is told of an answer, by its status."
    )

    @property
    def schema_of_arguments(self) -> Mapping[str, Any]:
        """The JSON schema of the arguments, also where there are none."""
        return NO_PARAMETERS if self.parameters is None else self.parameters

    @property
    def repeatable(self) -> bool:
        """A repeat of the request does no harm."""
        return self.idempotent or self.method in SAFE_METHODS

    @property
    def attempts(self) -> int:
        """How often the request goes out at most."""
        if not self.repeatable:
            return 1
        return 1 + (RETRIES if self.retries is None else self.retries)

    @field_validator("idempotency_header")
    @classmethod
    def _check_idempotency_header(cls, name: str | None) -> str | None:
        if name is not None:
            _check_header_name(name)
        return name

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, parameters: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if parameters is not None:
            _raise(_problem(place, "parameters", text) for place, text in check_parameters(parameters))
        return parameters

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str, info: ValidationInfo) -> str:
        try:
            compiled = UrlTemplate(url, private=bool(info.data.get("allow_private")))
        except UrlFault as fault:
            raise PydanticCustomError("tool_url", "{problem}", {"problem": str(fault)}) from fault
        except TemplateFault as fault:
            _raise([_fault((), fault.text, fault.line)])
        else:
            _raise(_unknown_arguments((), compiled.template, info))
        return url

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: Mapping[str, SecretStr], info: ValidationInfo) -> Mapping[str, SecretStr]:
        problems = list(_check_header_names(headers, info))
        for name, value in headers.items():
            problems += _check_secret((name,), value, info)
            if not is_one_line(value.get_secret_value()):
                problems.append(_problem((name,), "tool_header", "a header is one line"))
        _raise(problems)
        return headers

    @field_validator("query", "form")
    @classmethod
    def _check_texts(
        cls, texts: Mapping[str, SecretStr] | None, info: ValidationInfo
    ) -> Mapping[str, SecretStr] | None:
        found = (texts or {}).items()
        _raise(problem for name, value in found for problem in _check_secret((name,), value, info))
        return texts

    @field_validator("body", "form")
    @classmethod
    def _check_payload(cls, payload: Any, info: ValidationInfo) -> Any:
        if payload is None:
            return payload
        method = info.data.get("method")
        if method in SAFE_METHODS:
            raise PydanticCustomError("tool_body", "{problem}", {"problem": f"a {method} request has no body"})
        if info.field_name == "form" and info.data.get("body") is not None:
            raise PydanticCustomError("tool_body", "a request has a body or a form, not both")
        if info.field_name == "body":
            _check_json(payload)
            leaves = list(_texts(payload))
            _raise(problem for place, text in leaves for problem in _check_secret(place, SecretStr(text), info))
        return payload

    @field_validator("retries")
    @classmethod
    def _check_retries(cls, retries: int | None, info: ValidationInfo) -> int | None:
        method = info.data.get("method")
        if retries and method is not None and method not in SAFE_METHODS and not info.data.get("idempotent"):
            text = f"a {method} request goes out once; leave this out, or say idempotent: true if a repeat does no harm"
            raise PydanticCustomError("tool_retries", "{problem}", {"problem": text})
        return retries


def _check_header_name(name: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise PydanticCustomError("tool_header", "this cannot be the name of a header")
    if name.lower() in _RESERVED_HEADERS:
        raise PydanticCustomError("tool_header", "this header is set by offhook")


def _check_header_names(headers: Mapping[str, object], info: ValidationInfo) -> Iterator[InitErrorDetails]:
    seen = {str(info.data.get("idempotency_header")).lower()} if info.data.get("method") not in SAFE_METHODS else set()
    for name in headers:
        try:
            _check_header_name(name)
        except PydanticCustomError as error:
            yield {"type": error, "loc": (name, "[key]"), "input": None}
        if name.lower() in seen:
            yield _problem((name, "[key]"), "tool_header", "this header is there twice, or is the idempotency_header")
        seen.add(name.lower())


def _check_json(value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise PydanticCustomError("tool_body", "this cannot be written as JSON") from error


def _texts(value: Any, place: _Place = ()) -> Iterator[tuple[_Place, str]]:
    """Yield every text of a body and where it stands."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, (*place, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*place, index))


def _check_secret(place: _Place, secret: SecretStr, info: ValidationInfo) -> Iterator[InitErrorDetails]:
    """Yield what is wrong with a template that may hold a secret, without a word of it."""
    try:
        template = Template(secret.get_secret_value(), arguments=True)
    except TemplateFault as fault:
        text = "the template cannot be used; it is Jinja over args.NAME, input.NAME and call.NAME"
        yield _fault(place, text, fault.line)
    else:
        yield from _unknown_arguments(place, template, info)


def _unknown_arguments(place: _Place, template: Template, info: ValidationInfo) -> Iterator[InitErrorDetails]:
    # Without valid parameters there is another problem, which comes first.
    if "parameters" not in info.data:
        return
    known = (info.data["parameters"] or NO_PARAMETERS).get("properties", {})
    for name, line in template.arguments:
        if name not in known:
            yield _fault(place, f"there is no parameter {name}{did_you_mean(name, known)}", line)


def _fault(place: _Place, text: str, line: int) -> InitErrorDetails:
    error = PydanticCustomError("template", "{problem}", {"problem": text, "line": line})
    return {"type": error, "loc": place, "input": None}


def _problem(place: _Place, kind: str, text: str) -> InitErrorDetails:
    # The text goes in as a value: pydantic would read braces in it as placeholders.
    return {"type": PydanticCustomError(kind, "{problem}", {"problem": text}), "loc": place, "input": None}


def _raise(problems: Iterator[InitErrorDetails] | list[InitErrorDetails]) -> None:
    found = list(problems)
    if found:
        raise ValidationError.from_exception_data("HttpToolSettings", found, hide_input=True)

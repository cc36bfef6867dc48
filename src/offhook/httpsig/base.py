"""What is signed: the components of a request and the signature base made of them (audiohook.md §2.2).

Genesys signs with the draft-11 generation of HTTP Message Signatures::

    Signature-Input: sig1=("@request-target" "@authority" "x-api-key");keyid="...";nonce="...";created=1641013200
    Signature: sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:

The signature base has one line per component in the order of ``Signature-Input`` and ends with the line of
``@signature-params``, which repeats the inner list as it was sent; lines are joined by one LF, without one at the end.
Orders differ between the documentation and real Genesys (trap 15), so neither is ever taken from a template.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import http_sf
from http_sf.innerlist import ser_innerlist

REQUEST_TARGET = "@request-target"
AUTHORITY = "@authority"

#: What a signature must cover, at least (audiohook.md §2.2).
REQUIRED_COMPONENTS = frozenset(
    {
        REQUEST_TARGET,
        AUTHORITY,
        "audiohook-organization-id",
        "audiohook-session-id",
        "audiohook-correlation-id",
        "x-api-key",
    }
)

#: Longest header text that is looked at; an honest one has about 400 characters.
MAX_FIELD_CHARS = 8192
#: Most components that a signature may cover.
MAX_COMPONENTS = 32

_STRING_PARAMETERS = frozenset({"keyid", "nonce", "alg", "tag"})
_INTEGER_PARAMETERS = frozenset({"created", "expires"})
_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")
_DERIVED_VALUE = re.compile(r"[\x21-\x7e]+")


class MalformedSignature(ValueError):
    """A signature header, or a value that it covers, breaks the format; the text names no value of the request."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of an upgrade request that a signature can cover.

    ``request_target`` is the raw path and query as sent, ``authority`` the ``Host`` header, ``headers`` maps
    lower-case names to values (several lines of one name joined by ``", "``).
    """

    request_target: str
    authority: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SignatureInput:
    """One parsed member of ``Signature-Input``."""

    label: str
    components: tuple[str, ...]
    #: The member's inner list with its parameters, serialised: the value of ``@signature-params``.
    serialized: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return the string parameter called ``name``."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """Return the integer parameter called ``name``: a Unix time in seconds."""
        value = self.parameters.get(name)
        return value if isinstance(value, int) else None


def parse_signature_headers(signature_input: str, signature: str) -> tuple[SignatureInput, bytes]:
    """Read the two headers and return the signature to look at and its raw bytes.

    The label is not signed, so it carries no meaning: ``sig1`` is taken where there are several (a proxy may add its
    own), and the only one otherwise.
    """
    inputs = _parse_dictionary("Signature-Input", signature_input)
    signatures = _parse_dictionary("Signature", signature)
    labels = [label for label in inputs if label in signatures]
    if "sig1" in labels:
        labels = ["sig1"]
    if len(labels) != 1:
        raise MalformedSignature("Signature and Signature-Input have no label in common, or several")
    return _read_input(labels[0], inputs[labels[0]]), _read_signature(signatures[labels[0]])


def signature_base(request: SignedRequest, components: tuple[str, ...], serialized: str) -> bytes:
    """Return the bytes that the HMAC is made of."""
    lines = [f'"{name}": {component_value(request, name)}' for name in components]
    lines.append(f'"@signature-params": {serialized}')
    return "\n".join(lines).encode("ascii")


def component_value(request: SignedRequest, name: str) -> str:
    """Return the value of one component; MalformedSignature if the request has no such thing."""
    if name == REQUEST_TARGET:
        value = request.request_target
    elif name == AUTHORITY:
        value = normalize_authority(request.authority)
    else:
        return _header_value(request.headers, name)
    if not _DERIVED_VALUE.fullmatch(value):
        raise MalformedSignature(f"{name} is empty or has a character that cannot be signed")
    return value


def normalize_authority(authority: str) -> str:
    """Return ``authority`` as it is signed: lower case, without the default port of ``wss``."""
    return authority.strip().lower().removesuffix(":443")


def serialize_input(components: tuple[str, ...], parameters: Mapping[str, str | int]) -> str:
    """Return the inner list with its parameters, in the order given: the value of ``@signature-params``."""
    return ser_innerlist((list(components), dict(parameters)))


def _header_value(headers: Mapping[str, str], name: str) -> str:
    if not _FIELD_NAME.fullmatch(name):
        raise MalformedSignature("a component is neither a header name nor a derived component known here")
    # Any other name is the peer's text, and none for a log.
    shown = f"the header {name}" if name in REQUIRED_COMPONENTS else "a header"
    if name not in headers:
        raise MalformedSignature(f"{shown} is covered by the signature and not in the request")
    value = headers[name].strip(" \t")
    if not _FIELD_VALUE.fullmatch(value):
        raise MalformedSignature(f"{shown} has a character that cannot be signed")
    return value


def _parse_dictionary(name: str, text: str) -> http_sf.DictionaryType:
    if len(text) > MAX_FIELD_CHARS:
        raise MalformedSignature(f"{name} is too long")

    def refuse(_key: str, _context: str) -> None:
        raise MalformedSignature(f"{name} has something twice")

    try:
        parsed = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse)
    except MalformedSignature:
        raise
    except (ValueError, OverflowError) as error:
        raise MalformedSignature(f"{name} is not a dictionary of structured fields") from error
    # parse() promises a union; "dictionary" makes it this one.
    return parsed if isinstance(parsed, dict) else {}


def _read_signature(member: object) -> bytes:
    value = member[0] if isinstance(member, tuple) else member
    if not isinstance(value, bytes):
        raise MalformedSignature("Signature holds no bytes (:base64:)")
    return value


def _read_input(label: str, member: object) -> SignatureInput:
    items, parameters = member if isinstance(member, tuple) else (member, {})
    if not isinstance(items, list):
        raise MalformedSignature("Signature-Input holds no list of components")
    if len(items) > MAX_COMPONENTS:
        raise MalformedSignature("Signature-Input covers too many components")
    components = tuple(_read_component(item) for item in items)
    if len(set(components)) != len(components):
        raise MalformedSignature("Signature-Input covers a component twice")
    for name, value in parameters.items():
        _check_parameter(name, value)
    return SignatureInput(label, components, serialize_input(components, parameters), parameters)


def _read_component(item: object) -> str:
    value, parameters = item if isinstance(item, tuple) else (item, {})
    if not isinstance(value, str) or parameters:
        raise MalformedSignature("a component of Signature-Input is not a plain quoted name")
    return value


def _check_parameter(name: str, value: object) -> None:
    # http_sf's tokens are no str, and a boolean is no integer here.
    if name in _STRING_PARAMETERS:
        if not isinstance(value, str):
            raise MalformedSignature(f"the parameter {name} of Signature-Input is not a quoted string")
    elif name in _INTEGER_PARAMETERS:
        if type(value) is not int:
            raise MalformedSignature(f"the parameter {name} of Signature-Input is not a whole number")
    else:
        raise MalformedSignature("Signature-Input has an unknown parameter")

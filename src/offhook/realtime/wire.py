"""The two kinds of "nothing" on the Realtime wire, shared by every struct of this package.

The API tells an absent field ("leave it as it is") from an explicit null ("turn it off", openai-realtime.md §3).
`Maybe[T]` is a field that may be absent (`msgspec.UNSET`); `Maybe[T | None]` may also be null.
Structs never use `omit_defaults`: UNSET alone decides what stays off the wire.
"""

from typing import TypeAlias, TypeVar

from msgspec import UNSET, UnsetType

T = TypeVar("T")

Maybe: TypeAlias = T | UnsetType
"""A field that may be absent from the message."""


def given(value: T | UnsetType | None) -> T | None:
    """Return the value, with absent and null both read as None."""
    return None if value is UNSET or value is None else value

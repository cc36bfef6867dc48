"""The environment of templates: no way to Python from them, and no number in a value that takes all memory.

Jinja's sandbox keeps templates from attributes that lead out, from changing what they are given, and from long ranges.
It does not count what a number makes of a short text, as in ``{{ args.name * args.count }}``; this does. What else a
template makes of the texts that it is given is up to the operator, who wrote it.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: Largest rendered text, in bytes of UTF-8; nothing on the way to it may be much larger.
MAX_TEXT_BYTES = 64 * 1024
#: Largest width of a column, and most columns.
MAX_WIDTH = 1000

_MAX_BITS = 64 * 1024
# In a format: a width that is a value, or has more digits than any column.
_WIDE = re.compile(r"\*|\d{4}|:[^{}]{0,100}\{")
_FILTERS = ("batch", "center", "indent", "slice")
_METHODS = frozenset({"center", "expandtabs", "ljust", "rjust", "to_bytes", "zfill"})


class TooLarge(Exception):
    """A value makes more of a text than a template may give."""


class Sandbox(ImmutableSandboxedEnvironment):
    """See above.

    Args:
        undefined: stands for what is not there.
        finalize: turns the value of every ``{{ … }}`` into text.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, undefined: type[StrictUndefined], finalize: Callable[[object], object]) -> None:
        # What is rendered is read to a model or sent to a service, not put into HTML.
        super().__init__(undefined=undefined, autoescape=False, finalize=finalize)
        del self.globals["lipsum"]
        for name in _FILTERS:
            self.filters[name] = _with_bounded_width(self.filters[name])
        self.filters["format"] = _with_bounded_format(self.filters["format"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply, raise to a power or format, if the result is not too large."""
        if operator == "%":
            if isinstance(left, str | bytes):
                _check_format(left)
        elif operator == "**":
            if isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > _MAX_BITS:
                raise TooLarge
        elif isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > _MAX_BITS:
                raise TooLarge
        elif _size(left) * _size(right) > MAX_TEXT_BYTES:
            raise TooLarge
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call something; methods that make a text wider do so within bounds."""
        if getattr(called, "__name__", "") in _METHODS:
            _check_width((*args, *kwargs.values()))
        return super().call(context, called, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return what is called for `str.format` in its place."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_format(value.__self__)
        return wrapped


def _size(value: object) -> int:
    """Return what a factor multiplies by: a number itself, and the length of a text or a list."""
    if isinstance(value, int):
        return max(0, value)
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _with_bounded_width(take: Callable[..., Any]) -> Callable[..., Any]:
    # Jinja passes the value first, and before it what is marked on the function.
    given = 2 if hasattr(take, "jinja_pass_arg") else 1

    @functools.wraps(take)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _check_width((*args[given:], *kwargs.values()))
        return take(*args, **kwargs)

    return bounded


def _with_bounded_format(take: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(take)
    def bounded(value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_format(str(value))
        return take(value, *args, **kwargs)

    return bounded


def _check_width(arguments: tuple[Any, ...]) -> None:
    if any(isinstance(argument, int) and argument > MAX_WIDTH for argument in arguments):
        raise TooLarge


def _check_format(text: str | bytes) -> None:
    if _WIDE.search(text.decode("latin-1") if isinstance(text, bytes) else str(text)):
        raise TooLarge

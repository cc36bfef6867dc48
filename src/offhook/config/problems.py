"""What is wrong with a configuration or a scenario: every problem with its place, its code and the way to mend it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

UNREADABLE = "OH-CONF-01"
SYNTAX = "OH-CONF-02"
ENVIRONMENT = "OH-CONF-03"
DUPLICATE = "OH-CONF-04"
UNKNOWN_KEY = "OH-CONF-05"
MISSING = "OH-CONF-06"
WRONG_TYPE = "OH-CONF-07"
WRONG_VALUE = "OH-CONF-08"
TEMPLATE = "OH-CONF-09"
TOOL = "OH-CONF-10"
OVERRIDE = "OH-CONF-12"
UNKNOWN_AGENT = "OH-CONF-13"
ADMIN_OPEN = "OH-CONF-14"

UNKNOWN_MODEL = "OH-CONF-50"
UNKNOWN_VOICE = "OH-CONF-51"
ENDING_MODEL = "OH-CONF-52"
NO_REASONING = "OH-CONF-53"
OPEN_KEY = "OH-CONF-54"
NO_KEYS = "OH-CONF-55"
UNANSWERED = "OH-CONF-56"
NO_PRICE = "OH-CONF-57"
ADMIN_IN_THE_CLEAR = "OH-CONF-58"


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; both numbers count from 1. Line 0 means the source as a whole."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning; no text of it repeats a value of the configuration, which may be a secret."""

    code: str
    mark: Mark
    path: str
    """The setting, like ``keys[0].secret``; empty for the file as a whole."""
    message: str
    fix: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        subject = f"{self.path}: " if self.path else ""
        return f"{self.mark}: {self.code} {subject}{self.message}{f'; {self.fix}' if self.fix else ''}"

    def as_dict(self) -> dict[str, str | int]:
        """Return the problem as plain data."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.mark.source,
            "line": self.mark.line,
            "column": self.mark.column,
            "path": self.path,
            "message": self.message,
            "fix": self.fix,
        }


class ConfigError(Exception):
    """The file cannot be used; ``problems`` holds all of its errors and warnings, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

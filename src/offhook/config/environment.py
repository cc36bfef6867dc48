"""``${NAME}`` and ``${NAME:-default}`` in texts of the configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from offhook.config.problems import ENVIRONMENT

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{[^}]{0,40}\}?")


@dataclass(frozen=True, slots=True)
class EnvironmentProblem:
    """A reference that cannot be filled in."""

    message: str
    fix: str
    code: str = ENVIRONMENT


class Substitution:
    """Fills in environment variables.

    ``${NAME}`` must be set and not empty: an empty secret would open a door without a word. ``${NAME:-default}`` takes
    the default instead, which may be empty; ``$${`` is a literal ``${``.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def apply(self, text: str) -> tuple[str, list[EnvironmentProblem]]:
        """Return ``text`` with its references filled in, and what could not be."""
        problems: list[EnvironmentProblem] = []

        def fill(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name, default = match["name"], match["default"]
            if name is None:
                problems.append(EnvironmentProblem("this is no ${NAME}", "write $${ for a literal ${"))
                return match[0]
            value = self.environ.get(name, "")
            if value or default is not None:
                return value or default
            state = "is empty" if name in self.environ else "is not set"
            fix = f"set it, or write ${{{name}:-default}} (${{{name}:-}} for nothing)"
            problems.append(EnvironmentProblem(f"the environment variable {name} {state}", fix))
            # A stand-in that no check of format or length complains about a second time.
            return f"${{{name}}}"

        return _REFERENCE.sub(fill, text), problems

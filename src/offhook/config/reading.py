"""Reads a file of settings: all of its problems at once, or the model that it describes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from offhook.config.document import Document
from offhook.config.explain import explain
from offhook.config.problems import UNREADABLE, ConfigError, Mark, Problem

#: Larger than any configuration or scenario; what is larger was named by mistake.
MAX_FILE_BYTES = 4 * 1024 * 1024

M = TypeVar("M", bound=BaseModel)


def read_text(path: str | Path, fix: str = "") -> str:
    """Return the text of a file; ConfigError says why there is none, and ``fix`` what to do if it cannot be opened."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigError([Problem(UNREADABLE, Mark(str(path)), "", "the file is too large")])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(UNREADABLE, Mark(str(path)), "", "the file is not UTF-8 text")]) from error
    except OSError as error:
        message = f"the file cannot be read ({error.strerror})"
        raise ConfigError([Problem(UNREADABLE, Mark(str(path)), "", message, fix)]) from error


def read_model(model: type[M], document: Document, more: Iterable[Problem] = (), *, context: Any = None) -> M:
    """Return what a document says; ConfigError holds every problem, those that were found before in ``more`` too."""
    problems = [*document.problems, *more]
    # A file that is no YAML has no settings; that those are missing is not worth a word.
    if document.readable:
        try:
            found = model.model_validate(document.root.plain(), context=context)
        except ValidationError as error:
            problems += explain(error, document, model)
        else:
            if not problems:
                return found
    raise ConfigError(in_order(problems))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort by place; of several problems of one value the first says it all."""
    kept: dict[tuple[Mark, str], Problem] = {}
    for problem in problems:
        kept.setdefault((problem.mark, problem.path), problem)
    return sorted(kept.values(), key=lambda problem: problem.mark)

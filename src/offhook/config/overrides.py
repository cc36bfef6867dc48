"""``--set key.path=value``: one setting from the command line, stronger than the file."""

from offhook.config.document import Document, Entry, Value
from offhook.config.environment import Substitution
from offhook.config.problems import OVERRIDE, Mark, Problem

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_STRUCTURED = {"{": "}", "[": "]", '"': '"', "'": "'"}


def apply_override(document: Document, text: str, substitution: Substitution) -> None:
    """Put ``text`` into the document.

    Keys are separated by dots; a number picks an entry of a list, and the one after the last adds one. The value is
    text unless it is ``true``, ``false``, ``null`` or YAML in brackets or quotes: ``{…}``, ``[…]``, ``"…"``.
    """
    path, separator, raw = text.partition("=")
    mark = Mark(f"--set {path}")
    keys = path.split(".")
    if not separator or not all(keys):
        problem = Problem(OVERRIDE, Mark("--set"), "", "this is not key.path=value", "write --set log.level=debug")
        document.problems.append(problem)
        return
    value = _read(document, raw, mark, substitution)
    holder = document.root
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        inner = _enter(holder, key, value if last else Value("mapping", mark), mark, replace=last)
        if inner is None:
            problem = Problem(OVERRIDE, mark, path, f"{key} does not lead anywhere", "look at the names and numbers")
            document.problems.append(problem)
            return
        holder = inner


def _enter(holder: Value, key: str, value: Value, mark: Mark, *, replace: bool) -> Value | None:
    """Return what is under ``key``; put ``value`` there if there is nothing, or if it is to be replaced."""
    if holder.kind == "mapping":
        if replace or key not in holder.entries or holder.entries[key].value.kind == "null":
            holder.entries[key] = Entry(mark, value)
        return holder.entries[key].value
    if holder.kind != "list" or not key.isdecimal() or int(key) > len(holder.items):
        return None
    if int(key) == len(holder.items):
        holder.items.append(value)
    elif replace:
        holder.items[int(key)] = value
    return holder.items[int(key)]


def _read(document: Document, raw: str, mark: Mark, substitution: Substitution) -> Value:
    if raw in _CONSTANTS:
        constant = _CONSTANTS[raw]
        return Value("null" if constant is None else "boolean", mark, constant)
    if len(raw) > 1 and raw.endswith(_STRUCTURED.get(raw[0], "\n")):
        inner = Document(f"value: {raw}", mark.source, substitution.environ)
        document.problems += [Problem(p.code, mark, "", p.message, p.fix) for p in inner.problems]
        entry = inner.root.entries.get("value")
        return entry.value if entry else Value("null", mark)
    text, problems = substitution.apply(raw)
    document.problems += [Problem(p.code, mark, "", p.message, p.fix) for p in problems]
    return Value("text", mark, text)

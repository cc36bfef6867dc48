"""What no single setting shows: names that lead nowhere, and what works but is probably not meant."""

import re
from collections.abc import Iterator
from typing import Any

from offhook.agents.agent import Agent
from offhook.config.document import Document
from offhook.config.explain import did_you_mean
from offhook.config.problems import (
    ADMIN_IN_THE_CLEAR,
    ENDING_MODEL,
    NO_KEYS,
    NO_PRICE,
    NO_REASONING,
    OPEN_KEY,
    TOOL,
    UNANSWERED,
    UNKNOWN_AGENT,
    UNKNOWN_MODEL,
    UNKNOWN_VOICE,
    WRONG_VALUE,
    Problem,
)
from offhook.config.schema import Config, is_local

#: As of November 2026 (openai-realtime.md §1.3). Others are passed through with a warning.
MODELS = frozenset(
    {
        "gpt-realtime-2.1",
        "gpt-realtime-2.1-mini",
        "gpt-realtime-2",
        "gpt-realtime-1.5",
        "gpt-realtime",
        "gpt-realtime-mini",
    }
)
#: Models that stop, and when.
ENDING = re.compile(r"gpt-realtime(-2025-08-28|-mini(-20\d\d-\d\d-\d\d)?)?")
ENDING_ON = "2027-01-20"
#: Models that refuse a session with a reasoning effort (trap 26).
WITHOUT_REASONING = re.compile(r"gpt-realtime-1\.5|" + ENDING.pattern)
VOICES = frozenset({"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"})


NO_GENESYS = "data actions need the section genesys"
GENESYS_FIX = "add genesys: with region, client_id and client_secret"


def check_references(document: Document) -> list[Problem]:
    """Find names of agents, keys and providers that lead nowhere or stand twice; works on what is not valid yet."""
    data = document.root.plain()
    agents = data.get("agents")
    problems: list[Problem] = []
    if isinstance(agents, dict):
        for loc, name in _agent_names(data):
            if name not in agents:
                problems.append(_at(document, loc, UNKNOWN_AGENT, "there is no such agent", did_you_mean(name, agents)))
    if data.get("genesys") is None:
        problems += [_at(document, loc, TOOL, NO_GENESYS, GENESYS_FIX) for loc in _data_actions(data)]
    for loc in _doubles(data, ("keys",), "id"):
        problems.append(_at(document, loc, WRONG_VALUE, "another key has the same id", "give one of them both secrets"))
    for loc in _doubles(data, ("keys",), "name"):
        problems.append(_at(document, loc, WRONG_VALUE, "another key has the same name"))
    for loc in _doubles(data, ("realtime", "providers"), "name"):
        problems.append(_at(document, loc, WRONG_VALUE, "another provider has the same name"))
    return problems


def check_advice(config: Config, document: Document | None = None) -> list[Problem]:
    """Return the warnings of a valid configuration."""
    place = document if document is not None else Document("", "the configuration", {})
    found = [
        *_advice_on_keys(config, place),
        *_advice_on_admin(config, place),
        *(problem for name, agent in config.agents.items() for problem in _advice_on_agent(config, name, agent, place)),
    ]
    return found


def _advice_on_keys(config: Config, document: Document) -> Iterator[Problem]:
    if not config.keys:
        yield _warning(document, ("keys",), NO_KEYS, "there are no keys: every call is refused")
    for index, key in enumerate(config.keys):
        if not key.secret and not is_local(config.listen):
            message = "the key has no secret: whoever knows the API key may call, unsigned"
            yield _warning(document, ("keys", index, "id"), OPEN_KEY, message, "add the integration's secret")


def _advice_on_admin(config: Config, document: Document) -> Iterator[Problem]:
    if not is_local(config.admin) and config.admin_tls is None:
        message = "who signs in from another machine sends the token in the clear, unless a proxy encrypts the way"
        yield _warning(document, ("admin",), ADMIN_IN_THE_CLEAR, message, "set admin_tls, or listen on 127.0.0.1")


def _advice_on_agent(config: Config, name: str, agent: Agent, document: Document) -> Iterator[Problem]:
    if agent.mode == "listen":
        return
    model = ("agents", name, "model")
    # Names of deployments and of other makers are anybody's choice.
    if all(provider.resolved_kind == "openai" for provider in config.realtime.providers):
        if agent.model not in MODELS and not ENDING.fullmatch(agent.model):
            fix = did_you_mean(agent.model, MODELS)
            yield _warning(document, model, UNKNOWN_MODEL, "this model is not known here; it is passed through", fix)
        if agent.voice not in VOICES:
            fix = did_you_mean(agent.voice, VOICES)
            message = "this voice is not known here; it is passed through"
            yield _warning(document, ("agents", name, "voice"), UNKNOWN_VOICE, message, fix)
    if ENDING.fullmatch(agent.model):
        yield _warning(document, model, ENDING_MODEL, f"this model stops on {ENDING_ON}", "use gpt-realtime-2.1")
    if agent.reasoning_effort is not None and WITHOUT_REASONING.fullmatch(agent.model):
        message = "this model does not reason and will refuse the session"
        fix = "leave reasoning_effort out, or use gpt-realtime-2.1"
        yield _warning(document, ("agents", name, "reasoning_effort"), NO_REASONING, message, fix)
    if agent.limits.max_cost is not None and config.price_list().price_of(agent.model) is None:
        message = "what this model costs is not known, so max_cost has no effect"
        yield _warning(document, ("agents", name, "limits", "max_cost"), NO_PRICE, message, "add it to `prices`")
    detection = agent.turn_detection
    if detection.create_response and not detection.interrupt_response:
        message = "without interrupt_response a turn of the caller may stay unanswered while the agent speaks"
        yield _warning(document, ("agents", name, "turn_detection"), UNANSWERED, message)


def _agent_names(data: dict[str, Any]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    default = data.get("default_agent")
    if isinstance(default, str):
        yield ("default_agent",), default
    for index, key in enumerate(_list(data.get("keys"))):
        for position, name in enumerate(_list(key.get("agents") if isinstance(key, dict) else None)):
            if isinstance(name, str):
                yield ("keys", index, "agents", position), name


def _data_actions(data: dict[str, Any]) -> Iterator[tuple[int | str, ...]]:
    agents = data.get("agents")
    for name, agent in agents.items() if isinstance(agents, dict) else ():
        for index, entry in enumerate(_list(agent.get("tools") if isinstance(agent, dict) else None)):
            if isinstance(entry, dict) and "data_action" in entry:
                yield "agents", name, "tools", index


def _doubles(data: dict[str, Any], path: tuple[str, ...], field: str) -> Iterator[tuple[int | str, ...]]:
    found: Any = data
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    seen: set[str] = set()
    for index, entry in enumerate(_list(found)):
        name = entry.get(field) if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            yield (*path, index, field)
        seen.add(name)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(document: Document, loc: tuple[int | str, ...], code: str, message: str, fix: str = "") -> Problem:
    place = document.locate(loc)
    return Problem(code, place.value.mark if place.value else place.key, place.path, message, fix)


def _warning(document: Document, loc: tuple[int | str, ...], code: str, message: str, fix: str = "") -> Problem:
    place = document.locate(loc)
    mark = place.value.mark if place.value else place.key
    return Problem(code, mark, place.path, message, fix, severity="warning")

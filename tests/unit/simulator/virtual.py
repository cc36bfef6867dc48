"""Joins a simulated call and an agent in memory, on a virtual clock."""

from typing import Protocol

from offhook.simulator import CallReport, Scenario, SimulatedCall
from offhook.simulator.script import SpeechSource
from offhook.speech import Speech

START = 1000.0
speech: SpeechSource = Speech(synthesiser=None)


class Agent(Protocol):
    """A server without a socket."""

    def receive_text(self, data: str, now: float) -> None: ...
    def receive_audio(self, data: bytes, now: float) -> None: ...
    def receive_eof(self, now: float) -> None: ...
    def data_to_send(self) -> list[str | bytes]: ...
    def next_timer(self) -> float | None: ...
    def handle_timer(self, now: float) -> None: ...


def carry(call: SimulatedCall, agent: Agent, *, limit: float = 400.0) -> float:
    """Carry a call to its end; return the time of it."""
    now = START
    call.connected(now)
    while not call.finished:
        if _exchange(call, agent, now):
            continue
        timers = [timer for timer in (call.next_timer(), agent.next_timer()) if timer is not None]
        now = max(now, min(timers))
        assert now < START + limit, "the call does not end"
        agent.handle_timer(now)
        call.handle_timer(now)
    agent.receive_eof(now)
    return now


def _exchange(call: SimulatedCall, agent: Agent, now: float) -> bool:
    sent = call.data_to_send()
    for data in sent:
        if isinstance(data, str):
            agent.receive_text(data, now)
        else:
            agent.receive_audio(data, now)
    replies = agent.data_to_send()
    for data in replies:
        if isinstance(data, str):
            call.receive_text(data, now)
        else:
            call.receive_audio(data, now)
    return bool(sent or replies)


def report_of(scenario: Scenario, agent: Agent, *, max_seconds: float = 300.0, probe: bool = False) -> CallReport:
    """Carry a call and return its report."""
    call = SimulatedCall(scenario, speech, max_seconds=max_seconds, probe=probe)
    return call.report(carry(call, agent))

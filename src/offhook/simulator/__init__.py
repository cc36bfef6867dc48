"""Plays Genesys Cloud Audio Connector against any AudioHook server.

`SimulatedCall` is the call itself, without socket and clock: `PlaybackQueue` plays what the agent sends, `CallerLine`
speaks, `Conductor` follows a script, and `CallReport` is what is left. `dialer` puts it on a real socket, `scenario`
reads scripts from YAML, `live` shows it to a person.
"""

from offhook.simulator.caller import CallerLine
from offhook.simulator.identity import CallIdentity
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.report import CallReport
from offhook.simulator.script import Scenario, Utterance, probe_scenario, simple_scenario
from offhook.simulator.simulated_call import SimulatedCall

__all__ = [
    "CallIdentity",
    "CallReport",
    "CallerLine",
    "PlaybackQueue",
    "Scenario",
    "SimulatedCall",
    "Utterance",
    "probe_scenario",
    "simple_scenario",
]

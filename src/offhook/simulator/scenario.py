"""Reads a caller's scenario from YAML (or JSON), strictly: every mistake at once, each with file, line and column.

```yaml
connector_id: support
inputs: {COMPANY: Acme}
steps:
  - wait_for_agent: {timeout: 10}
  - say: "What are your opening hours?"       # or {wav: question.wav}
  - interrupt: {after_ms: 1200, say: "Stop, please."}   # or noise: {kind: cough}
  - noise: {kind: click, ms: 300, level: 0.3}
  - dtmf: "1"                                 # or {digits: "12", gap_ms: 500}
  - hold: {seconds: 2}
  - secure_pause: {seconds: 3, dtmf: "1234#"}
  - update: {language: de-de}
  - wait: {seconds: 1}
  - hang_up: {}                               # or wait_for_end: {timeout: 60}
background: {kind: babble, level: 0.02}
expect: {ended_by: agent, output_variables: {INTENT: /^order/}}
```
"""

from pathlib import Path

from offhook.config.document import Document
from offhook.config.problems import ConfigError
from offhook.config.reading import read_model, read_text
from offhook.simulator import script
from offhook.simulator.scenario_document import ScenarioDoc, to_scenario

ScenarioError = ConfigError
"""The scenario cannot be used."""


def load_scenario(path: Path) -> script.Scenario:
    """Read a scenario file and the WAV files it names.

    Raises:
        ScenarioError: the file is missing, no YAML, or says something it cannot say.
    """
    return parse_scenario(read_text(path), file=str(path), folder=path.parent)


def parse_scenario(text: str, *, file: str = "scenario", folder: Path = Path()) -> script.Scenario:
    """Read a scenario from text; WAV files are looked for in `folder`.

    Raises:
        ScenarioError: the text is no YAML or says something it cannot say.
    """
    return to_scenario(read_model(ScenarioDoc, Document(text, file), context=folder))

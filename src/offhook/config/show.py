"""The effective configuration as YAML that can be read, and given back."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import LiteralScalarString


class _Representer(RoundTripRepresenter):
    """Writes ``null`` in full."""


_Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))


def to_yaml(data: Any) -> str:
    """Return plain data as YAML, texts of several lines as blocks."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 120
    out = io.StringIO()
    yaml.dump(_readable(data), out)
    return out.getvalue()


def _readable(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _readable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_readable(value) for value in data]
    if isinstance(data, str) and "\n" in data:
        return LiteralScalarString(data)
    return data

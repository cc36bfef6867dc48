"""The page of docs/reference that names every setting, from the schema of the configuration."""

import json
import re
from collections.abc import Iterator
from typing import Any

from offhook.agents import templates
from offhook.config import Config
from offhook.config import problems as config_problems
from offhook.errors import catalogue
from offhook.tools import call_control

Schema = dict[str, Any]

INTRODUCTION = """\
# Configuration

`offhook serve` reads `offhook.yaml` in the current directory, or the file after `-c`. The file is YAML 1.2 (`no` and
`12:30` are text) or JSON. `offhook config check` finds every error at once, with file, line, column and the fix;
`offhook config show` prints the whole configuration with its defaults and without secrets; `offhook config schema`
prints a JSON schema for editors. The smallest file that takes calls:

```yaml
keys: [{id: "${GENESYS_API_KEY}", secret: "${GENESYS_CLIENT_SECRET}"}]
realtime:
  providers: [{name: openai, url: "wss://api.openai.com/v1/realtime", api_key: "${OPENAI_API_KEY}"}]
agents:
  support: {instructions: You answer the phone for Acme.}
```

`[]` after a name stands for each entry of a list, `NAME` for a name of your choice. An unknown setting is an error.

## Environment variables

They may be used in every value.

| written | gives |
|---|---|
| `${NAME}` | the variable; it must be set and not empty |
| `${NAME:-default}` | the variable, or `default` if it is not set or empty |
| `${NAME:-}` | the variable, or nothing |
| `$${` | a literal `${` |

## Settings on the command line

`--set key.path=value` is stronger than the file: `--set agents.support.speed=1.2`. A number picks an entry of a list,
the one after the last adds one: `--set keys.0.id=abc`. The value is text unless it is `true`, `false`, `null`, or YAML
in brackets or quotes: `--set 'keys.0.agents=[support]'`. `--listen`, `--admin` and `--workers` of `offhook serve` are
short for `--set listen=…` and so on.
"""

#: Meanings of settings that the schema does not describe, by name of the model and the setting.
MEANINGS = {
    ("Input", "description"): "For people who read the file; the model does not see it.",
    ("LogConfig", "level"): "The least important lines that are written.",
    ("NamedTool", "name"): "Name of the tool.",
    ("SemanticVad", "type"): "Chooses this form.",
    ("ServerVad", "type"): "Chooses this form; may be left out.",
}
#: What this version adds to the meaning of a setting.
REMARKS = {
    ("Config", "admin"): "See [The admin port](../how-to/admin.md).",
    ("LimitsConfig", "max_calls"): "Meanwhile `/readyz` is answered with 503; see [Limits](../how-to/limits.md).",
}


def page() -> str:
    """Return the whole page."""
    schema = Config.model_json_schema()
    sections = [_section(path, model) for path, model in _models(schema)]
    return "\n".join([INTRODUCTION, *sections, _templates(), _tools(), _warnings()])


def _models(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield every mapping with settings of its own and the path to it, from the outside to the inside."""
    definitions: Schema = schema["$defs"]

    def visit(path: str, model: Schema) -> Iterator[tuple[str, Schema]]:
        yield path, model
        for name, setting in model["properties"].items():
            for inner, suffix in _references(setting):
                yield from visit(_join(path, name) + suffix, definitions[inner])

    yield from visit("", schema)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _references(schema: Schema) -> Iterator[tuple[str, str]]:
    """Yield the models that a setting may hold, each with what stands between the setting and the model."""
    if "$ref" in schema:
        yield schema["$ref"].rsplit("/", 1)[1], ""
    for form in _forms(schema):
        yield from _references(form)
    for held, suffix in _held(schema):
        for model, more in _references(held):
            yield model, suffix + more


def _forms(schema: Schema) -> list[Schema]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]


def _held(schema: Schema) -> Iterator[tuple[Schema, str]]:
    """Yield what a list or a mapping holds."""
    if isinstance(schema.get("items"), dict):
        yield schema["items"], "[]"
    for key in ("additionalProperties", "patternProperties"):
        held = schema.get(key)
        if isinstance(held, dict):
            yield next(iter(held.values())) if key == "patternProperties" else held, ".NAME"


def _section(path: str, model: Schema) -> str:
    heading = _heading(path, model) if path else "Settings"
    lines = [f"## {heading}\n"]
    if path:
        lines.append(_about(model) + "\n")
    lines += ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, setting in model["properties"].items():
        required = name in model.get("required", ())
        cells = (f"`{name}`", _type(setting), _default(setting, required=required), _meaning(path, model, name))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _about(model: Schema) -> str:
    """Return the first paragraph of what the model says about itself."""
    return " ".join(str(model["description"]).partition("\n\n")[0].split()).replace("``", "`")


def _heading(path: str, model: Schema) -> str:
    kind = model["properties"].get("type", {}).get("const")
    return f"`{path}` of type `{kind}`" if kind else f"`{path}`"


def _type(schema: Schema) -> str:
    forms = _forms(schema)
    if forms:
        return " or ".join(dict.fromkeys(_type(form) for form in forms))
    if "$ref" in schema:
        return "mapping"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {_plural(_type(schema['items']))}"
        case "object" if "properties" in schema:
            return ", ".join(f"`{{{name}: …}}`" for name in schema["properties"])
        case "object" if not any(_held(schema)):
            return "mapping"
        case "object":
            return f"names and their {_plural(_type(next(_held(schema))[0]))}"
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
        case "integer":
            return f"whole number{_range(schema)}"
        case "number":
            return f"number{_range(schema)}"
        case None:
            return "any value"
    return "text"


def _plural(noun: str) -> str:
    return {"mapping": "mappings", "text": "texts"}.get(noun, noun)


def _range(schema: Schema) -> str:
    low, above, high = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    bounds = {"≥": low, ">": above, "≤": high}
    limits = [f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None]
    return f" {' and '.join(limits)}" if limits else ""


def _default(setting: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = setting["default"]
    if isinstance(default, dict) and default:
        return "as below"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default}`" if isinstance(default, str) and default else f"`{json.dumps(default)}`"


def _meaning(path: str, model: Schema, name: str) -> str:
    key = (str(model["title"]), name)
    setting = model["properties"][name]
    inner = [found for found, _ in _references(setting)]
    # pydantic leaves the description of a setting out where it is that of the model that it holds.
    meaning = setting.get("description") or MEANINGS.get(key)
    if meaning is None and inner:
        meaning = _about(Config.model_json_schema()["$defs"][inner[0]])
    if meaning is None:
        raise KeyError(f"{key}: say in MEANINGS what this setting means")
    words = [str(meaning), REMARKS.get(key, "")]
    if inner:
        words.append(f"See {_link(_join(path, name))}.")
    return " ".join(word for word in words if word).replace("``", "`")


def _link(path: str) -> str:
    """Link to the section of a setting; of several forms, to the first."""
    models = list(_models(Config.model_json_schema()))
    found = next(_heading(at, model) for at, model in models if re.fullmatch(re.escape(path) + r"(\[\]|\.NAME)*", at))
    slug = re.sub(r"[^\w\- ]", "", found.lower()).replace(" ", "-")
    return f"[{path}](#{slug})"


def _templates() -> str:
    names = ", ".join(f"`call.{name}`" for name in templates.CALL_VARIABLES)
    return f"""\
## Templates

`instructions` and `greeting` are [Jinja](https://jinja.palletsprojects.com/) templates, rendered once for each call,
to {templates.MAX_TEXT_BYTES // 1024} KB at most. They know two names:

| name | holds |
|---|---|
| `input.NAME` | an input variable of the flow; also `input["NAME"]` |
| `call.NAME` | what is known of the call: {names} |

`call.path` holds the path parts after the Connector ID, `call.query.NAME` a parameter of its query. A variable that the
flow does not pass ends the call with [OH-CALL-04](errors.md#oh-call-04), unless it has a `default` among the agent's
`inputs` or in the template: `{{{{ input.COMPANY | default("Acme") }}}}`. What a flow passes is data and never read as a
template.
"""


def _tools() -> str:
    rows = [call_control.end_call(), call_control.escalate(), call_control.set_outputs({})]
    when = {
        call_control.END_CALL: "`tools` names it",
        call_control.ESCALATE: "`tools` names it",
        call_control.SET_OUTPUTS: "`outputs` are declared",
    }
    lines = [
        "## Tools\n",
        "| entry of `tools` | is |",
        "|---|---|",
        "| `end_call`, `escalate` | call control, see below |",
        '| `{python: "module:attribute"}` | a Python function, found from the current directory and the installed '
        "packages; see [Run from Python](../how-to/run-from-python.md) |",
        "| a function or a tool object | in Python only |",
        "\nCall control:\n",
        "| the model may call | when | arguments |",
        "|---|---|---|",
    ]
    for tool in rows:
        arguments = ", ".join(
            f"`{name}`" + ("" if name in tool.parameters["required"] else " (may be left out)")
            for name in tool.parameters["properties"]
        )
        lines.append(f"| `{tool.name}` | {when[tool.name]} | {arguments or 'the declared outputs, at least one'} |")
    return "\n".join(lines) + "\n"


def _warnings() -> str:
    codes = sorted(
        value for value in vars(config_problems).values() if isinstance(value, str) and value.startswith("OH-CONF-5")
    )
    lines = [
        "## Warnings\n",
        "These do not keep the gateway from starting.\n",
        "| code | what |",
        "|---|---|",
    ]
    lines += [f"| [{code}](errors.md#{code.lower()}) | {catalogue()[code].title} |" for code in codes]
    return "\n".join(lines) + "\n"

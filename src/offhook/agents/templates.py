"""Templates of instructions and greetings: what keeps one from being filled keeps the call from being taken."""

from functools import lru_cache

from offhook.agents.errors import MISSING_INPUT, TEMPLATE_FAILED, PlanError
from offhook.tools import templates
from offhook.tools.base import CallContext
from offhook.tools.templates import CALL_VARIABLES, MAX_TEXT_BYTES, RenderFailed, TemplateFault, ValueMissing

__all__ = ["CALL_VARIABLES", "MAX_TEXT_BYTES", "Template", "TemplateFault", "compile_template"]


class Template:
    """One compiled text over ``input.NAME`` and ``call.NAME``; TemplateFault says what is wrong with it."""

    def __init__(self, source: str) -> None:
        self._template = templates.Template(source)

    def render(self, call: CallContext) -> str:
        """Return the text for one call; PlanError says what is missing, without caller data."""
        try:
            return self._template.render(call)
        except ValueMissing as missing:
            if missing.owner == "input" and missing.name:
                raise PlanError(MISSING_INPUT, f"the input variable {missing.name} is missing") from None
            if missing.owner == "query" and missing.name:
                raise PlanError(TEMPLATE_FAILED, f"the query parameter {missing.name} is missing") from None
            raise PlanError(TEMPLATE_FAILED, f"a template of the agent {missing.reason}") from None
        except RenderFailed as failure:
            raise PlanError(TEMPLATE_FAILED, f"a template of the agent {failure.reason}") from None


@lru_cache(maxsize=512)
def compile_template(source: str) -> Template:
    """Return the compiled text, the same one each time; TemplateFault says what is wrong with it."""
    return Template(source)

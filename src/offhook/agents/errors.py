"""Why a call cannot be planned."""

UNKNOWN_CONNECTOR = "OH-CALL-01"
NO_DEFAULT_AGENT = "OH-CALL-02"
AGENT_NOT_ALLOWED = "OH-CALL-03"
MISSING_INPUT = "OH-CALL-04"
TEMPLATE_FAILED = "OH-CALL-05"


class PlanError(Exception):
    """The call cannot be taken.

    ``code`` is in :mod:`offhook.errors`; ``info`` is one line for the ``disconnect`` message, which Genesys logs: it
    names what the operator has to mend and holds no caller data.
    """

    def __init__(self, code: str, info: str) -> None:
        super().__init__(f"{code} {info}")
        self.code = code
        self.info = info

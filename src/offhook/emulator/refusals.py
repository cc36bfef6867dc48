"""How the emulator says no: an exception that becomes an `error` event (openai-realtime.md §7)."""


class Refused(Exception):
    """A client event is not carried out; the session goes on.

    Args:
        code: the API's error code.
        message: the API's text.
        param: path of the field at fault.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param

from typing import Any

import pytest

from offhook.genesys.errors import MAX_MESSAGE_CHARS, ErrorBody
from tests.fakes.genesys_platform import CONTEXT_ID, error

GENERIC = "The request could not be understood by the server due to malformed syntax."


def message(text: str) -> str:
    return ErrorBody.read({"message": text}).message


def test_an_error_of_the_platform() -> None:
    body = ErrorBody.read(error(400, "bad.request", "The field id is missing.").body)
    assert body == ErrorBody("The field id is missing.", False, "bad.request", CONTEXT_ID)
    assert "missing" not in repr(body)


def test_an_error_of_the_action_is_told_apart_and_the_inner_message_says_more() -> None:
    within = f"REST call for action execute failed. Message: Connection reset [{CONTEXT_ID}]"
    body = ErrorBody.read(
        error(500, "internal.server.error", GENERIC, of_action="ACTION.REMOTE_ENDPOINT", within=within).body
    )
    assert body == ErrorBody("Connection reset", True, "internal.server.error", CONTEXT_ID)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No such customer.", "No such customer."),
        ("No such\n customer\t.", "No such customer ."),
        ("The backend failed.  Response from web service: <html>4111</html>", "The backend failed."),
        ('Request failed: {"card":"4111"}', "Request failed:"),
        ("Request failed. To see error details, use test mode to execute the action.", "Request failed."),
        (f"Action {CONTEXT_ID} is gone [{CONTEXT_ID}]", "Action is gone"),
        ("x" * 5000, "x" * (MAX_MESSAGE_CHARS - 1) + "…"),
        ("", ""),
    ],
)
def test_what_of_a_message_is_shown(text: str, shown: str) -> None:
    assert message(text) == shown


def test_an_inner_message_that_says_nothing_gives_way() -> None:
    document = {"message": "Outer.", "errors": [{"message": '{"ssn": "123"}'}]}
    assert ErrorBody.read(document).message == "Outer."


@pytest.mark.parametrize(
    "document",
    [
        None,
        "text",
        [],
        7,
        {},
        {"message": 7, "code": {}, "contextId": [], "details": "x", "errors": {"message": "y"}},
        {"code": "bad request\nwith a line", "contextId": "no-uuid", "details": [1, None], "errors": [2]},
        {"errors": [{"message": 3}]},
    ],
)
def test_what_is_not_as_documented_is_left_out(document: Any) -> None:
    assert ErrorBody.read(document) == ErrorBody()

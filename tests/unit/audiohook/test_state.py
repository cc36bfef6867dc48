from offhook.audiohook import ClientState, ServerState, edges
from offhook.audiohook.state import (
    CLIENT_RECEIVES,
    CLIENT_SENDS,
    CLIENT_SIGNALS,
    SERVER_RECEIVES,
    SERVER_SENDS,
    SERVER_SIGNALS,
    wire_name,
)


def test_each_table_has_each_state() -> None:
    for server_table in (SERVER_RECEIVES, SERVER_SENDS, SERVER_SIGNALS):
        assert list(server_table) == list(ServerState)
    for client_table in (CLIENT_RECEIVES, CLIENT_SENDS, CLIENT_SIGNALS):
        assert list(client_table) == list(ClientState)


def test_edges_tell_the_whole_diagram() -> None:
    server = edges("server")
    assert server[0] == ("AWAITING_OPEN", "receives open", "OPENING")
    assert ("OPENING", "sends opened", "OPEN") in server
    assert ("OPENING", "receives close", "CLOSED") in server
    assert ("CLOSED", "deadline passed", "ENDED") in server
    client = edges("client")
    assert client[0] == ("IDLE", "sends open", "OPENING")
    assert ("CLOSING", "receives closed", "CLOSED") in client
    assert ("OPEN", "socket gone", "ENDED") in client
    for rows in (server, client):
        assert len(rows) == len(set(rows))


def test_what_one_role_sends_in_a_call_the_other_may_receive() -> None:
    for message in SERVER_SENDS[ServerState.OPEN]:
        assert message in CLIENT_RECEIVES[ClientState.OPEN]
    for sent in CLIENT_SENDS[ClientState.OPEN]:
        assert sent in SERVER_RECEIVES[ServerState.OPEN]


def test_every_state_leads_to_the_end() -> None:
    for role in ("server", "client"):
        rows = edges("server") if role == "server" else edges("client")
        reachable = {"ENDED"}
        for _ in rows:
            reachable |= {source for source, _, to in rows if to in reachable}
        assert reachable == {source for source, _, _ in rows} | {"ENDED"}


def test_a_server_never_sends_reconnect() -> None:
    """Trap 47."""
    assert all(wire_name(type_) != "reconnect" for row in SERVER_SENDS.values() for type_ in row)

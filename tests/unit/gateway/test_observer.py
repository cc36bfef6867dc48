from structlog.testing import capture_logs

from offhook.bridge import CallEnded, RecordMoment, Turn
from offhook.gateway.observer import CallInfo, Observers

INFO = CallInfo("call-1")
TURN = Turn(speaker="caller", text="my card is 4111")
MOMENT = RecordMoment(name="opened", at=1.0)
ENDED = CallEnded(outcome="completed", reason="caller_hung_up")


class Keeps:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        self.seen.append((info, turn))

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        self.seen.append((info, moment))

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        self.seen.append((info, ended))


class Fails:
    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        raise ValueError(turn.text)

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        raise ValueError(moment.name)

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        raise ValueError(ended.reason)


def test_everybody_is_told_even_if_one_fails() -> None:
    keeps = Keeps()
    observers = Observers([Fails(), keeps])
    with capture_logs() as logs:
        observers.on_turn(INFO, TURN)
        observers.on_moment(INFO, MOMENT)
        observers.on_ended(INFO, ENDED)
    assert keeps.seen == [(INFO, TURN), (INFO, MOMENT), (INFO, ENDED)]
    assert [(line["event"], line["call"]) for line in logs] == [("observer failed", "call-1")] * 3

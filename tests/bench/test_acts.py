from bench.acts import act_of
from bench.cast import Cast
from bench.load import Sender
from bench.orders import Plan


def test_an_act_is_for_processes_that_have_somebody_for_it() -> None:
    cast = Cast(Plan(host="127.0.0.1", port=1, secret="s" * 32, sessions=[], first=0))
    names = ("chat", "burst", "react", "page", "letter", "churn", "scene")
    assert [act_of(cast, name) for name in names] == [None] * 7


async def test_senders_chat_and_react() -> None:
    cast = Cast(Plan(host="127.0.0.1", port=1, secret="s" * 32, sessions=["s"], first=0, senders=1))
    cast.senders.append(cast._client(Sender, 0))  # type: ignore[arg-type] # it makes what it is asked for
    assert [name for name in ("chat", "burst", "react", "page", "churn") if act_of(cast, name)] == [
        "chat",
        "burst",
        "react",
    ]

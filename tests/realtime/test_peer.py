import pytest

from realtime.domain.clock import from_hello
from realtime.peer import Peer, Pinged, membership_of
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import Position
from tokens.access import AccessRole, Identity

ONE, TWO, THREE = (Pinged(at, {"s": Position("e", at)}) for at in (1, 2, 3))


@pytest.fixture
def peer() -> Peer:
    return Peer("c", Identity("bob", AccessRole.VIEWER, 0, synthetic=False), None, since=1000)


def test_a_pong_confirms_the_ping_before_it_once(peer: Peer) -> None:
    assert peer.pong() is None
    peer.ping(ONE)
    assert peer.pong() is ONE
    assert peer.pong() is None
    peer.ping(TWO)
    assert peer.pong() is TWO


def test_a_late_pong_says_nothing_of_what_was_sent_since(peer: Peer) -> None:
    """It answers the first ping: whether the second one has arrived, nobody knows yet."""
    peer.ping(ONE)
    peer.ping(TWO)
    assert peer.pong() is None
    peer.ping(THREE)
    assert peer.pong() is None
    assert peer.pong() is THREE


def test_what_was_written_before_the_connection(peer: Peer) -> None:
    assert not peer.was_away(5)
    peer.offset = from_hello(client_now=10, now=1010)
    assert peer.was_away(-1)
    assert not peer.was_away(0)
    assert not peer.was_away(None)


def test_commands_need_a_membership(peer: Peer) -> None:
    with pytest.raises(Refusal) as refused:
        membership_of(peer, "s")
    assert refused.value.code is Code.FORBIDDEN

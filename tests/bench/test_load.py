"""Clients, by what they read; the smoke tests connect them."""

import msgspec
import pytest

from bench.load import PER_ADDRESS, Client, Route, Viewer, source
from bench.sample import Host, Sample
from bench.wire import Admission, Position, push

SESSION = "019e3bd2-5a5c-7000-8000-000000000001"
ROUTE = Route("127.0.0.1", "127.0.0.1", 1)
WELCOME = b'{"type":"welcome","re":0,"connection":"c"}'


def joined(seq: int, *missed: int, epoch: str = "e", complete: bool = True) -> bytes:
    events = [{"type": "event", "seq": each, "kind": "session.paused", "body": {"state": "paused"}} for each in missed]
    position = {"epoch": epoch, "seq": seq}
    session = {"id": SESSION, "state": "live"}
    return msgspec.json.encode(
        {"type": "joined", "re": 0, "session": session, "position": position, "events": events, "complete": complete}
    )


def let_in(client: Client, reply: bytes) -> None:
    for payload in (WELCOME, reply):
        client._admit(payload)
    assert client.ready.done()


def test_clients_beyond_what_an_address_has_ports_for_take_the_next() -> None:
    assert [source(n) for n in (0, PER_ADDRESS - 1, PER_ADDRESS, 3 * PER_ADDRESS)] == [
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.4",
    ]


@pytest.mark.parametrize("kind", [Viewer, Sample, Host])
async def test_an_heir_goes_on_where_its_client_has_stopped(kind: type[Client]) -> None:
    client = kind(ROUTE, Admission("t", SESSION))
    let_in(client, joined(41))
    assert (client.here, client.reached) == (True, 41)

    heir = client.heir()
    assert not heir.here
    let_in(heir, joined(44, 42, 43, 44))
    assert (heir.position, heir.events, heir.reached, heir.resets) == (Position("e", 41), 3, 44, 0)

    anew = heir.heir()
    assert anew._admission is not None
    assert anew._admission.since == Position("e", 44)
    let_in(anew, joined(7, epoch="f", complete=False))
    assert (anew.position, anew.reached, anew.resets) == (Position("f", 7), 7, 1)


async def test_who_follows_no_session_comes_back_without_a_position() -> None:
    client = Viewer(ROUTE, Admission("t", None))
    client._admit(WELCOME)
    heir = client.heir()
    assert heir._admission is not None
    assert heir._admission.since is None


async def test_a_sample_checks_what_it_has_missed_and_what_comes() -> None:
    sample = Sample(ROUTE, Admission("t", SESSION))
    let_in(sample, joined(41))
    assert sample.state == "live"
    heir = sample.heir()
    let_in(heir, joined(45, 42, 43))
    heir._on_push(push(b'{"type":"event","seq":46,"kind":"session.resumed","body":{"state":"live"}}'), 0)
    found = heir.findings(46)
    assert (found.missing, found.duplicated, found.out_of_order) == (2, 0, 0)
    assert heir.state == "live"


async def test_a_page_with_a_hole_is_torn() -> None:
    sample = Sample(ROUTE, Admission("t", SESSION))
    for seqs in ([], [3, 4, 5], [3, 5]):
        page = {"type": "history", "re": 9, "events": [{"type": "event", "seq": seq} for seq in seqs]}
        sample._on_push(push(msgspec.json.encode(page)), 0)
    assert sample.torn_pages == 1


async def test_a_letter_that_comes_again_is_no_other() -> None:
    host = Host(ROUTE, Admission("t", SESSION))
    for ids in ([1, 2], [2, 3]):
        entries = [{"id": each, "kind": "direct", "body": {"text": "5 "}} for each in ids]
        host._on_push(push(msgspec.json.encode({"type": "inbox", "upto": ids[-1], "entries": entries})), 9)
    assert host.got_letters == 3
    assert host.heir().got_letters == 3

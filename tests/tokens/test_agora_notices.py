import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens import agora_notices
from tokens.agora_notices import Event, Move
from tokens.errors import NoticeForged, NoticeMalformed

# Published by Agora with its sample code for signatures.
BODY = (
    b'{"eventMs":1560408533119,"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f",'
    b'"notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}'
)
SIGNATURE = "6d3320c60b11101395b7fc8f9068748808a0aa1bfa064438e39d1bc2c7d74d99"
SHA1 = "033c62f40f687675f17f0f41f91a40c71c0f134c"
NOTICE = {"noticeId": "2000001428:4330:107", "productId": 1, "eventType": 104, "notifyMs": 1611566412672}
PAYLOAD = {
    "channelName": "test_webhook",
    "uid": 12121212,
    "platform": 1,
    "clientSeq": 1625051030789,
    "reason": 1,
    "ts": 1560396943,
    "duration": 600,
    "account": "test",
}


def notice(**changed: Any) -> bytes:
    return json.dumps({**NOTICE, "payload": PAYLOAD, **changed}).encode()


def test_the_published_signature_is_ours() -> None:
    assert agora_notices.sign("secret", BODY) == SIGNATURE
    agora_notices.check("secret", BODY, SIGNATURE)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        SHA1,
        SIGNATURE[:-1],
        SIGNATURE + "0",
        SIGNATURE.upper(),
        f" {SIGNATURE}",
        f"sha256={SIGNATURE}",
        f"{SIGNATURE}, {SIGNATURE}",
        "x" * 64,
        "é" * 64,
        "\x00" * 64,
        "\ud800" * 64,
        "0" * 100_000,
    ],
    ids=lambda signature: repr(signature)[:24],
)
def test_another_signature_is_refused(signature: str) -> None:
    with pytest.raises(NoticeForged):
        agora_notices.check("secret", BODY, signature)


@given(st.binary(max_size=64), st.binary(max_size=64), st.text(max_size=16), st.text(max_size=16))
def test_a_signature_is_for_one_body_and_one_secret(body: bytes, other: bytes, secret: str, another: str) -> None:
    try:
        signature = agora_notices.sign(secret, body)
        agora_notices.check(secret, body, signature)
    except UnicodeEncodeError:
        return
    for wrong_secret, wrong_body in ((secret, other), (another, body)):
        # HMAC pads keys with zeros (RFC 2104), so some keys are one.
        if wrong_body != body or wrong_secret.rstrip("\0") != secret.rstrip("\0"):
            with pytest.raises(NoticeForged):
                agora_notices.check(wrong_secret, wrong_body, signature)


def test_what_a_notice_says() -> None:
    read = agora_notices.parse(notice())
    assert (read.id, read.product, read.event, read.moves) == ("2000001428:4330:107", 1, 104, True)
    assert agora_notices.channel_of(read) == "test_webhook"
    assert agora_notices.move_of(read) == Move(12121212, 1625051030789, 1560396943, 1)


@pytest.mark.parametrize("event", Event)
def test_reasons_are_given_for_leaving_alone(event: Event) -> None:
    payload = {field: value for field, value in PAYLOAD.items() if field != "reason"}
    read = agora_notices.parse(notice(eventType=event, payload=payload))
    assert read.moves
    assert agora_notices.move_of(read).reason == 0


@pytest.mark.parametrize(
    "changed", [{"eventType": n} for n in (0, 10, 101, 102, 109, 110, 113, 2**40)] + [{"productId": 3}], ids=str
)
def test_other_events_and_products_move_nobody(changed: Any) -> None:
    assert not agora_notices.parse(notice(**changed, payload=[])).moves


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}",
        b"\xef\xbb\xbf" + notice(),
        b"[" * 60_000,
        notice(noticeId=5),
        notice(noticeId=""),
        notice(noticeId="x" * 129),
        notice(noticeId="a\x00b"),
        notice(noticeId="a\n"),
        notice(noticeId="\ud800"),
        notice(productId="1"),
        notice(productId=-1),
        notice(eventType=104.5),
        notice(eventType=True),
        notice(eventType=int("9" * 4000)),
        b'{"noticeId":"x","productId":1,"eventType":NaN,"payload":{}}',
        b'{"noticeId":"\xff","productId":1,"eventType":103,"payload":{}}',
        b'{"noticeId":"x","productId":1,"eventType":103}',
        b'{"noticeId":"x","productId":1,"eventType":103,"payload":' + b"[" * 60_000 + b"}",
    ],
    ids=lambda body: repr(body)[:40],
)
def test_what_is_no_notice(body: bytes) -> None:
    with pytest.raises(NoticeMalformed):
        agora_notices.parse(body)


@pytest.mark.parametrize(
    "changed",
    [
        {"uid": "12121212"},
        {"uid": -1},
        {"uid": 2**32},
        {"uid": None},
        {"uid": True},
        {"clientSeq": -1},
        {"clientSeq": 2**63},
        {"clientSeq": 2**64},
        {"clientSeq": 5.0},
        {"ts": "now"},
        {"ts": 2**41},
        {"reason": "quit"},
    ],
    ids=str,
)
def test_what_says_nothing_of_who_moved(changed: Any) -> None:
    with pytest.raises(NoticeMalformed):
        agora_notices.move_of(agora_notices.parse(notice(payload={**PAYLOAD, **changed})))


@pytest.mark.parametrize(
    "payload", [None, [], "x", {}, {"channelName": 5}, {"channelName": None}, {"channelName": "\ud800"}], ids=repr
)
def test_what_names_no_channel(payload: Any) -> None:
    with pytest.raises(NoticeMalformed):
        agora_notices.channel_of(agora_notices.parse(notice(payload=payload)))

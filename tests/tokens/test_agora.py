import struct
import tracemalloc
import zlib
from typing import Any

import pytest

from tests.tokens.vectors import APP, published
from tokens import agora
from tokens.errors import GrantError, TokenError, TokenExpired, TokenForged, TokenMalformed, TokenNotYet
from tokens.grants import App, Grant, Role, RtmGrant
from tokens.packing import armour, pack_privileges, pack_string, unarmour

NOW = 1_732_147_200
GRANT = Grant("room", 7, Role.HOST, NOW, NOW + 600, NOW + 900)
RTC = struct.pack("<H", 1) + pack_privileges({1: 600}) + pack_string(b"room") + pack_string(b"7")
RTM = struct.pack("<H", 2) + pack_privileges({1: 600}) + pack_string(b"alice")


def payload(token: str) -> bytes:
    return zlib.decompress(unarmour(token[3:]))


def info(*services: bytes, app_id: bytes = APP.app_id.encode(), count: int | None = None) -> bytes:
    counted = len(services) if count is None else count
    return pack_string(app_id) + struct.pack("<IIIH", NOW, 900, 5, counted) + b"".join(services)


def signed(said: bytes) -> str:
    """A token that says anything, and that the app did sign."""
    return sealed(pack_string(agora._sign(APP, NOW, 5, said)) + said)


def sealed(data: bytes) -> str:
    return "007" + armour(zlib.compress(data))


def rtc_with_uid(text: bytes) -> str:
    return signed(info(struct.pack("<H", 1) + pack_privileges({}) + pack_string(b"room") + pack_string(text)))


@pytest.mark.parametrize("vector", published("007"))
def test_an_rtc_token_is_the_published_one(vector: dict[str, Any]) -> None:
    issued_at, ends = vector["ts"], vector["ts"] + vector["expire"]
    grant = Grant(vector["channel"], int(vector["uid"]), Role.VIEWER, issued_at, ends, ends)
    assert payload(agora.build(APP, grant, vector["salt"])) == payload(vector["token"])


@pytest.mark.parametrize("vector", published("007", "rtm"))
def test_an_rtm_token_is_the_published_one(vector: dict[str, Any]) -> None:
    grant = RtmGrant(vector["user"], vector["ts"], vector["ts"] + vector["expire"])
    assert payload(agora.build_rtm(APP, grant, vector["salt"])) == payload(vector["token"])


@pytest.mark.parametrize("vector", published("007") + published("007", "rtm"))
def test_a_published_token_verifies_and_says_what_was_published(vector: dict[str, Any]) -> None:
    privileges = {1: vector["ts"] + vector["expire"]}
    # As this machine's zlib compresses it: another one's may do so otherwise.
    said = agora.verify(sealed(payload(vector["token"])), APP, vector["ts"])
    assert agora.parse(vector["token"]) == said
    assert (said.issued_at, said.expires_at, said.salt) == (vector["ts"], privileges[1], vector["salt"])
    if "user" in vector:
        assert said.services == (agora.RtmService(vector["user"], privileges),)
    else:
        assert said.services == (agora.RtcService(vector["channel"], int(vector["uid"]), privileges),)


def test_all_published_vectors_were_met() -> None:
    assert (len(published("006")), len(published("007")), len(published("007", "rtm"))) == (1, 2, 1)


def test_a_token_says_what_was_asked() -> None:
    said = agora.parse(agora.build(APP, GRANT, 5))
    everything = dict.fromkeys((1, 2, 3, 4), NOW + 600)
    assert said == agora.Token(APP.app_id, NOW, NOW + 900, 5, (agora.RtcService("room", 7, everything),))


def test_one_token_can_serve_both_services() -> None:
    said = agora.verify(signed(info(RTC, RTM)), APP, NOW)
    until = {1: NOW + 600}
    assert said.services == (agora.RtcService("room", 7, until), agora.RtmService("alice", until))


def test_a_token_for_anyone_reads_as_uid_0() -> None:
    assert agora.parse(rtc_with_uid(b"")).services == (agora.RtcService("room", 0, {}),)


@pytest.mark.parametrize("salt", [0, 2**32])
def test_a_salt_out_of_range_is_refused(salt: int) -> None:
    with pytest.raises(GrantError):
        agora.build(APP, GRANT, salt)
    with pytest.raises(GrantError):
        agora.build_rtm(APP, RtmGrant("alice", NOW, NOW + 1), salt)


TOKEN = agora.build(APP, GRANT, 5)


@pytest.mark.parametrize(
    ("now", "refusal"),
    [(NOW - 1, TokenNotYet), (0, TokenNotYet), (NOW + 900, TokenExpired), (2**40, TokenExpired)],
)
def test_a_token_holds_only_in_its_time(now: int, refusal: type[TokenError]) -> None:
    assert agora.verify(TOKEN, APP, NOW) == agora.verify(TOKEN, APP, NOW + 899)
    with pytest.raises(refusal):
        agora.verify(TOKEN, APP, now)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(agora.build(App(APP.app_id, "0" * 32), GRANT, 5), id="another certificate"),
        pytest.param(agora.build(App("0" * 32, APP.certificate), GRANT, 5), id="another app, our certificate"),
        pytest.param(signed(info(RTC, app_id=b"")), id="no app"),
        pytest.param(sealed(pack_string(b"") + info(RTC)), id="no signature"),
        pytest.param(sealed(pack_string(bytes(32)) + info(RTC)), id="signature of zeros"),
        pytest.param(sealed(payload(TOKEN)[:34] + info(RTC)), id="another token's signature"),
        pytest.param(sealed(payload(TOKEN).replace(b"room", b"loom")), id="another channel"),
        pytest.param("007" + armour(zlib.compress(payload(TOKEN), 0)), id="compressed otherwise"),
    ],
)
def test_a_forged_token_is_told_from_an_expired_one(token: str) -> None:
    for now in (0, NOW, 2**40):
        with pytest.raises(TokenForged):
            agora.verify(token, APP, now)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("007", id="version alone"),
        pytest.param("006" + TOKEN[3:], id="another version"),
        pytest.param("007é", id="not ascii"),
        pytest.param("007\ud800", id="lone surrogate"),
        pytest.param(TOKEN + "AAAA", id="text after the end"),
        pytest.param(TOKEN + "A" * 100_000, id="100 KiB"),
        pytest.param("007" + armour(b"not zlib"), id="not zlib"),
        pytest.param("007" + armour(zlib.compress(payload(TOKEN))[:-1]), id="zlib cut short"),
        pytest.param("007" + armour(zlib.compress(payload(TOKEN)) + b"\0"), id="bytes after zlib"),
        pytest.param(sealed(bytes(700_000)), id="zip bomb"),
        pytest.param(sealed(b""), id="no payload"),
        pytest.param(sealed(b"\xff\xff"), id="signature longer than the payload"),
        pytest.param(sealed(payload(TOKEN)[:-1]), id="payload cut short"),
        pytest.param(signed(info(RTC) + b"\0"), id="byte after the services"),
        pytest.param(signed(info(app_id=b"\xff")), id="app id not ascii"),
        pytest.param(signed(info(RTC, count=0)), id="fewer services counted"),
        pytest.param(signed(info(RTC, count=0xFFFF)), id="more services counted"),
        pytest.param(signed(info(RTM, RTC)), id="services out of order"),
        pytest.param(signed(info(RTC, RTC)), id="a service twice"),
        pytest.param(signed(info(b"\0\0" + RTC[2:])), id="service 0"),
        pytest.param(signed(info(b"\x07\0" + RTC[2:])), id="unknown service"),
        pytest.param(rtc_with_uid(b"0"), id="uid 0 as a digit"),
        pytest.param(rtc_with_uid(b"07"), id="uid with a leading zero"),
        pytest.param(rtc_with_uid(b"-1"), id="uid below zero"),
        pytest.param(rtc_with_uid(b"1e3"), id="uid as a float"),
        pytest.param(rtc_with_uid(b"4294967296"), id="uid of 33 bits"),
        pytest.param(rtc_with_uid(b"9" * 200), id="uid of 200 digits"),
        pytest.param(rtc_with_uid(b"alice"), id="uid of letters"),
        pytest.param(rtc_with_uid(b"\xd9\xa3"), id="uid not ascii"),
    ],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(TokenMalformed) as refused:
        agora.verify(token, APP, NOW)
    with pytest.raises(TokenMalformed):
        agora.parse(token)
    assert str(refused.value) == "the token cannot be read"


def test_a_payload_of_the_largest_size_is_read_and_a_larger_one_is_not() -> None:
    def of_size(size: int) -> str:
        user = b"x" * (size - 34 - 48 - 6)
        return signed(info(struct.pack("<H", 2) + pack_privileges({}) + pack_string(user)))

    assert len(payload(of_size(agora.MAX_PAYLOAD_BYTES))) == agora.MAX_PAYLOAD_BYTES
    assert agora.verify(of_size(agora.MAX_PAYLOAD_BYTES), APP, NOW).issued_at == NOW
    with pytest.raises(TokenMalformed):
        agora.verify(of_size(agora.MAX_PAYLOAD_BYTES + 1), APP, NOW)


def test_a_zip_bomb_takes_no_memory() -> None:
    bomb = sealed(bytes(700_000))
    assert len(bomb) < 1024
    tracemalloc.start()
    with pytest.raises(TokenMalformed):
        agora.parse(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024

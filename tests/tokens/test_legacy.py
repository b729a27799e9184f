import struct
from typing import Any
from zlib import crc32

import pytest

from tests.tokens.vectors import APP, published
from tokens import legacy
from tokens.errors import GrantError, TokenExpired, TokenForged, TokenMalformed
from tokens.grants import App, Grant, Role
from tokens.packing import armour, pack_privileges, pack_string, unarmour

NOW = 1_732_147_200
GRANT = Grant("room", 7, Role.HOST, NOW, NOW + 600, NOW + 900)
TOKEN = legacy.build(APP, GRANT, 5)
CONTENT = unarmour(TOKEN[35:])
MESSAGE = struct.pack("<II", 5, NOW + 900) + pack_privileges({1: NOW + 600})


def with_content(content: bytes, app_id: str = APP.app_id) -> str:
    return "006" + app_id + armour(content)


def with_message(message: bytes) -> str:
    return with_content(CONTENT[:42] + pack_string(message))


@pytest.mark.parametrize("vector", published("006"))
def test_a_token_is_the_published_one(vector: dict[str, Any]) -> None:
    privileges = {int(which): ends for which, ends in vector["privileges"].items()}
    token = legacy._assemble(
        APP,
        vector["channel"],
        vector["uid"],
        salt=vector["salt"],
        expires_at=vector["ts"],
        privileges=privileges,
    )
    assert token == vector["token"]
    assert legacy.verify(token, APP, vector["channel"], vector["uid"], vector["ts"] - 1) == legacy.LegacyToken(
        APP.app_id,
        crc32(vector["channel"].encode()),
        crc32(str(vector["uid"]).encode()),
        vector["salt"],
        vector["ts"],
        privileges,
    )


def test_a_token_says_what_was_asked() -> None:
    said = legacy.parse(TOKEN)
    assert (said.app_id, said.salt, said.expires_at) == (APP.app_id, 5, NOW + 900)
    assert said.privileges == dict.fromkeys((1, 2, 3, 4), NOW + 600)
    assert (said.channel_crc, said.uid_crc) == (crc32(b"room"), crc32(b"7"))


def test_the_same_grant_and_salt_give_the_same_token() -> None:
    assert legacy.build(APP, GRANT, 5) == TOKEN
    assert legacy.build(APP, GRANT, 6) != TOKEN


@pytest.mark.parametrize("salt", [0, 2**32])
def test_a_salt_out_of_range_is_refused(salt: int) -> None:
    with pytest.raises(GrantError):
        legacy.build(APP, GRANT, salt)


def test_a_token_holds_until_its_end() -> None:
    assert legacy.verify(TOKEN, APP, "room", 7, NOW + 899) == legacy.parse(TOKEN)
    with pytest.raises(TokenExpired):
        legacy.verify(TOKEN, APP, "room", 7, NOW + 900)


@pytest.mark.parametrize(
    ("token", "channel", "uid"),
    [
        pytest.param(TOKEN, "loom", 7, id="another channel"),
        pytest.param(TOKEN, "room", 8, id="another uid"),
        pytest.param(legacy.build(App(APP.app_id, "0" * 32), GRANT, 5), "room", 7, id="another certificate"),
        pytest.param(with_content(CONTENT, app_id="0" * 32), "room", 7, id="another app id in the text"),
        pytest.param(with_content(CONTENT, app_id="é" * 32), "room", 7, id="no app id in the text"),
        pytest.param(with_message(MESSAGE), "room", 7, id="another message"),
        pytest.param(with_content(pack_string(b"") + CONTENT[34:]), "room", 7, id="no signature"),
        pytest.param(with_content(CONTENT[:34] + bytes(4) + CONTENT[38:]), "room", 7, id="another channel checksum"),
        pytest.param(with_content(CONTENT[:38] + bytes(4) + CONTENT[42:]), "room", 7, id="another uid checksum"),
        pytest.param(
            legacy.build(APP, Grant("room7", 12, Role.HOST, NOW, NOW + 600, NOW + 900), 5),
            "room",
            712,
            id="the same run of channel and uid",
        ),
    ],
)
def test_a_forged_token_is_told_from_an_expired_one(token: str, channel: str, uid: int) -> None:
    for now in (0, NOW, 2**40):
        with pytest.raises(TokenForged):
            legacy.verify(token, APP, channel, uid, now)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("006", id="version alone"),
        pytest.param("007" + TOKEN[3:], id="another version"),
        pytest.param(TOKEN[:35], id="no content"),
        pytest.param(TOKEN + "\n", id="text after the end"),
        pytest.param(TOKEN + "A" * 100_000, id="100 KiB"),
        pytest.param(with_content(CONTENT + b"\0"), id="byte after the content"),
        pytest.param(with_content(CONTENT[:-1]), id="content cut short"),
        pytest.param(with_content(b"\xff\xff"), id="signature longer than the content"),
        pytest.param(with_message(MESSAGE + b"\0"), id="byte after the message"),
        pytest.param(with_message(MESSAGE[:-1]), id="message cut short"),
        pytest.param(with_message(MESSAGE[:8] + b"\xff\xff"), id="more privileges counted"),
        pytest.param(
            with_message(MESSAGE[:8] + bytes.fromhex("0200 0100 00000000 0100 00000000")),
            id="a privilege twice",
        ),
    ],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(TokenMalformed):
        legacy.verify(token, APP, "room", 7, NOW)
    with pytest.raises(TokenMalformed):
        legacy.parse(token)

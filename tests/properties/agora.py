"""Agora's app of the properties, and what its tokens say."""

import time
from typing import Any

from msgspec import Struct

from tests.support.nodes import Message
from tokens import agora
from tokens.grants import App, Privilege

APP = App("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")
KEYS: dict[str, Any] = {"agora_app_id": APP.app_id, "agora_certificate": APP.certificate}
STAGE = frozenset(map(int, Privilege))
SEATS = frozenset([int(Privilege.JOIN)])
MAY = {"host": STAGE, "cohost": STAGE, "moderator": SEATS, "viewer": SEATS}


class Said(Struct, frozen=True):
    """What a token says by itself, whatever was told beside it."""

    channel: str
    uid: int
    privileges: frozenset[int]
    expires_at: int


def said(token: str, now: float | None = None) -> Said:
    """Verify a token, and give what it says."""
    found = agora.verify(token, APP, int(time.time() if now is None else now))
    (service,) = found.services
    assert isinstance(service, agora.RtcService)
    # The SDK warns of a privilege that ends, not of a token: none ends later than its token.
    assert set(service.privileges.values()) == {found.expires_at}
    return Said(service.channel, service.uid, frozenset(service.privileges), found.expires_at)


def checked(told: Message) -> Said:
    """Verify a token that was told, which must say what was told beside it."""
    found = said(told["token"])
    assert found == Said(told["channel"], told["uid"], MAY[told["role"]], told["expires_at"] // 1000)
    assert told["app_id"] == APP.app_id
    assert told["expires_at"] - told["renew_at"] == 90_000
    return found

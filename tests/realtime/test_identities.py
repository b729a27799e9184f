"""Tokens that were verified before: what is remembered of them, and what is asked again each time."""

import time
from collections.abc import Callable

import pytest

from realtime.identities import Identities
from realtime.protocol.codes import Barred, Close
from tests.support.issuers import Key, elliptic, key_set, says
from tokens.access import AccessRole, AccessSettings, Identity, Keys, SharedSecret, mint
from tokens.jwks import KeyRing, UnknownKey, read_keys

SECRET = SharedSecret("a development secret, long enough")
ONE, TWO = elliptic("one"), elliptic("two")


class Counting:
    """Keys that count how often they verify."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.asked = 0

    @property
    def version(self) -> int:
        """Give the keys' version."""
        return self.keys.version

    def payload_of(self, token: str) -> bytes:
        """Verify."""
        self.asked += 1
        return self.keys.payload_of(token)


def identities(keys: Keys, is_frozen: Callable[[str], bool] = lambda _: False, most: int = 10) -> Identities:
    return Identities(AccessSettings(keys, leeway_s=0), None, is_frozen, most)


def token(user: str = "alice", lifetime: int = 600) -> str:
    return mint(user, AccessRole.VIEWER, SECRET, int(time.time()), lifetime)


def test_a_token_is_verified_once() -> None:
    keys = Counting(SECRET)
    door = identities(keys)
    shown = token()
    first = door.identify(shown)
    assert isinstance(first, Identity)
    assert first.user == "alice"
    assert door.identify(shown) is first
    assert keys.asked == 1
    # One letter of the signature, and it is another one.
    forged = shown[:-2] + ("A" if shown[-2] != "A" else "B") + shown[-1]
    with pytest.raises(Barred) as barred:
        door.identify(forged)
    assert barred.value.close == Close.NOT_AUTHENTICATED


def test_one_that_has_ended_is_refused_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    door = identities(SECRET)
    shown = token(lifetime=60)
    door.identify(shown)
    monkeypatch.setattr("realtime.identities.time", lambda: time.time() + 60)
    with pytest.raises(Barred) as barred:
        door.identify(shown)
    assert barred.value.close == Close.TOKEN_EXPIRED


def test_so_is_one_of_a_user_who_was_frozen_since() -> None:
    frozen: set[str] = set()
    door = identities(SECRET, frozen.__contains__)
    shown = token()
    door.identify(shown)
    frozen.add("alice")
    with pytest.raises(Barred) as barred:
        door.identify(shown)
    assert barred.value.close == Close.FROZEN


def test_what_was_refused_is_not_remembered_as_good() -> None:
    keys = Counting(SECRET)
    door = identities(keys)
    for _ in range(2):
        with pytest.raises(Barred):
            door.identify(token(lifetime=-60))
    assert keys.asked == 2


def published(ring: KeyRing, *keys: Key) -> None:
    ring.replace(read_keys(key_set(*keys)))


def test_a_key_that_was_withdrawn_verifies_nothing_more() -> None:
    ring = KeyRing(["ES256"])
    published(ring, ONE)
    keys = Counting(ring)
    door = identities(keys)
    shown = ONE.sign(says())
    door.identify(shown)
    published(ring, ONE)
    published(ring, ONE, TWO)
    # The same keys, and one more: nothing that was good is in doubt.
    door.identify(shown)
    assert keys.asked == 1
    published(ring, TWO)
    with pytest.raises(UnknownKey):
        door._check(shown)
    published(ring, Key("one", TWO.private))
    with pytest.raises(Barred):
        door.identify(shown)


def test_only_so_many_are_remembered() -> None:
    keys = Counting(SECRET)
    door = identities(keys, most=2)
    shown = [token(f"user-{n}") for n in range(3)]
    for one in (*shown, *shown[1:], shown[0]):
        door.identify(one)
    assert keys.asked == 4
    assert len(door._good) == 2

"""One build for however many ask, and never a token that is half gone."""

from typing import Any

import pytest

from realtime.domain.access import Role
from realtime.issuing import Issuer
from realtime.protocol.codes import Refusal
from realtime.settings import Settings
from realtime.tasks import Tasks
from tokens import agora
from tokens.grants import App

APP = App("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")
SESSION = "0192f0c8-1111-7abc-8def-0123456789ab"
OTHER = "0192f0c8-2222-7abc-8def-0123456789ab"
NOW = 1_732_147_200


class World:
    """An issuer, with a clock that stands still."""

    def __init__(self, **settings: int) -> None:
        self.now = float(NOW)
        keys = {"agora_app_id": APP.app_id, "agora_certificate": APP.certificate}
        self.issuer = Issuer(nobody, Tasks(), Settings(**keys, **settings), lambda: self.now)  # type: ignore[arg-type] # each is of its own type


async def nobody(_of: Any) -> list[int]:
    raise AssertionError("numbers are known here")


async def test_a_token_is_shared_in_the_first_half_of_its_life() -> None:
    world = World(agora_lifetime=3600)
    first = given = world.issuer.issue(SESSION, 5, Role.VIEWER)
    for later, shared in ((1799.9, True), (1800, False)):
        world.now = NOW + later
        given = world.issuer.issue(SESSION, 5, Role.VIEWER)
        assert (given is first) is shared
        assert given.grant.privilege_expires_at - world.now >= 1800
    assert agora.verify(given.token, APP, int(world.now)).issued_at == NOW + 1800


async def test_a_clock_that_was_set_back_shares_nothing_of_the_future() -> None:
    world = World()
    world.issuer.issue(SESSION, 5, Role.VIEWER)
    world.now = NOW - 1
    assert world.issuer.issue(SESSION, 5, Role.VIEWER).grant.issued_at == NOW - 1


async def test_whoever_has_one_gets_a_later_one() -> None:
    world = World()
    first = world.issuer.issue(SESSION, 5, Role.VIEWER)
    world.now = NOW + 1
    second = world.issuer.issue(SESSION, 5, Role.VIEWER, after=NOW)
    assert second.grant.issued_at == NOW + 1
    # Another device of the same user, which has the first one still.
    assert world.issuer.issue(SESSION, 5, Role.VIEWER, after=first.grant.issued_at) is second


async def test_another_session_role_or_user_shares_nothing() -> None:
    world = World()
    asked = [(session, uid, role) for session in (SESSION, OTHER) for uid in (5, 6) for role in Role]
    given = [world.issuer.issue(*each) for each in asked]
    assert len({issued.token for issued in given}) == len(given)
    grants = [issued.grant for issued in given]
    assert [(grant.channel, grant.uid, grant.role.value) for grant in grants] == asked


async def test_no_more_are_remembered_than_is_set() -> None:
    world = World(agora_cache=2)
    a, b = (world.issuer.issue(SESSION, uid, Role.VIEWER) for uid in (1, 2))
    assert world.issuer.issue(SESSION, 1, Role.VIEWER) is a
    world.issuer.issue(SESSION, 3, Role.VIEWER)
    # The one that nobody has asked for the longest has gone.
    assert world.issuer.issue(SESSION, 1, Role.VIEWER) is a
    assert world.issuer.issue(SESSION, 2, Role.VIEWER) is not b


async def test_without_an_app_there_is_none() -> None:
    issuer = Issuer(nobody, Tasks(), Settings())
    with pytest.raises(Refusal, match="no Agora app id"):
        issuer.require()

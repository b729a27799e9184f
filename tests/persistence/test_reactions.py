import asyncio
from uuid import uuid4

import pytest

from persistence import reactions
from persistence.postgres import Postgres
from persistence.reactions import ReactionTotals
from persistence.sessions import Sessions


async def test_the_batches_of_all_nodes_add_up(postgres: Postgres, session: str) -> None:
    other = (await Sessions(postgres).create("alice", "Another show")).id
    one, two = ReactionTotals(postgres, "one"), ReactionTotals(postgres, "two")
    await one.add(1, {(session, "heart"): 3, (session, "fire"): 1, (other, "heart"): 7})
    await two.add(1, {(session, "heart"): 10})
    await one.add(2, {(session, "heart"): 1})
    assert await one.of(session) == {"heart": 14, "fire": 1}
    assert await two.of(other) == {"heart": 7}
    assert await two.of(str(uuid4())) == {}


async def test_a_batch_counts_once_however_often_it_is_sent(postgres: Postgres, session: str) -> None:
    totals = ReactionTotals(postgres, uuid4().hex)
    for number in (1, 1, 2, 1, 2):
        await totals.add(number, {(session, "heart"): number})
    assert await totals.of(session) == {"heart": 3}


async def test_many_nodes_at_once_neither_wait_for_each_other_nor_lose_anything(
    postgres: Postgres, session: str
) -> None:
    sessions = [session, *[(await Sessions(postgres).create("alice", "A show")).id for _ in range(5)]]
    counts = {(one, kind): 1 for one in sessions for kind in ("heart", "fire")}
    upside_down = dict(reversed(counts.items()))

    async def add(node: int) -> None:
        totals = ReactionTotals(postgres, f"{session}-{node}")
        for number in range(1, 11):
            await totals.add(number, counts if (node + number) % 2 else upside_down)

    await asyncio.gather(*map(add, range(4)))
    for one in sessions:
        assert await ReactionTotals(postgres, "any").of(one) == {"heart": 40, "fire": 40}


async def test_who_deletes_a_session_spoils_nothing_for_the_others(postgres: Postgres, session: str) -> None:
    gone = (await Sessions(postgres).create("alice", "A show")).id
    totals = ReactionTotals(postgres, uuid4().hex)
    await totals.add(1, {(gone, "heart"): 1, (session, "heart"): 1})
    await postgres.rows("DELETE FROM sessions WHERE id = $1", gone)
    await totals.add(2, {(gone, "heart"): 1, (session, "heart"): 1})
    assert await totals.of(gone) == {}
    assert await totals.of(session) == {"heart": 2}


async def test_kinds_without_end_do_not_fill_the_table(
    postgres: Postgres, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_KINDS", 3)
    totals = ReactionTotals(postgres, uuid4().hex)
    for number in range(1, 6):
        await totals.add(number, {(session, f"kind-{number}"): 1, (session, "heart"): 1})
    assert await totals.of(session) == {"heart": 5, "kind-1": 1, "kind-2": 1}


async def test_the_batches_of_nodes_long_gone_are_forgotten(postgres: Postgres, session: str) -> None:
    old, new = uuid4().hex, uuid4().hex
    await ReactionTotals(postgres, old).add(1, {(session, "heart"): 1})
    await postgres.rows("UPDATE reaction_batches SET at = at - 90000000 WHERE node = $1", old)
    await ReactionTotals(postgres, new).add(1, {(session, "heart"): 1})
    rows = await postgres.rows("SELECT node FROM reaction_batches WHERE node = ANY ($1)", [old, new])
    assert [row[0] for row in rows] == [new]

"""Checks a server at some URL against all transcripts, or some, and tells the verdict on each row."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from secrets import token_hex
from time import time
from typing import Final, NamedTuple

import httpx

from realtime.protocol.codec import Format
from tests.conformance.player import Deviation, Mint, Player, Stage, Verdict
from tests.conformance.transcript import Need, Transcript
from tokens.access import AccessRole, SharedSecret, mint

# Transcripts that are played at the same time.
AT_A_TIME: Final = 8


class Checked(NamedTuple):
    """A transcript as it was played in one format."""

    transcript: Transcript
    fmt: Format
    verdicts: list[Verdict]


def minting(secret: str, issuer: str | None = None, audience: str | None = None) -> Mint:
    """Give what mints the tokens that the transcripts ask for, with the server's secret."""

    def give(user: str, role: str, seconds: int, more: str) -> str:
        now = int(time()) - (86_400 if more == "expired" else 0)
        signed_by = SharedSecret(secret[::-1] if more == "forged" else secret)
        return mint(user, AccessRole(role), signed_by, now, seconds, issuer=issuer, audience=audience)

    return give


def freezing(http: str, mint: Mint) -> Callable[[str, bool], Awaitable[None]]:
    """Give what freezes a user over the side API, or lets the user in again, as an admin."""
    admin = {"Authorization": f"Bearer {mint('conformance', AccessRole.ADMIN, 3600, '')}"}

    async def freeze(user: str, frozen: bool) -> None:
        path = f"/v1/users/{user}/{'freeze' if frozen else 'unfreeze'}"
        async with httpx.AsyncClient(base_url=http, headers=admin) as api:
            response = await api.post(path, json={"reason": "To see what becomes of it"})
        if response.status_code != HTTPStatus.OK:
            raise Deviation(f"POST {path} is answered with {response.status_code}: {response.text[:200]}")

    return freeze


async def check(transcripts: Sequence[Transcript], stages: Sequence[Stage]) -> list[Checked]:
    """Play each transcript on each stage. Those that stop the server come last, on the first stage alone."""
    turn = asyncio.Semaphore(AT_A_TIME)

    async def play(transcript: Transcript, stage: Stage) -> Checked:
        async with turn:
            # Whoever was there in an earlier check is somebody else.
            player = Player(transcript, stage, f"-{token_hex(3)}")
            return Checked(transcript, stage.fmt, [verdict async for verdict in player.play()])

    found = await asyncio.gather(*(play(one, stage) for one in transcripts if not _stops(one) for stage in stages))
    return [*found, *[await play(one, stages[0]) for one in transcripts if _stops(one)]]


def _stops(transcript: Transcript) -> bool:
    return any(Need.DRAIN in row.needs for row in transcript.rows)


def table(checked: Sequence[Checked]) -> str:
    """Give a line for each row, below the transcript that it is of, and a last one that counts."""
    lines = [line for one in checked for line in _lines(one)]
    outcomes = [verdict.outcome for one in checked for verdict in one.verdicts]
    counted = ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(("ok", "deviates", *outcomes)))
    return "\n".join([*lines, "", f"{len(outcomes)} rows: {counted}"])


def _lines(one: Checked) -> list[str]:
    head = f"\n{one.transcript.title} ({one.transcript.name}, {one.fmt.removeprefix('stagewire.v1.')})"
    rows = [
        f"  {verdict.outcome:<12}{verdict.row.statement}" + (f"\n{'':14}{verdict.why}" if verdict.why else "")
        for verdict in one.verdicts
    ]
    return [head, *rows]


def conforms(checked: Sequence[Checked]) -> bool:
    """Tell whether no row deviates, and some were tried."""
    outcomes = {verdict.outcome for one in checked for verdict in one.verdicts}
    return "ok" in outcomes and "deviates" not in outcomes

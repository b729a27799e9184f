"""Copies of inboxes in Redis: a stream for each user, bounded and with a lifetime. Any may be lost at any time."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec import Struct

from persistence.inbox import InboxHead, Page
from persistence.log import Record
from persistence.redis import Redis, translated

_SCRIPT: Final = files("persistence").joinpath("lua", "inbox.lua").read_text("utf-8")
_FIELDS: Final = ("epoch", "seq", "acked", "dropped")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, int, str, str, str | None, str]).decode


class Change(Struct, frozen=True, kw_only=True):
    """What is new in an inbox: entries, consecutive from the one after `after` on, and how far it is gone.

    With `anew` the copy may begin with this: all up to `after` is gone.
    """

    member: str
    epoch: str
    after: int
    records: Sequence[Record] = ()
    acked: int = 0
    dropped: int = 0
    anew: bool = False


class InboxStreams:
    """The copies. Of each the newest `limit` entries are kept, for `lifetime_ms` after the last change."""

    def __init__(self, redis: Redis, limit: int, lifetime_ms: int) -> None:
        self._redis = redis
        self._limit = limit
        self._lifetime_ms = lifetime_ms
        self._script = redis.register_script(_SCRIPT)

    async def write(self, changes: Sequence[Change]) -> list[bool]:
        """Make the changes in their order; tell for each whether the copy is whole now.

        Raises:
            Unavailable: nobody knows which were made.
        """
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for change in changes:
                    await self._script(keys=_keys(change.member), args=self._arguments(change), client=pipe)
                return [whole == 1 for whole in await pipe.execute()]

    async def read(self, after: Sequence[tuple[str, int]], limit: int) -> list[Page | None]:
        """Give each user's first `limit` entries above an id, as the copy has them; nothing where there is none.

        Whether that is all there is only Postgres knows.

        Raises:
            Unavailable
        """
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for member, above in after:
                    stream, head = _keys(member)
                    pipe.hmget(head, _FIELDS)
                    pipe.xrange(stream, min=f"{above + 1}-0", count=limit)
                replies = await pipe.execute()
        pairs = zip(replies[::2], replies[1::2], after, strict=True)
        return [_page(head, entries, above) for head, entries, (_, above) in pairs]

    def _arguments(self, change: Change) -> list[str | int | bytes]:
        return [
            change.epoch,
            change.after,
            change.acked,
            change.dropped,
            self._limit,
            self._lifetime_ms,
            int(change.anew),
            *(_encode((r.seq, r.at, r.kind, r.sender, r.key, r.body)) for r in change.records),
        ]


def _page(fields: list[Any], entries: list[Any], above: int) -> Page | None:
    if None in fields:
        return None
    epoch, seq, acked, dropped = fields
    head = InboxHead(epoch.decode(), int(seq), int(acked), int(dropped))
    return Page(head, max(above, head.gone), [Record(*_decode(entry[b"e"])) for _, entry in entries], sure=False)


def _keys(member: str) -> list[str]:
    # The braces keep both keys of a user in one slot of a cluster.
    return [f"sw:inbox:{{{member}}}", f"sw:inbox:{{{member}}}:head"]

"""What a user has written, followed until it is stored."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from stagewire_client.errors import Refused
from stagewire_client.messages import Ack
from stagewire_client.outbox import DeliveryState, Draft, Outbox


class Delivery:
    """A message on its way. Await it for its place in the log.

    Awaiting raises Refused where the server does not take it, Dropped where it was taken back, Failed while the
    client has given up to connect, and Lost where the session was left, or the client closed, before the answer came.
    It is still pending in the last two cases, and after `retry` in the first.
    """

    def __init__(self, draft: Draft, outbox: Outbox, changed: Callable[[str], None]) -> None:
        self.draft = draft
        self._outbox = outbox
        self._changed = changed
        self._outcome: asyncio.Future[Ack | Exception] = asyncio.get_running_loop().create_future()

    @property
    def key(self) -> str:
        """Give the key, by which the message's event is known."""
        return self.draft.key

    @property
    def state(self) -> DeliveryState:
        """Give what it is at."""
        pending = self._outbox.get(self.key)
        if pending is not None:
            return pending.state
        acked = self._outcome.done() and isinstance(self._outcome.result(), Ack)
        return DeliveryState.ACKED if acked else DeliveryState.DROPPED

    @property
    def error(self) -> Refused | None:
        """Give the last refusal, if there was one."""
        pending = self._outbox.get(self.key)
        return None if pending is None else pending.error

    def retry(self) -> bool:
        """Send it again, if it was refused; under its own key, and in its old place."""
        if not self._outbox.retry(self.key):
            return False
        self.reopen()
        self._changed(self.key)
        return True

    def drop(self) -> bool:
        """Take it back; not while it is on its way, when nobody knows whether it is stored."""
        if not self._outbox.drop(self.key):
            return False
        self._changed(self.key)
        return True

    def settle(self, outcome: Ack | Exception) -> None:
        """Tell whoever awaits it. An answer of the server takes the place of anything that was told before."""
        self.reopen()
        self._outcome.set_result(outcome)

    def reopen(self) -> None:
        """Have those wait who await it from now on."""
        if self._outcome.done():
            self._outcome = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, Ack]:
        return self._wait().__await__()

    async def _wait(self) -> Ack:
        # Others may await it, too.
        outcome = await asyncio.shield(self._outcome)
        if isinstance(outcome, Exception):
            # As new: it may be raised as often as somebody awaits it.
            raise outcome.with_traceback(None)
        return outcome

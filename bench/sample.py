"""Clients that read everything: samples, which check for all others, and the host of a show."""

import asyncio
from time import monotonic_ns
from typing import Any, Self

from msgspec import Struct
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from bench import wire
from bench.asks import Asked, Asks
from bench.load import Client, Route
from bench.pace import Window
from bench.tally import Latencies, Order
from bench.wire import Admission, Position, Push, Unexpected


class Findings(Struct, frozen=True):
    """What a sample saw, of everything up to a head."""

    missing: int
    duplicated: int
    out_of_order: int


class Sample(Client, asyncio.Protocol):
    """Reads every frame with websockets' core, checks the order, and times what was due in the window."""

    def __init__(self, route: Route, admission: Admission) -> None:
        super().__init__(route, admission)
        self.window = Window(0, 0)
        self.latencies = Latencies()
        self._core = ClientProtocol(parse_uri(f"ws://{route.host}:{route.port}{wire.PATH}"), max_size=None)
        # The state of its session, as far as it was told.
        self.state = ""
        # Pages of history with holes in them.
        self.torn_pages = 0
        self.order = Order(0)
        self.asks = Asks()

    @property
    def reached(self) -> int:
        """Give the seq of the last event."""
        return self.order.last

    def heir(self) -> Self:
        """Give a sample that goes on for this one."""
        heir = super().heir()
        heir.window, heir.latencies, heir.state = self.window, self.latencies, self.state
        heir.order, heir.asks, heir.torn_pages = self.order, self.asks, self.torn_pages
        return heir

    def arm(self, asks: Asks) -> None:
        """Say where open questions are kept, before anything is asked."""
        self.asks = asks

    def watch(self, window: Window) -> None:
        """Time what is due in a window, and forget what was timed before."""
        self.window, self.latencies = window, Latencies()

    def ask(self, asked: Asked, due: int, command: dict[str, Any]) -> None:
        """Send a command, and time its answer."""
        self.tell({"id": self.asks.begin(asked, due), **command})

    def tell(self, command: dict[str, Any]) -> None:
        """Send a command, if there is a connection."""
        if self._core.state is State.OPEN and not self.lost:
            self._transport.write(wire.frame(command))

    def data_received(self, data: bytes) -> None:
        """Read and check."""
        now = monotonic_ns()
        self._core.receive_data(data)
        for received in self._core.events_received():
            if isinstance(received, Frame):
                self._on_frame(received, now)
            else:
                self._on_response()
        self._send()

    def findings(self, head: int) -> Findings:
        """Say what was wrong, if all up to `head` should be here."""
        return Findings(self.order.missing(head), self.order.duplicated, self.order.out_of_order)

    def _begin(self) -> None:
        self._core.send_request(self._core.connect())
        self._send()

    def _arrive(self, since: Position | None, position: Position, payload: bytes) -> None:
        if since is None:
            self.position, self.events, self.order = position, 0, Order(position.seq)
            self.state = wire.joined(payload).session.state
            return
        for event in wire.joined(payload).events:
            self._check(event, None)

    def _on_response(self) -> None:
        assert self._admission is not None
        if self._core.state is not State.OPEN:
            self._fail(Unexpected(f"the handshake was refused: {self._core.handshake_exc}"))
            return
        self._transport.write(self._admission.hello())

    def _on_frame(self, received: Frame, now: int) -> None:
        if received.opcode is not Opcode.TEXT:
            return
        payload = bytes(received.data)
        push = wire.push(payload)
        if self._admission is None or push.re is None:
            self._on_push(push, now)
            return
        try:
            self._transport.write(self._admit(payload))
        except Unexpected as exc:
            self._fail(exc)

    def _on_push(self, push: Push, now: int) -> None:
        if push.type == "event":
            self._check(push, now)
        elif push.re is not None:
            self.asks.settle(push.re, push.type != "error", now)
            seqs = [event.seq for event in push.events]
            self.torn_pages += seqs != list(range(seqs[0], seqs[0] + len(seqs))) if seqs else 0

    def _check(self, event: Push, now: int | None) -> None:
        """Take an event that came now, or was missed, which says nothing of how late events come."""
        self.events += 1
        self.order.take(event.seq)
        if event.kind == "chat.posted":
            due = wire.due_of(event.body.text)
            if now is not None and due in self.window:
                self.latencies.record(now - due)
        elif event.body.state:
            self.state = event.body.state

    def _send(self) -> None:
        for data in self._core.data_to_send():
            if data:
                self._transport.write(data)


class Host(Sample):
    """Who runs a show, and gets direct messages. Its samples are these: how late they come, and in what order."""

    def __init__(self, route: Route, admission: Admission) -> None:
        super().__init__(route, admission)
        self.letters = Latencies()
        self.inbox = Order(0)
        self.got_letters = 0

    def heir(self) -> Self:
        """Give a host that goes on for this one."""
        heir = super().heir()
        heir.letters, heir.inbox, heir.got_letters = self.letters, self.inbox, self.got_letters
        return heir

    def _on_push(self, push: Push, now: int) -> None:
        if push.type != "inbox":
            super()._on_push(push, now)
            return
        for entry in push.entries:
            self._open_letter(entry, now)
        self.tell({"type": "inbox.ack", "upto": push.upto})

    def _open_letter(self, entry: wire.Entry, now: int) -> None:
        # What was not acknowledged before a connection was lost comes again: that is no second delivery.
        if entry.id <= self.inbox.last:
            return
        self.inbox.take(entry.id)
        if entry.kind == "direct":
            self.got_letters += 1
            if (due := wire.due_of(entry.body.text)) in self.window:
                self.letters.record(now - due)

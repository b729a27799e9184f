"""websockets' sans-I/O core, as this server has it."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from websockets.exceptions import InvalidMessage
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from realtime.frames import DEFLATE, WINDOW_BITS
from realtime.protocol.codec import Format
from realtime.protocol.codes import Close

_LOGGER: Final = logging.getLogger("websockets.server")
_END_OF_HEAD: Final = b"\r\n\r\n"
_SUBPROTOCOLS: Final = [Subprotocol(name) for name in Format]


class Core(ServerProtocol):
    """websockets' core, with our choice of subprotocol and our close code for what is too large."""

    def __init__(self, origins: Sequence[Origin | None] | None, max_message: int, *, compressing: bool = False) -> None:
        extensions = [DEFLATE] if compressing else None
        super().__init__(origins=origins, max_size=max_message, logger=_LOGGER, extensions=extensions)

    @property
    def compressing(self) -> bool:
        """Tell whether the client takes messages that are compressed in our way."""
        # It may want a smaller window.
        return any(
            isinstance(extension, PerMessageDeflate) and extension.local_max_window_bits >= WINDOW_BITS
            for extension in self.extensions
        )

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Pick the first of ours; go without (and speak JSON) where the client names none of them."""
        return next((name for name in subprotocols if name in _SUBPROTOCOLS), None)

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection (RFC 6455, section 7.1.7)."""
        if code == Close.MESSAGE_TOO_BIG:
            code, reason = Close.TOO_LARGE, "the message is too large"
        super().fail(code, reason)

    def send_eof(self) -> None:
        """End; tell a client first whose request cannot be read, to which the core would not say a word."""
        if isinstance(self.handshake_exc, InvalidMessage) and not self.reader.eof:
            self.writes.append(self.reject(HTTPStatus.BAD_REQUEST, "That is no handshake.\n").serialize())
        super().send_eof()

    def forget(self) -> None:
        """Let go of what knows this core: its parser, and with its traceback whatever ended that.

        They would be cycles, and all of them wait for the garbage collector, which looks rarely.
        """
        self.parser.close()
        self.parser_exc = self.handshake_exc = None


def part_of_head(data: bytes, most: int, *, fresh: bool) -> int:
    """Give how many bytes of a handshake, `most` of them, to parse next: nothing that follows before it is answered.

    A `fresh` one, of which nothing was parsed before, goes to its end. What comes in pieces is parsed line by line,
    since its end may lie in two of them.
    """
    whole = data.find(_END_OF_HEAD, 0, most) if fresh else -1
    return whole + len(_END_OF_HEAD) if whole >= 0 else min(data.find(b"\n") + 1 or most, most)


def parse_origins(setting: str) -> list[Origin | None] | None:
    """Read the allow-list: the origins named, and clients that are no browsers. `*` allows all."""
    if setting.strip() == "*":
        return None
    return [None, *(Origin(origin.strip()) for origin in setting.split(",") if origin.strip())]

import asyncio
import socket

import pytest

from tests.support.loops import Loop


def test_what_is_left_open_is_told_and_holds_nobody_up() -> None:
    near, far = socket.socketpair()
    loop = Loop()
    loop.run_until_complete(loop.create_unix_connection(asyncio.Protocol, sock=near))
    with pytest.warns(ResourceWarning, match="unclosed"):
        loop.close()
    assert loop.is_closed()
    far.close()

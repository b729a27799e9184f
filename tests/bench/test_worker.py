"""What a load process and its conductor say to each other, however much that is."""

import asyncio
from multiprocessing import Pipe

from bench.worker import receive

MUCH = bytes(4 << 20)


async def test_commands_and_answers_may_be_larger_than_a_pipe() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = Pipe()
    with ours, theirs:
        for _ in range(2):
            sending = loop.run_in_executor(None, theirs.send, MUCH)
            assert await receive(ours) == MUCH
            await sending
            reading = loop.run_in_executor(None, theirs.recv)
            ours.send(MUCH)
            assert await reading == MUCH

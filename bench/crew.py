"""The load processes, as the conductor sees them."""

import multiprocessing
import multiprocessing.connection
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.errors import BenchError
from bench.orders import Failed, Plan, Ready
from bench.progress import step
from bench.worker import work


class Crew:
    """Asks all load processes, and waits for all answers."""

    def __init__(self, pipes: Sequence["multiprocessing.connection.Connection[Any, Any]"]) -> None:
        self._pipes = pipes

    def tell(self, command: Any) -> None:
        """Give a command to each."""
        for pipe in self._pipes:
            pipe.send(command)

    def answers(self, within: float) -> list[Any]:
        """Give each process's answer.

        Raises:
            BenchError: one failed, ended, or took longer than `within` seconds.
        """
        return [_answer(pipe, within) for pipe in self._pipes]


def _answer(pipe: "multiprocessing.connection.Connection[Any, Any]", within: float) -> Any:
    if not pipe.poll(within):
        raise BenchError(f"a load process did not answer within {within:g} s")
    try:
        answer = pipe.recv()
    except EOFError:
        raise BenchError("a load process ended unasked") from None
    if isinstance(answer, Failed):
        raise BenchError(answer.reason)
    return answer


@contextmanager
def crew(plans: Sequence[Plan], *, within: float) -> Iterator[Crew]:
    """Start a load process for each plan, with everyone let in; end them at the end.

    Raises:
        BenchError: not everyone was let in within so many seconds.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for plan in plans:
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, plan), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        running = Crew(pipes)
        with step(f"connecting {sum(plan.connections for plan in plans):,} clients"):
            assert all(isinstance(answer, Ready) for answer in running.answers(within))
        yield running
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(5)
            process.kill()

"""The load processes, as the conductor sees them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from bench.errors import BenchError
from bench.orders import Failed, Plan, Ready
from bench.process import spawn
from bench.progress import step
from bench.worker import work

_ENDED: Final = "a load process ended unasked"


class Crew:
    """Asks all load processes, and waits for all answers."""

    def __init__(self, pipes: "Sequence[Connection[Any, Any]]") -> None:
        self._pipes = pipes

    def tell(self, command: Any) -> None:
        """Give a command to each.

        Raises:
            BenchError: one has ended.
        """
        for pipe in self._pipes:
            try:
                pipe.send(command)
            except OSError:
                raise BenchError(_ENDED) from None

    def answers(self, within: float) -> list[Any]:
        """Give each process's answer.

        Raises:
            BenchError: one failed, ended, or took longer than `within` seconds.
        """
        return [_answer(pipe, within) for pipe in self._pipes]


def _answer(pipe: "Connection[Any, Any]", within: float) -> Any:
    if not pipe.poll(within):
        raise BenchError(f"a load process did not answer within {within:g} s")
    try:
        answer = pipe.recv()
    except (EOFError, OSError):
        raise BenchError(_ENDED) from None
    if isinstance(answer, Failed):
        raise BenchError(answer.reason)
    return answer


@contextmanager
def crew(plans: Sequence[Plan], *, within: float) -> Iterator[Crew]:
    """Start a load process for each plan, with everyone let in; end them at the end.

    Raises:
        BenchError: not everyone was let in within so many seconds.
    """
    started: list[tuple[SpawnProcess, Connection[Any, Any]]] = []
    try:
        started.extend(spawn(work, plan) for plan in plans)
        running = Crew([pipe for _, pipe in started])
        with step(f"connecting {sum(plan.connections for plan in plans):,} clients"):
            assert all(isinstance(answer, Ready) for answer in running.answers(within))
        yield running
    finally:
        # Whoever is in the middle of something would end only after it.
        for process, _ in started:
            process.kill()
        for process, pipe in started:
            process.join()
            pipe.close()

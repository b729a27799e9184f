"""Whether something is still known in memory: every way from an object to a string."""

import gc
import types
from collections import deque
from typing import Any

# What belongs to the program, and what belongs to the whole process.
_PROGRAM = (type, types.ModuleType, types.CodeType, types.FrameType, types.BuiltinFunctionType)


def ways_to(wanted: str, root: object) -> list[str]:
    """Give the ways that lead from `root` to strings or bytes in which `wanted` stands."""
    came: dict[int, tuple[object, int | None]] = {id(root): (root, None)}
    waiting = deque([root])
    found: list[str] = []
    while waiting:
        here = waiting.popleft()
        for there in _referents(here):
            if isinstance(there, (str, bytes)):
                if _holds(there, wanted):
                    found.append(_way(here, came) + f" → {there[:60]!r}")
            elif id(there) not in came and not isinstance(there, _PROGRAM):
                # Kept alive by `came`, so no other object can get its address.
                came[id(there)] = (there, id(here))
                waiting.append(there)
    return found


def _referents(of: object) -> list[Any]:
    if isinstance(of, types.FunctionType):
        # Not its globals: those are everybody's.
        return [of.__closure__, of.__defaults__, of.__kwdefaults__]
    return gc.get_referents(of)


def _holds(text: str | bytes, wanted: str) -> bool:
    return wanted in text if isinstance(text, str) else wanted.encode() in text


def _way(to: object, came: dict[int, tuple[object, int | None]]) -> str:
    names: list[str] = []
    at: int | None = id(to)
    while at is not None:
        what, at = came[at]
        names.append(type(what).__name__)
    return " → ".join(reversed(names))

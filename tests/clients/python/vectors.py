"""What servers and clients in every language agree on."""

from pathlib import Path
from typing import Any

import msgspec

_FOLDER = Path(__file__).parents[2] / "vectors"


def cases(file: str, group: str) -> list[dict[str, Any]]:
    """Give the cases of a group in a file."""
    found: list[dict[str, Any]] = msgspec.json.decode((_FOLDER / file).read_bytes())[group]
    return found

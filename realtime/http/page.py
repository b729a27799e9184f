"""The studio's page, put together from its parts."""

import re
from pathlib import Path
from typing import Final

_PART: Final = re.compile(rb"^ *<!-- part: ([a-z]+) -->\n", re.MULTILINE)


def assembled(folder: Path) -> bytes:
    """Give a folder's `index.html`, with `parts/NAME.html` in the place of each line `<!-- part: NAME -->`."""
    page = (folder / "index.html").read_bytes()
    return _PART.sub(lambda found: (folder / "parts" / f"{found[1].decode()}.html").read_bytes(), page)

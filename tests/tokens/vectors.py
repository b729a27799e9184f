"""Agora's published vectors, as data."""

import json
from pathlib import Path
from typing import Any

from tokens.grants import App

_PUBLISHED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "agora.json").read_text())

APP = App(_PUBLISHED["app_id"], _PUBLISHED["certificate"])


def published(version: str, service: str = "rtc") -> list[dict[str, Any]]:
    return [
        vector
        for vector in _PUBLISHED["vectors"]
        if vector["version"] == version and vector.get("service", "rtc") == service
    ]

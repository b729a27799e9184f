"""Both documents, as a server with some settings gives them."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from realtime.http.endpoints import Endpoint
from realtime.http.table import ENDPOINTS
from realtime.settings import Settings
from realtime.specs import asyncapi, openapi

VERSION: Final = version("stagewire")


def served(settings: Settings) -> list[Endpoint]:
    """Give the endpoints that a server has."""
    return [endpoint for endpoint in ENDPOINTS if settings.dev or not endpoint.path.startswith("/dev/")]


# By their names.
DOCUMENTS: Final[dict[str, Callable[[Settings], dict[str, Any]]]] = {
    "asyncapi": lambda settings: asyncapi.document(settings, VERSION),
    "openapi": lambda settings: openapi.document(served(settings), VERSION),
}

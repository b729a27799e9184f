"""All endpoints of the side API."""

from typing import Final

from realtime.http import admin, agora, audience, endpoints, limits, listing, people, summary
from realtime.http.endpoints import Endpoint

ENDPOINTS: Final[list[Endpoint]] = [
    *endpoints.ENDPOINTS,
    *listing.ENDPOINTS,
    *summary.ENDPOINTS,
    *agora.ENDPOINTS,
    *audience.ENDPOINTS,
    *people.ENDPOINTS,
    *admin.ENDPOINTS,
    *limits.ENDPOINTS,
]

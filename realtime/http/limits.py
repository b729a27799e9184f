"""The side API's endpoints about limits by rate: for admins."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from realtime.domain import access
from realtime.domain.limits import MIN_RATE, Action, Limit, RateRole
from realtime.http.endpoints import Call, Context, Endpoint
from realtime.limiting import InForce


class ActionPath(Struct, frozen=True):
    """The path parameters of an action's endpoints."""

    action: Action


class NewLimit(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that changes a limit: `rate` a second for long, `burst` at once."""

    role: RateRole
    rate: Annotated[float, Meta(ge=MIN_RATE, le=1_000_000)]
    burst: Annotated[int, Meta(ge=1, le=1_000_000)]


class ActionLimits(Struct, frozen=True):
    """The limits of one action."""

    action: Action
    limits: list[InForce]


async def get_limits(context: Context, call: Call) -> ActionLimits:
    """Give the limits of an action."""
    access.check_admin(call.user.role)
    return await _limits(context, call.path.action)


async def change_limit(context: Context, call: Call) -> ActionLimits:
    """Change a limit, on all nodes."""
    access.check_admin(call.user.role)
    node, action, body = context.node, call.path.action, call.body
    changed = await node.limits.change(action, body.role, Limit(body.rate, body.burst), call.user.user)
    node.audit.limited(call.user, call.address, action, changed)
    return await _limits(context, action)


async def _limits(context: Context, action: Action) -> ActionLimits:
    return ActionLimits(action, await context.node.limits.look(action))


_PATH: Final = "/v1/limits/{action}"

ENDPOINTS: Final = [
    Endpoint(
        method="GET",
        path=_PATH,
        handle=get_limits,
        summary="Give the limits of an action (admins)",
        parameters=ActionPath,
        reply=ActionLimits,
    ),
    Endpoint(
        method="PUT",
        path=_PATH,
        handle=change_limit,
        summary="Change a limit of an action (admins)",
        parameters=ActionPath,
        body=NewLimit,
        reply=ActionLimits,
    ),
]

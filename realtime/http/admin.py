"""The side API's endpoints for admins: freezing users, and the audit log."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from persistence.audit import Audited
from persistence.freezes import Freeze
from realtime.audit import Act
from realtime.domain import access
from realtime.http.endpoints import Call, Context, Endpoint, UserPath
from realtime.protocol.codes import Code
from realtime.protocol.commands import PageSize
from realtime.protocol.types import MAX_INTEGER, UserId


class FreezeReason(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that freezes a user, or ends that."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class AuditQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which notes: what `user` did or was done to, of one `action`, below `before`; the newest first."""

    user: UserId | None = None
    action: Act | None = None
    before: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None
    limit: PageSize = 50


class AuditPage(Struct, frozen=True):
    """Notes of the audit log; `more` says whether there are others further back."""

    entries: list[Audited]
    more: bool


async def freeze(context: Context, call: Call) -> Freeze:
    """Keep a user out from now on."""
    return await _change(context, call, frozen=True)


async def unfreeze(context: Context, call: Call) -> Freeze:
    """Let a user in again."""
    return await _change(context, call, frozen=False)


async def _change(context: Context, call: Call, *, frozen: bool) -> Freeze:
    freezing, user = context.node.freezing, call.path.id
    return await freezing.change(call.user, call.address, user, call.body.reason, frozen=frozen)


async def get_audit(context: Context, call: Call) -> AuditPage:
    """Give a page of the audit log."""
    access.check_admin(call.user.role)
    query = call.query
    found = await context.node.audit.page(query.user, query.action, query.before, query.limit + 1)
    return AuditPage(found[: query.limit], more=len(found) > query.limit)


ENDPOINTS: Final = [
    Endpoint(
        method="POST",
        path="/v1/users/{id}/freeze",
        handle=freeze,
        summary="Keep a user out (admins)",
        parameters=UserPath,
        body=FreezeReason,
        reply=Freeze,
        refuses=(Code.CONFLICT,),
    ),
    Endpoint(
        method="POST",
        path="/v1/users/{id}/unfreeze",
        handle=unfreeze,
        summary="Let a user in again (admins)",
        parameters=UserPath,
        body=FreezeReason,
        reply=Freeze,
        refuses=(Code.CONFLICT,),
    ),
    Endpoint(
        method="GET",
        path="/v1/audit",
        handle=get_audit,
        summary="Give a page of the audit log (admins)",
        query=AuditQuery,
        reply=AuditPage,
    ),
]

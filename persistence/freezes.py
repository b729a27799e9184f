"""Who is frozen, in Postgres. A change of that and its entry in the audit log are one."""

from collections.abc import Mapping

from msgspec import Struct

from persistence.postgres import Postgres


class Freeze(Struct, frozen=True, omit_defaults=True):
    """How a user stands: whether frozen, since when (milliseconds since the epoch), by whom and why.

    Of whoever was never frozen there is no more to tell.
    """

    user: str
    frozen: bool
    at: int | None = None
    by: str | None = None
    reason: str | None = None


class FreezesNow(Struct, frozen=True):
    """What has changed up to `version`: user → whether frozen. With `anew`, it is all there is."""

    version: int
    changed: Mapping[str, bool]
    anew: bool = False


class FrozenUsers:
    """The users who were ever frozen."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def change(self, user: str, *, frozen: bool, by: str, reason: str, address: str) -> Freeze:
        """Freeze a user or end that; give how the user stands now. What is so already stays as it is.

        Raises:
            StorageError: nobody knows whether it was done; done again, it is done once.
        """
        rows = await self._postgres.rows(
            "SELECT frozen, at, by, reason FROM set_frozen($1, $2, $3, $4, $5)",
            user,
            frozen,
            by,
            reason,
            address,
        )
        return Freeze(user, *rows[0])

    async def since(self, version: int) -> FreezesNow:
        """Give what has changed after `version`; everything, where that is a version that never was.

        Raises:
            StorageError
        """
        rows = await self._postgres.rows(
            """
            WITH head AS (SELECT version, version < $1 AS anew FROM freeze_head)
            SELECT h.version, h.anew, f.member, f.frozen
              FROM head h LEFT JOIN freezes f ON f.version > CASE WHEN h.anew THEN 0 ELSE $1 END
            """,
            version,
        )
        head, anew = rows[0][:2]
        return FreezesNow(head, {member: frozen for _, _, member, frozen in rows if member is not None}, anew)

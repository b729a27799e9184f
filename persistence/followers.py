"""Who follows whom, in Postgres, as the application says."""

from collections.abc import Sequence

from persistence.postgres import Postgres


class Followers:
    """The followers of all hosts."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def change(self, host: str, add: Sequence[str], remove: Sequence[str]) -> None:
        """Add and remove followers, in one step."""
        async with self._postgres.connection() as connection, connection.transaction():
            # In one order, so that two such changes never wait for each other in a circle.
            await connection.execute(
                "DELETE FROM followers WHERE (host, follower) IN ("
                " SELECT host, follower FROM followers WHERE host = $1 AND follower = ANY ($2)"
                " ORDER BY follower FOR UPDATE)",
                host,
                remove,
            )
            await connection.execute(
                "INSERT INTO followers SELECT $1, f FROM unnest($2::text[]) f ORDER BY f ON CONFLICT DO NOTHING",
                host,
                add,
            )

    async def follows(self, host: str, user: str) -> bool:
        """Tell whether a user follows a host.

        Raises:
            Unavailable
        """
        row = await self._postgres.row("SELECT FROM followers WHERE host = $1 AND follower = $2", host, user)
        return row is not None

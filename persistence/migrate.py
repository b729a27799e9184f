"""Brings a database to the schema that this version of the server needs.

Migrations are the numbered SQL files in `persistence/migrations`. Each runs in a transaction of its
own, once, in order, whichever node comes first.
"""

from importlib.resources import files

from msgspec import Struct

from persistence.errors import Misconfigured
from persistence.postgres import Connection, Postgres, translated

# Any constant will do, as long as every node uses the same.
LOCK = 0x57414745


class Migration(Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Give all steps, in order."""
    found = [file for file in files("persistence").joinpath("migrations").iterdir() if file.name.endswith(".sql")]
    return sorted(
        (Migration(int(file.name[:4]), file.name, file.read_text("utf-8")) for file in found),
        key=lambda migration: migration.number,
    )


async def migrate(postgres: Postgres) -> list[str]:
    """Apply what is missing, and give the names of what was applied."""
    async with postgres.connection() as connection:
        # Held to the end of the connection's use, so two nodes that start at once don't collide.
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        try:
            return [step.name for step in migrations() if await _apply(connection, step)]
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _apply(connection: Connection, step: Migration) -> bool:
    if step.number <= await _applied(connection):
        return False
    async with connection.transaction():
        await connection.execute(step.sql)
        await connection.execute("INSERT INTO migrations (number, name) VALUES ($1, $2)", step.number, step.name)
    return True


async def _applied(connection: Connection) -> int:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (number integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())"
    )
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM migrations"))


async def check(postgres: Postgres) -> None:
    """Make sure that the schema is there and complete.

    Raises:
        Misconfigured: it is not; `stagewire migrate` brings it up.
        Unavailable: the database cannot be asked.
    """
    newest = migrations()[-1]
    with translated():
        row = await postgres.row("SELECT max(number) AS number FROM migrations")
    if row is None or row["number"] is None or row["number"] < newest.number:
        raise Misconfigured(f"the database lacks migration {newest.name}: run `stagewire migrate`")

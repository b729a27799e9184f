"""What the tutorials say works, where no browser is needed."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from persistence.embedded import Servers
from realtime.migrating import bring_up
from realtime.settings import Settings
from tests.conformance.checking import check, conforms, minting, table
from tests.conformance.player import Stage
from tests.conformance.transcript import all_transcripts
from tests.support.databases import fresh_database, query
from tests.support.nodes import SECRET, serving

ROOT = Path(__file__).parent.parent
SUPABASE = (ROOT / "docs/tutorials/supabase.md").read_text("utf-8")
# As Supabase's `postgres` is: no superuser, but whose the database is.
OWNER = "CREATE ROLE {owner} LOGIN CREATEROLE"


@pytest.fixture
def project(servers: Servers) -> Iterator[str]:
    """Give the URL of a database like that of a Supabase project, for whoever owns it."""
    owner = f"owner_{uuid4().hex[:8]}"
    with fresh_database(servers.database_url) as url:
        query(url, OWNER.format(owner=owner))
        query(url, f"ALTER DATABASE {urlsplit(url).path[1:]} OWNER TO {owner}")
        query(url, f"CREATE SCHEMA extensions AUTHORIZATION {owner}")
        try:
            yield as_user(url, owner)
        finally:
            query(url, f"REASSIGN OWNED BY {owner} TO CURRENT_USER")
            query(url, f"DROP OWNED BY {owner}")
            query(url, f"DROP ROLE {owner}")


@pytest.fixture
def beside(project: str, servers: Servers) -> Iterator[str]:
    """Do what the tutorial says in SQL, and give the URL for Stagewire."""
    role = f"stagewire_{uuid4().hex[:8]}"
    [sql] = re.findall(r"```sql\n(.*?)```", SUPABASE, flags=re.DOTALL)
    # All databases of the tests' server share their roles.
    for statement in sql.replace("stagewire", role).split(";\n")[:-1]:
        query(project, statement)
    try:
        yield as_user(project, role)
    finally:
        there = as_user(project, str(urlsplit(servers.database_url).username))
        query(there, f"DROP OWNED BY {role} CASCADE")
        query(there, f"DROP ROLE {role}")


def as_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl()


def test_stagewire_keeps_to_its_schema_in_a_supabase_project(beside: str) -> None:
    bring_up(Settings(database_url=beside))
    schemas = "SELECT string_agg(DISTINCT nspname, ',') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    there = str(query(beside, f"{schemas} WHERE relowner = current_user::regrole AND nspname <> 'pg_toast'"))
    assert there.startswith("stagewire_")
    assert "," not in there
    assert query(beside, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_stagewire_serves_beside_a_supabase_project(migrated_beside: str, redis_url: str) -> None:
    async with serving(migrated_beside, redis_url) as node:
        wanted = [one for one in all_transcripts() if one.name in ("chat", "history", "inbox")]
        checked = await check(wanted, [Stage(node.websocket, minting(SECRET))])
        assert conforms(checked), table(checked)
        session = await node.session("alice")
        found = await node.request("GET", f"/v1/sessions/{session}/search?q=coats", token_of("alice"))
        assert found.status_code == 200, found.text


@pytest.fixture
def migrated_beside(beside: str) -> str:
    bring_up(Settings(database_url=beside))
    return beside


def token_of(user: str) -> str:
    return minting(SECRET)(user, "seller", 60, "")


def test_every_setting_of_supabase_is_one() -> None:
    named = set(re.findall(r"STAGEWIRE_([A-Z_]+)", SUPABASE))
    assert {name.lower() for name in named} <= set(Settings.__struct_fields__)


def test_live_chat_takes_20_lines() -> None:
    page = (ROOT / "docs/tutorials/live-chat.md").read_text("utf-8")
    [script] = re.findall(r'<script type="module">\n(.*?)</script>', page, flags=re.DOTALL)
    assert len([line for line in script.splitlines() if line.strip(" })];")]) <= 20

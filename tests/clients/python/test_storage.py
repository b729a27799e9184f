import asyncio
from pathlib import Path

import pytest

from stagewire_client.errors import StorageError
from stagewire_client.outbox import Draft
from stagewire_client.storage import FileStorage, MemoryStorage, Storage

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
ONE = Draft(key="5f0c0e0a-7c5b-4a57-9d0f-3c1f6a4b9e21", written_at=5, number=1, text="üöä\n👋", reply_to=7)
TWO = Draft(key="0b6b2f5e-53a3-4d1e-8a54-fd0cbbd0a1c7", type="chat.edit", written_at=6, number=2, text="x", seq=4)


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return MemoryStorage() if request.param == "memory" else FileStorage(tmp_path / "kept")


async def test_what_is_put_is_loaded_until_it_is_removed(storage: Storage) -> None:
    assert await storage.load("alice", SESSION) == []
    for draft in (ONE, TWO, ONE):
        await storage.put("alice", SESSION, draft)
    assert sorted(await storage.load("alice", SESSION), key=lambda draft: draft.number) == [ONE, TWO]
    assert await storage.load("bob", SESSION) == []
    await storage.remove("alice", SESSION, ONE.key)
    assert await storage.load("alice", SESSION) == [TWO]
    for _ in range(2):
        await storage.remove("alice", SESSION, TWO.key)
    assert await storage.load("alice", SESSION) == []


async def test_several_processes_may_share_a_folder(tmp_path: Path) -> None:
    one, other = FileStorage(tmp_path), FileStorage(tmp_path)
    await one.put("alice", SESSION, ONE)
    await other.put("alice", SESSION, TWO)
    assert len(await one.load("alice", SESSION)) == 2
    await one.remove("alice", SESSION, TWO.key)
    assert await other.load("alice", SESSION) == [ONE]


async def test_only_the_user_may_read_what_is_kept(tmp_path: Path) -> None:
    await FileStorage(tmp_path).put("alice", SESSION, ONE)
    [file] = tmp_path.rglob("*.json")  # noqa: ASYNC240 - of one file
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_what_is_no_draft_is_left_alone(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    await storage.put("alice", SESSION, ONE)
    shelf = tmp_path / "alice" / SESSION
    (shelf / "other.json").write_text("not JSON")
    (shelf / "half.123").write_text("{")
    assert await storage.load("alice", SESSION) == [ONE]
    await storage.remove("alice", SESSION, ONE.key)
    assert sorted(file.name for file in shelf.iterdir()) == ["half.123", "other.json"]


async def test_what_the_disk_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "alice").write_text("no folder")
    storage = FileStorage(tmp_path)
    with pytest.raises(StorageError, match=r"cannot write .*: Not a directory"):
        await storage.put("alice", SESSION, ONE)
    with pytest.raises(StorageError, match="cannot remove"):
        await storage.remove("alice", SESSION, ONE.key)
    shelf = tmp_path / "bob" / SESSION
    (shelf / "folder.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot read"):
        await storage.load("bob", SESSION)


async def test_what_another_process_has_sent_meanwhile_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FileStorage(tmp_path)
    await storage.put("alice", SESSION, ONE)
    shelf = tmp_path / "alice" / SESSION
    (shelf / "gone.json").symlink_to(shelf / "nowhere")
    assert await storage.load("alice", SESSION) == [ONE]


async def test_a_folder_that_another_process_removes_at_that_moment_is_made_again(tmp_path: Path) -> None:
    one, other = FileStorage(tmp_path), FileStorage(tmp_path)

    async def fill(storage: FileStorage, draft: Draft) -> None:
        for _ in range(300):
            await storage.put("alice", SESSION, draft)
            assert draft in await storage.load("alice", SESSION)
            await storage.remove("alice", SESSION, draft.key)

    await asyncio.gather(fill(one, ONE), fill(other, TWO))


async def test_a_folder_that_never_stays_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    with pytest.raises(StorageError, match="No such file"):
        await FileStorage(tmp_path / "gone").put("alice", SESSION, ONE)

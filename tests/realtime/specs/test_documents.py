"""`stagewire schema` prints what a server with the same settings serves."""

import json

import pytest

from realtime import cli
from realtime.settings import Settings
from realtime.specs.documents import DOCUMENTS


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGEWIRE_MAX_FRAME", "2048")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_command_prints_the_document(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENTS[name](Settings(max_frame=2048))


def test_there_is_no_other_document(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["schema", "swagger"])
    assert "asyncapi" in capsys.readouterr().err

import json
from typing import Any

import pytest

from tokens import kicking
from tokens.errors import GrantError, KickRefused
from tokens.grants import App
from tokens.kicking import OUT, SILENT, Account, Answer, Rule

APP = App("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")
ACCOUNT = Account(APP, "id", "secret")
SESSION = "0192f0c8-1111-7abc-8def-0123456789ab"


def test_the_account_signs_in_by_basic_authentication_and_hides_its_secret() -> None:
    # RFC 7617: base64 of "id:secret".
    assert ACCOUNT.authorization == "Basic aWQ6c2VjcmV0"
    assert "secret" not in repr(ACCOUNT)


@pytest.mark.parametrize(
    ("uid", "forbidden", "lasts_s", "said"),
    [
        (5, OUT, 60, {"uid": 5, "time_in_seconds": 60, "privileges": ["join_channel"]}),
        (
            2**32 - 1,
            SILENT,
            9,
            {"uid": 2**32 - 1, "time_in_seconds": 10, "privileges": ["publish_audio", "publish_video"]},
        ),
        (None, OUT, 90_000, {"time_in_seconds": 86_430, "privileges": ["join_channel"]}),
    ],
)
def test_a_rule_is_made(uid: int | None, forbidden: Any, lasts_s: int, said: dict[str, Any]) -> None:
    request = kicking.make(ACCOUNT, SESSION, uid, forbidden, lasts_s)
    assert (request.method, request.path) == ("POST", "/dev/v1/kicking-rule")
    assert json.loads(request.body) == {"appid": APP.app_id, "cname": SESSION, "ip": "", **said}


@pytest.mark.parametrize("uid", [0, -1, 2**32])
def test_no_rule_about_one_becomes_one_about_all(uid: int) -> None:
    with pytest.raises(AssertionError):
        kicking.make(ACCOUNT, SESSION, uid, OUT, 60)


def test_nor_is_one_about_every_channel() -> None:
    with pytest.raises(GrantError):
        kicking.make(ACCOUNT, "", 5, OUT, 60)


def test_rules_are_listed_and_removed() -> None:
    listed, removed = kicking.list_all(ACCOUNT), kicking.remove(ACCOUNT, 1953)
    assert (listed.method, listed.path, listed.body) == ("GET", f"/dev/v1/kicking-rule?appid={APP.app_id}", b"")
    assert (removed.method, removed.path) == ("DELETE", "/dev/v1/kicking-rule")
    assert json.loads(removed.body) == {"appid": APP.app_id, "id": 1953}


def test_an_answer_is_read() -> None:
    rules = [{"id": 1, "cname": SESSION, "uid": 5, "ip": None, "ts": "2026-01-01T00:00:00.000Z"}, {"id": 2}]
    said = kicking.read(200, json.dumps({"status": "success", "rules": rules, "more": [1]}).encode())
    assert said == Answer("success", [Rule(1, SESSION, 5), Rule(2)])
    assert kicking.read(200, b'{"status":"success","id":1953}') == Answer("success")


@pytest.mark.parametrize(
    ("status", "body", "why", "again"),
    [
        (401, b"", "status 401", False),
        (400, b'{"message":"bad"}', "status 400", False),
        (429, b"", "status 429", True),
        (504, b"", "status 504", True),
        (201, b'{"status":"success"}', "status 201", False),
        (200, b"", "not understood", False),
        (200, b"[]", "not understood", False),
        (200, b'{"status":"\xff"}', "not understood", False),
        (200, b'{"status":"success","rules":[{}]}', "not understood", False),
        (200, b'{"status":"failure"}', "no success", False),
        (200, b'{"status":' + b"[" * 100_000, "not understood", False),
    ],
)
def test_anything_else_is_no_success(status: int, body: bytes, why: str, again: bool) -> None:
    with pytest.raises(KickRefused, match=why) as refused:
        kicking.read(status, body)
    assert refused.value.again is again


def test_the_rules_about_one_in_one_channel_are_found() -> None:
    rules = [
        Rule(1, SESSION, 5),
        Rule(2, SESSION, "5"),
        Rule(3, SESSION, 6),
        Rule(4, SESSION),
        Rule(5, "x", 5),
        Rule(6),
        Rule(7, SESSION, "\u0665"),
        Rule(8, SESSION, 2**32),
        Rule(9, SESSION, "9" * 5000),
    ]
    said = Answer("success", rules)
    assert kicking.rules_of(SESSION, 5, said) == [(5, rules[0]), (5, rules[1])]
    assert kicking.rules_of(SESSION, None, said) == [(5, rules[0]), (5, rules[1]), (6, rules[2])]


def test_a_rule_says_what_it_forbids() -> None:
    said = kicking.read(200, b'{"status":"success","rules":[{"id":1,"privileges":["publish_audio"]},{"id":2}]}')
    audio, unsaid = said.rules
    assert [audio.forbids(bans) for bans in (OUT, SILENT, ())] == [False, True, False]
    # Before there were others, a rule forbade to join.
    assert [unsaid.forbids(bans) for bans in (OUT, SILENT)] == [True, False]

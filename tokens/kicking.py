"""Agora's kicking rules: what is asked of its Channel Management RESTful API, and what it answers.

    make    POST   /dev/v1/kicking-rule  {"appid", "cname", "uid", "ip": "", "time_in_seconds", "privileges"}
    list    GET    /dev/v1/kicking-rule?appid=
    remove  DELETE /dev/v1/kicking-rule  {"appid", "id"}

A rule of a channel without a `uid` is about everyone in it. `privileges` names what is forbidden: `join_channel` also
puts out whoever is there. Rules last 10 to 86,430 s. The answer is `{"status": "success"}` with 200, beside `rules`,
where they were asked for. The account's customer id and secret are sent by HTTP's basic authentication.
(docs.agora.io, Channel Management REST API, "Ban user privileges")
"""

from base64 import b64encode
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from tokens.errors import KickRefused
from tokens.grants import U32_MAX, App, channel_for

PATH: Final = "/dev/v1/kicking-rule"
MAX_RULE_S: Final = 86_430
MIN_RULE_S: Final = 10

_OK: Final = 200
_TOO_MANY: Final = 429
_ITS_FAULT: Final = 500


class Ban(StrEnum):
    """What a rule forbids."""

    JOIN = "join_channel"
    AUDIO = "publish_audio"
    VIDEO = "publish_video"


OUT: Final = (Ban.JOIN,)
SILENT: Final = (Ban.AUDIO, Ban.VIDEO)


class Account(Struct, frozen=True):
    """Who asks: an app, and the customer id and secret of its account."""

    app: App
    customer: str
    secret: str

    def __repr__(self) -> str:
        return f"Account({self.customer})"

    @property
    def authorization(self) -> str:
        """The header of that name."""
        return "Basic " + b64encode(f"{self.customer}:{self.secret}".encode()).decode("ascii")


class Request(Struct, frozen=True):
    """One call: a method, a path with its query, and a body or none."""

    method: str
    path: str
    body: bytes = b""


class Rule(Struct, frozen=True):
    """A rule that stands: about a channel, and one user in it or all; where it names no privileges, about joining."""

    id: int
    cname: str | None = None
    uid: int | str | None = None
    privileges: list[str] | None = None

    @property
    def number(self) -> int | None:
        """Whom it is about, unless that is everyone."""
        text = str(self.uid)
        uid = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(U32_MAX)) else 0
        return uid if 1 <= uid <= U32_MAX else None

    def forbids(self, one_of: Collection[str]) -> bool:
        """Tell whether it forbids one of these."""
        return not set(self.privileges or OUT).isdisjoint(one_of)


class Answer(Struct, frozen=True):
    """What Agora says to a call that it has carried out."""

    status: str
    rules: list[Rule] = []


def make(account: Account, session: str, uid: int | None, forbidden: Sequence[Ban], lasts_s: int) -> Request:
    """Forbid a user of a session's channel something; without a `uid`, everyone in it.

    Raises:
        GrantError: not a session's id.
    """
    # To Agora, 0 is nobody in particular: such a rule would be about the whole channel.
    assert uid is None or 1 <= uid <= U32_MAX
    said: dict[str, Any] = {"appid": account.app.app_id, "cname": channel_for(session)}
    if uid is not None:
        said["uid"] = uid
    said |= {"ip": "", "time_in_seconds": min(max(lasts_s, MIN_RULE_S), MAX_RULE_S), "privileges": forbidden}
    return Request("POST", PATH, msgspec.json.encode(said))


def list_all(account: Account) -> Request:
    """Ask for all rules of the app."""
    return Request("GET", f"{PATH}?appid={account.app.app_id}")


def remove(account: Account, rule: int) -> Request:
    """Take a rule back."""
    return Request("DELETE", PATH, msgspec.json.encode({"appid": account.app.app_id, "id": rule}))


def read(status: int, body: bytes) -> Answer:
    """What Agora has answered, where it has done what was asked.

    Raises:
        KickRefused: it has not.
    """
    if status != _OK:
        raise KickRefused(f"status {status}", again=status == _TOO_MANY or status >= _ITS_FAULT)
    try:
        said = msgspec.json.decode(body, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise KickRefused("the answer is not understood", again=False) from None
    if said.status != "success":
        raise KickRefused("no success", again=False)
    return said


def rules_of(session: str, uid: int | None, said: Answer) -> list[tuple[int, Rule]]:
    """The rules about one user of a session's channel, or about any, in a list of all; each with whom it is about."""
    rules = [(rule.number, rule) for rule in said.rules if rule.cname == channel_for(session)]
    return [(number, rule) for number, rule in rules if number is not None and uid in (None, number)]

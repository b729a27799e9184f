import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.errors import Misconfigured
from persistence.redis_url import Kind, Target, parse

CHECKED = {"ssl_check_hostname": True}
LOCAL = ("127.0.0.1", 6379)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1", Target(kind=Kind.SERVER, hosts=(LOCAL,))),
        ("redis://cache.example.com:7000/", Target(kind=Kind.SERVER, hosts=(("cache.example.com", 7000),))),
        ("redis://127.0.0.1/2", Target(kind=Kind.SERVER, hosts=(LOCAL,), db=2)),
        ("redis://127.0.0.1?db=3", Target(kind=Kind.SERVER, hosts=(LOCAL,), db=3)),
        ("redis://[::1]:6380", Target(kind=Kind.SERVER, hosts=(("::1", 6380),))),
        ("redis://ann@127.0.0.1", Target(kind=Kind.SERVER, hosts=(LOCAL,), user="ann")),
        ("redis://:p%40%2F%3A@127.0.0.1", Target(kind=Kind.SERVER, hosts=(LOCAL,), password="p@/:")),
        ("redis://a:b:c@127.0.0.1", Target(kind=Kind.SERVER, hosts=(LOCAL,), user="a", password="b:c")),
        ("redis://a:b@c@127.0.0.1", Target(kind=Kind.SERVER, hosts=(LOCAL,), user="a", password="b@c")),
        ("rediss://127.0.0.1", Target(kind=Kind.SERVER, hosts=(LOCAL,), tls=CHECKED)),
        (
            "rediss://127.0.0.1/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none&ssl_check_hostname=false",
            Target(
                kind=Kind.SERVER,
                hosts=(LOCAL,),
                db=1,
                tls={"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": "none", "ssl_check_hostname": False},
            ),
        ),
        ("unix:///run/valkey%20x.sock", Target(kind=Kind.SOCKET, path="/run/valkey x.sock")),
        ("unix://u:p@/v.sock?db=4", Target(kind=Kind.SOCKET, path="/v.sock", db=4, user="u", password="p")),
        (
            "redis+sentinel://one,two:26380,[::1]/main",
            Target(kind=Kind.SENTINEL, hosts=(("one", 26_379), ("two", 26_380), ("::1", 26_379)), service="main"),
        ),
        (
            "rediss+sentinel://u:p@one/my%2Fmain/5?sentinel_user=s&sentinel_password=q%26&ssl_certfile=c&ssl_keyfile=k",
            Target(
                kind=Kind.SENTINEL,
                hosts=(("one", 26_379),),
                service="my/main",
                db=5,
                user="u",
                password="p",
                sentinel_user="s",
                sentinel_password="q&",
                tls={"ssl_certfile": "c", "ssl_keyfile": "k", **CHECKED},
            ),
        ),
        ("redis+cluster://one", Target(kind=Kind.CLUSTER, hosts=(("one", 6379),))),
        (
            "redis+cluster://u:p@one:7000,127.0.0.1/0",
            Target(kind=Kind.CLUSTER, hosts=(("one", 7000), LOCAL), user="u", password="p"),
        ),
        ("rediss+cluster://[::1],one", Target(kind=Kind.CLUSTER, hosts=(("::1", 6379), ("one", 6379)), tls=CHECKED)),
    ],
)
def test_what_urls_say(url: str, expected: Target) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "is malformed"),
        ("localhost:6379", "is malformed"),
        ("http://127.0.0.1", "begin with one of redis://, rediss://, unix://, redis\\+sentinel://"),
        ("REDIS://127.0.0.1", "begin with one of"),
        ("redis://127.0.0.1/0#x", "is malformed"),
        ("redis://127.0.0.1\n", "must name its hosts"),
        ("redis://", "must name its hosts"),
        ("redis://:6379", "must name its hosts"),
        ("redis://::1", "must name its hosts"),
        ("redis://one:port", "must name its hosts"),
        ("redis+cluster://one,", "must name its hosts"),
        ("redis+sentinel:///main", "must name its hosts"),
        ("redis://one:0", "port that is not from 1 to 65535"),
        ("redis://one:65536", "port that is not from 1 to 65535"),
        ("redis://one,two", "names several hosts"),
        ("redis://one/x", "database that is not a number"),
        ("redis://one/1/2", "path that is not the number of a database"),
        ("redis://one?db=", "database that is not a number"),
        ("redis://one?db=\N{ARABIC-INDIC DIGIT ONE}", "database that is not a number"),
        ("redis://one?timeout=3", "option that it cannot have; it can have db \\("),
        ("redis://one?ssl_ca_certs=x", "it can have db \\("),
        ("rediss://one?ssl_cert_reqs=maybe", "ssl_cert_reqs that is not"),
        ("rediss://one?ssl_check_hostname=0", "ssl_check_hostname that is not"),
        ("unix://run/valkey.sock", "must name a socket"),
        ("unix://", "must name a socket"),
        ("unix:///v.sock?db=x", "database that is not a number"),
        ("redis+sentinel://one", "must name the service"),
        ("redis+sentinel://one/", "must name the service"),
        ("redis+sentinel://one/main/x", "database that is not a number"),
        ("redis+sentinel://one/main?db=1", "it can have sentinel_password, sentinel_user \\("),
        ("redis+cluster://one/1", "a cluster has only number 0"),
        ("redis+cluster://one/main", "database that is not a number"),
        ("redis+cluster://one?db=0", "it can have none \\("),
    ],
)
def test_what_is_wrong_with_urls(url: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        parse(url)


SCHEMES = ["redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"]
# Marked, so that no part of it is a word of a message by chance.
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda text: f"§{text}§")


@given(st.sampled_from(SCHEMES), SECRETS, SECRETS)
def test_users_and_passwords_come_through_whatever_they_are(scheme: str, user: str, password: str) -> None:
    place = "/v.sock" if scheme == "unix" else "one/main" if "sentinel" in scheme else "one"
    target = parse(f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{place}")
    assert (target.user, target.password) == (user, password)


@given(st.sampled_from(SCHEMES), SECRETS, st.sampled_from(["one", "one:x", "one/main/x", "/v.sock", "one?db=x", ""]))
def test_no_message_shows_a_password_that_is_not_encoded(scheme: str, password: str, place: str) -> None:
    for url in (f"{scheme}://u:{password}@{place}", f"{scheme}://{password}/{place}", f"{password}{scheme}://{place}"):
        try:
            parse(url)
        except Misconfigured as exc:
            shown = f"{exc} {exc.__cause__} {exc.__context__}"
            assert "§" not in shown


@given(st.text(alphabet=string.printable))
def test_nothing_else_comes_of_any_text(url: str) -> None:
    def read() -> Any:
        try:
            return parse(url)
        except Misconfigured as exc:
            return exc

    assert isinstance(read(), (Target, Misconfigured))

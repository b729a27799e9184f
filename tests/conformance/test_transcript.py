"""The form of transcripts, and that ours have it."""

import pytest

from tests.conformance.transcript import (
    Connect,
    Disconnect,
    Drain,
    Freeze,
    Hear,
    Log,
    Need,
    Read,
    Row,
    Say,
    Transcript,
    Unreadable,
    Wait,
    all_transcripts,
    parse,
)

TEXT = """# A show

## It begins
needs agora
// a remark
alice connects
alice → {"type":"pong"}
alice → text []
alice → bytes c1
alice → 3 bytes
alice/2 ← {"type":"ack","re":1}

## It ends
alice ← close 4401
alice disconnects
alice waits 1.5 s
alice reads nothing
alice reads on
alice → 3 times {"type":"pong"}
alice ← many times {"type":"ack"}
the server freezes bob
the server unfreezes bob
the log has {"seq":3}
the server drains
"""


def test_a_transcript_is_read() -> None:
    assert parse("show", TEXT) == Transcript(
        "show",
        "A show",
        [
            Row(
                "It begins",
                frozenset([Need.AGORA]),
                [
                    Connect("alice"),
                    Say("alice", {"type": "pong"}),
                    Say("alice", "[]"),
                    Say("alice", b"\xc1"),
                    Say("alice", "   "),
                    Hear("alice/2", {"type": "ack", "re": 1}),
                ],
            ),
            Row(
                "It ends",
                frozenset(),
                [
                    Hear("alice", 4401),
                    Disconnect("alice"),
                    Wait("alice", 1.5),
                    Read("alice", on=False),
                    Read("alice", on=True),
                    Say("alice", {"type": "pong"}, 3),
                    Hear("alice", {"type": "ack"}, many=True),
                    Freeze("bob", frozen=True),
                    Freeze("bob", frozen=False),
                    Log({"seq": 3}),
                    Drain(),
                ],
            ),
        ],
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Without rows\n",
        "# A\n# B\n## C\n",
        "# A\n## B\nalice sings\n",
        "# A\n## B\nalice ← {\n",
        "# A\n## B\n← {}\n",
        "# A\n## B\nalice ← 3 times {}\n",
        "# A\n## B\nalice → many times {}\n",
        "# A\n## B\nalice waits 3 times 2 s\n",
    ],
)
def test_what_is_no_transcript_is_told(text: str) -> None:
    with pytest.raises(Unreadable):
        parse("x", text)


def test_ours_are_transcripts() -> None:
    found = {transcript.name: transcript for transcript in all_transcripts()}
    assert {"hello", "join", "chat", "edits", "history", "life", "inbox", "silence", "drain"} <= set(found)
    for transcript in found.values():
        statements = [row.statement for row in transcript.rows]
        assert len(statements) == len(set(statements))
        assert all(row.steps for row in transcript.rows)

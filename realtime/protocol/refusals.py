"""Refusals that several parts give, in the same words.

Each call makes a new one: an exception that is raised again keeps the frames of every time before.
"""

from realtime.protocol.codes import Code, Refusal


def no_such_session() -> Refusal:
    """Give `not_found`: there is no such session, or it is not there for whoever asks."""
    return Refusal(Code.NOT_FOUND, "no such session")


def session_ended() -> Refusal:
    """Give `conflict`: that is not done in a session that has ended."""
    return Refusal(Code.CONFLICT, "the session is ended", state="ended")


def key_used() -> Refusal:
    """Give `conflict`: the sender has used this key otherwise."""
    return Refusal(Code.CONFLICT, "this key was used for something else")


def contended() -> Refusal:
    """Give `unavailable`: whatever was tried, others were faster."""
    return Refusal(Code.UNAVAILABLE, "the session is being changed by others", retry_after_ms=100)

"""How long things may take, and how much may wait: every wait and every buffer of a client."""

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    """Times are seconds.

    The delay before the n-th attempt to come back is a random part of `first_delay` doubled n times, up to
    `longest_delay`; a connection that held for `stable` begins again at the first. Where `lasting` attempts in a
    row have failed, or `lasting_after` seconds have passed, the status says that it lasts.

    Without a message for `late` heartbeats the connection is degraded, for `lost` heartbeats it is over.
    """

    first_delay: float = 0.5
    longest_delay: float = 20.0
    stable: float = 10.0
    lasting: int = 4
    lasting_after: float = 10.0
    dialling: float = 10.0
    welcome: float = 10.0
    reply: float = 15.0
    closing: float = 2.0
    late: float = 1.25
    lost: float = 2.25
    # For how long an operation that was interrupted waits for the way back.
    patience: float = 30.0
    # For how long the storage is waited for: before anything is sent, and when the client is closed.
    storing: float = 5.0
    # Of a typing signal, which whoever goes on typing repeats within half of that.
    typing: float = 10.0
    typing_again: float = 3.0
    # How often it is said that the video plays, and half as often over a poor connection: it is believed for 30.
    playback: float = 12.0
    # Commands that await their replies, and messages to be written.
    requests: int = 256
    # Messages of a session that are not in the log yet.
    pending: int = 100
    # Events of a session that are held; what waits for each reader of a stream, which is more than comes at a time.
    window: int = 2000
    stream: int = 5000

"""What is made of the texts that users write, within this server's limits."""

from realtime.protocol.text import clean
from realtime.settings import Settings


def clean_message(text: str, settings: Settings) -> str:
    """Give the text of a message, to a session or to a user, as it will be stored.

    Raises:
        Refusal: `bad_request` or `too_large`.
    """
    return clean(text, max_characters=settings.text_characters, max_bytes=settings.text_bytes)

"""What can go wrong with storage, in words that the drivers don't decide."""


class StorageError(Exception):
    """The base of all that this package raises."""


class Unavailable(StorageError):
    """The store cannot be reached, or did not answer in time. Trying again later makes sense.

    `retry_after` says in how many seconds, where that is known.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(StorageError):
    """The store will never take this data."""


class Misconfigured(StorageError):
    """The store is not what the server needs: not migrated, too old, wrong credentials."""

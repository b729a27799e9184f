"""What can go wrong with storage, in words that the drivers don't decide."""


class StorageError(Exception):
    """The base of all that this package raises."""


class Unavailable(StorageError):
    """The store cannot be reached, or did not answer in time. Trying again later makes sense."""


class Rejected(StorageError):
    """The store will never take this data."""


class Misconfigured(StorageError):
    """The store is not what the server needs: not migrated, too old, wrong credentials."""

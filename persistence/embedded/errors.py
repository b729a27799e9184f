from persistence.errors import StorageError


class EmbeddedError(StorageError):
    """An embedded server cannot start; the first line says why, in words for people.

    Where the server itself gave up, the last lines of its log follow.
    """

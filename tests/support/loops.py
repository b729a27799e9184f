"""The event loop of the tests: the one that serves in production, and tells of what a test has left open."""

import warnings

import uvloop


class Loop(uvloop.Loop):
    """uvloop's, which ends whatever happens.

    On closing it warns of each connection that is left open, and closes it. Where warnings are errors it comes no
    further than the warning, in a callback whose errors go nowhere, and waits for that connection for ever.
    """

    def close(self) -> None:
        """Close, and warn afterwards."""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            super().close()
        for warning in told:
            warnings.warn(warning.message, stacklevel=2)

"""Why a benchmark stops."""


class BenchError(Exception):
    """The benchmark cannot go on. The message is for the operator."""

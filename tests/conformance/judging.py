"""What Autobahn's report must say."""

from collections.abc import Mapping
from typing import Any, Final

PASSED: Final = frozenset(["OK", "INFORMATIONAL"])
# More strict than RFC 6455. websockets' own notes on its conformance say why its core is not, case by case.
NON_STRICT: Final = frozenset(
    ["3.2", "3.3", "4.1.3", "4.1.4", "4.2.3", "4.2.4", "5.15", "6.4.1", "6.4.2", "6.4.3", "6.4.4"]
)
# A close within a fragmented message is answered with 1002, where the suite wants its own 1000 back.
OTHER_CODE: Final = frozenset(["7.1.5"])


def faults(report: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give what is wrong with a report (`index.json`): cases that fail beyond what is documented, or none at all."""
    cases = {name: result for agent in report.values() for name, result in agent.items()}
    found = [
        f"{name}: {result['behavior']}, close: {result['behaviorClose']}"
        for name, result in cases.items()
        if not _passed(name, result["behavior"], result["behaviorClose"])
    ]
    return found if cases else ["no case was run"]


def _passed(name: str, behavior: str, close: str) -> bool:
    if name in OTHER_CODE:
        return True
    allowed = PASSED | {"NON-STRICT"} if name in NON_STRICT else PASSED
    return behavior in allowed and close in PASSED

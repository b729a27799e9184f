"""The tables of settings, metrics, rights, limits and codes, rendered from what the code says.

`python -m realtime.reference docs/operations.md docs/protocol.md` writes them into the pages, between comments that
name them: `<!-- settings -->` and `<!-- /settings -->`.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.inspect import BoolType, Field, FloatType, IntType, Metadata
from prometheus_client.metrics import MetricWrapperBase

from realtime.domain import access
from realtime.domain.access import Role
from realtime.domain.limits import DEFAULTS, Action, RateRole
from realtime.domain.session import State
from realtime.environment import name_of
from realtime.http.table import ENDPOINTS
from realtime.limiting import action_of
from realtime.protocol import meanings
from realtime.protocol.codes import HTTP_STATUS
from realtime.protocol.commands import AnyCommand, Hello
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.telemetry.tally import Tally


def settings_table() -> str:
    """Render every setting: its variable, its meaning with its unit, its bounds, its default."""
    shape: Any = msgspec.inspect.type_info(Settings)
    rows = [(f"`{name_of(field.name)}`", _meaning(field), _bounds(field), _default(field)) for field in shape.fields]
    return _table(("variable", "meaning", "bounds", "default"), rows)


def metrics_table() -> str:
    """Render every metric: its name as Prometheus sees it, its type, its labels, its meaning."""
    named = (value.counter if isinstance(value, Tally) else value for value in vars(metrics).values())
    found = [value for value in named if isinstance(value, MetricWrapperBase)]
    return _table(("metric", "type", "labels", "meaning"), [_metric_row(metric) for metric in found])


def access_table() -> str:
    """Render the access matrix: for each command which roles may, in which states, and whether after a join."""
    head = ("command", *Role, "while the session is", "joined")
    return _table(head, [_right_row(command, right) for command, right in access.RIGHTS.items()])


def _right_row(command: str, right: access.Right) -> tuple[str, ...]:
    name, _, more = command.partition(" ")
    beyond = ", ".join(part for part in (more, right.beyond) if part)
    may = ("yes" if role in access.RULES[right.may].roles else "" for role in Role)
    states = "anything" if right.states == set(State) else ", ".join(s for s in State if s in right.states)
    return f"`{name}` {beyond}".rstrip(), *may, states, "yes" if right.joined else ""


def fill(page: str) -> str:
    """Give the page with its tables as they must be."""
    return _MARKED.sub(lambda found: f"<!-- {found[1]} -->\n{TABLES[found[1]]()}<!-- /{found[1]} -->", page)


def errors_table() -> str:
    """Render every error: its status over HTTP, what it means, and what to do."""
    rows = [(f"`{code}`", str(HTTP_STATUS[code]), *meaning) for code, meaning in meanings.ERRORS.items()]
    return _table(("code", "HTTP", "meaning", "what to do"), rows)


def handshakes_table() -> str:
    """Render every status with which a WebSocket handshake is refused: why, and what to do."""
    rows = [(str(int(status)), *meaning) for status, meaning in meanings.HANDSHAKES.items()]
    return _table(("status", "reason", "what to do"), rows)


def closes_table() -> str:
    """Render every close, in its range: what it means, and what to do."""
    rows = [(str(int(close)), *meaning) for close, meaning in meanings.CLOSES.items()]
    rows += [(f"**{meaning.means}**", "", f"**{meaning.do}**") for meaning in meanings.RANGES.values()]
    # The heading of a range comes before its first code.
    rows.sort(key=lambda row: (int(row[0].strip("*")[:4]), bool(row[1])))
    return _table(("code", "meaning", "what to do"), rows)


def limits_table() -> str:
    """Render every limit by rate: what counts as one action, and how often that may be done, for each role."""
    head = ("action", "what counts", *(f"`{role}`" for role in RateRole))
    return _table(head, [(f"`{action}`", _counted(action), *_limits(action)) for action in Action])


TABLES: Final = {
    "settings": settings_table, "metrics": metrics_table, "access": access_table, "limits": limits_table,
    "errors": errors_table, "closes": closes_table, "handshakes": handshakes_table,
}  # fmt: skip
_MARKED: Final = re.compile(f"<!-- ({'|'.join(TABLES)}) -->\n.*?<!-- /\\1 -->", re.DOTALL)


# What no command is.
_REQUESTS: Final = {
    Action.READ: "`GET` requests",
    Action.SESSION: "all other requests",
    Action.OTHER: "commands that are not understood",
    Action.HELLO: "`hello`",
    Action.HANDSHAKE: "WebSocket handshakes",
    Action.HTTP: "HTTP requests of any kind",
}


def _counted(action: Action) -> str:
    named = [f"`{c.__struct_config__.tag}`" for c in AnyCommand.__args__ if c is not Hello and action_of(c) is action]
    requests = [f"`{e.method} {e.path}`" for e in ENDPOINTS if e.action is action]
    return ", ".join([*named, *requests, *([_REQUESTS[action]] if action in _REQUESTS else [])])


def _limits(action: Action) -> list[str]:
    found = [DEFAULTS.get((action, role)) for role in RateRole]
    return [f"{limit.rate:,g}/s, {limit.burst:,}" if limit else "" for limit in found]


def _metric_row(metric: MetricWrapperBase) -> tuple[str, ...]:
    [described] = metric.describe()
    suffix = "_total" if described.type == "counter" else ""
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - it says them nowhere else
    return f"`{described.name}{suffix}`", described.type, labels, described.documentation


def _meaning(field: Field) -> str:
    assert isinstance(field.type, Metadata), "every setting says what it is about"
    schema = field.type.extra_json_schema
    assert schema is not None
    return str(schema["description"])


def _bounds(field: Field) -> str:
    kind: Any = field.type
    while isinstance(kind, Metadata):
        kind = kind.type
    match kind:
        case BoolType():
            return "`true` or `false`"
        case IntType() | FloatType():
            return _range(kind)
        case _:
            return _words(kind.pattern) if kind.pattern else ""


def _words(pattern: str) -> str:
    choice = re.fullmatch(r"\^\(([\w|]+)\)\\Z", pattern)
    return " or ".join(f"`{word}`" for word in choice[1].split("|")) if choice else f"`{pattern}`"


def _range(kind: IntType | FloatType) -> str:
    if kind.le is None:
        return f"{kind.ge:,} or more"
    return f"{kind.ge:,} to {kind.le:,}" if kind.gt is None else f"more than {kind.gt:,}, up to {kind.le:,}"


def _default(field: Field) -> str:
    if field.default == "":
        return ""
    shown = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return f"`{shown.removesuffix('.0') if isinstance(field.default, float) else shown}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def main(pages: list[str]) -> None:
    """Write the tables into the pages."""
    for page in map(Path, pages):
        page.write_text(fill(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

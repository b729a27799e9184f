"""Figures as people read them: in tables, with units, and over several runs as a median with the spread. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median, median_low
from typing import Any, Final

from msgspec import Struct, structs

UNITS: Final = {"_us": "µs", "_ms": "ms", "_s": "s", "_per_s": "/s", "_percent": "%", "_kib": "KiB", "_mib": "MiB"}
# What is rounded to this has more than three digits.
_FOUR_DIGITS: Final = 999.5


class Quantity(Struct, frozen=True):
    """A figure, if it was measured."""

    value: float | None
    unit: str = ""


Cell = str | Quantity


class Table(Struct, frozen=True):
    """Rows below their headings; `title` says what they are about."""

    headings: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    title: str = ""


def table_of(results: Struct) -> Table:
    """Give a row for each field, those of nested structs too. The fields' endings are their units."""
    return Table(("", ""), [(label, quantity) for label, quantity in _quantities(results)])


def _quantities(results: Struct) -> Iterable[tuple[str, Cell]]:
    for field in results.__struct_fields__:
        value = getattr(results, field)
        name, unit = split_unit(field)
        if isinstance(value, Struct):
            for inner in value.__struct_fields__:
                yield f"{name} {inner}", Quantity(getattr(value, inner), unit or "ms")
        else:
            yield name, value if isinstance(value, str) else Quantity(value, unit)


def split_unit(field: str) -> tuple[str, str]:
    """Divide a field's name into words and a unit."""
    ending = max((e for e in UNITS if field.endswith(e)), key=len, default="")
    return field.removesuffix(ending).replace("_", " "), UNITS.get(ending, "")


def across(tables: Sequence[Table], *, spread: bool = True) -> Table:
    """Put tables of several runs into one: medians, and with `spread` the least and the most where these differ.

    Rows belong together by their first cell, which is a text, and the unit of the next: deliveries are none per second.
    A cell that is empty in some runs is told of the others.
    """
    first = tables[0]
    rows: list[tuple[Cell, ...]] = []
    for kind in dict.fromkeys(_kind(row) for table in tables for row in table.rows):
        alike = [row for table in tables for row in table.rows if _kind(row) == kind]
        rows.append(tuple(_cell(cells, spread=spread) for cells in zip(*alike, strict=True)))
    return Table(first.headings, rows, first.title)


def _kind(row: tuple[Cell, ...]) -> tuple[Cell, str]:
    return row[0], next((cell.unit for cell in row[1:2] if isinstance(cell, Quantity)), "")


def _cell(cells: Sequence[Cell], *, spread: bool) -> str:
    if texts := [cell for cell in cells if isinstance(cell, str) and cell]:
        return texts[0]
    quantities = [cell for cell in cells if isinstance(cell, Quantity)]
    if not quantities:
        return ""
    unit, values = quantities[0].unit, [q.value for q in quantities if q.value is not None]
    if not values:
        return "not measured"
    told = f"{number(_middle(values))} {unit}".strip()
    least, most = number(min(values)), number(max(values))
    return told if least == most or not spread else f"{told} ({least} to {most})"


def number(value: float) -> str:
    """Write a number so that it can be read: whole, or to three digits."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= _FOUR_DIGITS else f"{value:.3g}"


def middle_of(results: Sequence[Any]) -> Any:
    """Give the median of results, field by field, of those that were measured; of what has no median, the first.

    Items of lists belong together by their places, those of dicts by their names.
    """
    results = [each for each in results if each is not None]
    if not results:
        return None
    first = results[0]
    if isinstance(first, Struct):
        fields = {name: middle_of([getattr(each, name) for each in results]) for name in first.__struct_fields__}
        return structs.replace(first, **fields)
    if isinstance(first, dict):
        names = dict.fromkeys(name for each in results for name in each)
        return {name: middle_of([each.get(name) for each in results]) for name in names}
    if isinstance(first, list):
        return [middle_of(each) for each in zip(*results, strict=False)]
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in results):
        return _middle(results)
    return first


def _middle(values: Sequence[float]) -> float:
    # Half a message is none.
    return median_low(values) if all(isinstance(value, int) for value in values) else median(values)


def counted(counts: Mapping[str, int]) -> list[str]:
    """Name what there was any of, with how much."""
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def markdown(table: Table) -> str:
    """Write a table of texts in Markdown."""
    lines = [table.headings, tuple(":--" if n == 0 else "--:" for n in range(len(table.headings))), *table.rows]
    rows = "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"### {table.title}\n\n{rows}\n" if table.title else f"{rows}\n"

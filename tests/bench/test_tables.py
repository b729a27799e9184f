import pytest
from msgspec import Struct

from bench.tables import Cell, Quantity, Table, across, markdown, middle_of, number, split_unit, table_of
from bench.tally import Percentiles


class Part(Struct, frozen=True):
    name: str
    cpu_percent: float | None


class Results(Struct, frozen=True):
    connections: int
    deliveries_per_s: float
    latency_ms: Percentiles | None
    ack_ms: Percentiles | None
    server_cpu_per_delivery_us: float
    kind: str


RESULTS = Results(1000, 49_978.2, Percentiles(4.44, 21.44, 31.8, 1234.5), None, 0.4731, "a kind")


def test_figures_carry_the_units_of_their_names() -> None:
    assert across([table_of(RESULTS)]).rows == [
        ("connections", "1,000"),
        ("deliveries", "49,978 /s"),
        ("latency p50", "4.44 ms"),
        ("latency p99", "21.4 ms"),
        ("latency p999", "31.8 ms"),
        ("latency max", "1,234 ms"),
        ("ack", "not measured"),
        ("server cpu per delivery", "0.473 µs"),
        ("kind", "a kind"),
    ]


@pytest.mark.parametrize(
    ("field", "words"),
    [("deliveries_per_s", ("deliveries", "/s")), ("back_s", ("back", "s")), ("missing", ("missing", ""))],
)
def test_units_are_the_longest_endings(field: str, words: tuple[str, str]) -> None:
    assert split_unit(field) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345, "12,345"), (12345.6, "12,346"), (0.12345, "0.123"), (5, "5"), (999.4, "999"), (999.6, "1,000")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def runs(*values: float | None) -> list[Table]:
    return [Table(("what", "how much"), [("it", Quantity(value, "ms"))]) for value in values]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((5.0,), "5 ms"),
        ((9.0, 5.0, 6.0), "6 ms (5 to 9)"),
        ((5.0, 5.0), "5 ms"),
        ((1, 4), "1 ms (1 to 4)"),
        ((None, 2.0), "2 ms"),
        ((None,), "not measured"),
    ],
)
def test_runs_are_told_as_a_median_and_a_spread(values: tuple[float | None, ...], text: str) -> None:
    assert across(runs(*values)).rows == [("it", text)]


def test_rows_belong_together_by_their_first_cell() -> None:
    one = Table(("a", "b"), [("x", Quantity(1)), ("y", Quantity(5))])
    other = Table(("a", "b"), [("y", Quantity(7))])
    assert across([one, other]).rows == [("x", "1"), ("y", "5 (5 to 7)")]
    assert across([other, one]).rows == [("y", "5 (5 to 7)"), ("x", "1")]


def test_a_cell_that_is_empty_in_some_runs_is_told_of_the_others() -> None:
    one = Table(("a", "b", "c"), [("x", Quantity(1, "ms"), ""), ("y", Quantity(2), "")])
    other = Table(("a", "b", "c"), [("x", Quantity(1, "ms"), Quantity(7)), ("y", "more than 9", "")])
    assert across([one, other]).rows == [("x", "1 ms", "7"), ("y", "more than 9", "")]


def test_results_have_a_median_of_each_figure() -> None:
    ends = [Percentiles(float(n), 1, 2, 3) for n in (9, 1, 4)]
    assert middle_of(ends) == Percentiles(4, 1, 2, 3)
    assert middle_of([3, 2]) == 2
    assert middle_of([[Part("x", 1.0)], [Part("x", 2.0)]]) == [Part("x", 1.5)]
    assert middle_of([Part("x", None), Part("x", 2.0)]) == Part("x", 2.0)
    assert middle_of([None, Part("x", 1.0), None]) == Part("x", 1.0)
    assert middle_of([None, None]) is None
    assert middle_of([{"a": 1, "b": 5}, {"a": 3}, {"a": 2}]) == {"a": 2, "b": 5}


def test_tables_are_written_in_markdown() -> None:
    table = across([Table(("what", "how much"), [("a|b", Quantity(5, "ms"))], "A title")])
    assert markdown(table) == "### A title\n\n| what | how much |\n| :-- | --: |\n| a\\|b | 5 ms |\n"
    assert markdown(Table(("x",), [("y",)])) == "| x |\n| :-- |\n| y |\n"


def test_a_count_and_its_rate_are_two_rows() -> None:
    rows: list[tuple[Cell, ...]] = [("deliveries", Quantity(500)), ("deliveries", Quantity(50.0, "/s"))]
    assert across([Table(("", ""), rows)]).rows == [("deliveries", "500"), ("deliveries", "50 /s")]

from msgspec import structs

from bench import standings
from bench.contestants import Contestant, Outcome, alike
from bench.plots import Bars, Lines
from bench.standings import Highest, Results, Step
from bench.tables import across, middle_of
from tests.bench.samples import FIGURES


def outcome(name: str, rate: int, cpu: float | None, missing: int = 0) -> Outcome:
    figures = structs.replace(FIGURES, server_cpu_per_delivery_us=cpu, missing=missing)
    return Outcome(name, rate, figures, 2.0 if name == "stagewire" else None)


CONTESTANTS = [
    Contestant("stagewire", "", "everything on"),
    Contestant("floor", "uvloop 1", "bare"),
    Contestant("ws", "ws 8", "a loop"),
    Contestant("centrifugo", "", "memory", "centrifugo is not on the PATH"),
]
MET = Results(
    contestants=CONTESTANTS,
    outcomes=[
        outcome("stagewire", 50, 6.0, missing=1),
        outcome("floor", 50, 4.0),
        Outcome("ws", 50, None, failed="it did not start"),
        outcome("stagewire", 200, 3.0),
        outcome("ws", 200, 8.0),
    ],
)
CLIMBED = Results(
    contestants=CONTESTANTS,
    highest=[
        Highest("ws", outcome("ws", 200, 8.0), "a p99 of 300 ms (at 210 messages/s)", outcome("stagewire", 200, 2.0)),
        Highest("floor", None, "a p99 of 999 ms (at 1 messages/s)", None),
    ],
    steps={
        "ws at 100": Step(outcome("ws", 100, 9.0), ""),
        "ws at 200": Step(outcome("ws", 200, 8.0), ""),
        "ws at 400": Step(outcome("ws", 400, 7.0), "a p99 of 300 ms"),
    },
)


def test_each_rate_has_a_table_with_ratios_to_the_floor() -> None:
    first, second = standings.tables(MET)
    assert (first.title, second.title) == ("50 messages/s", "200 messages/s")
    assert across([first]).rows == [
        ("stagewire", "50,000", "5", "20", "30", "6", "1.5", "not measured", "30", "31", "50", "2", "1"),
        ("floor", "50,000", "5", "20", "30", "4", "1", "not measured", "30", "31", "50", "", "0"),
        ("ws", *["not measured"] * 10, "", "not measured"),
    ]
    assert [row[6] for row in across([second]).rows] == ["not measured", "not measured"]
    assert all(len(row) == len(first.headings) for row in first.rows)


def test_the_highest_loads_are_compared_with_stagewire_there() -> None:
    (table,) = standings.tables(CLIMBED)
    assert across([table]).rows == [
        ("ws", "200", "50,000", "5", "20", "8", "30", "2", "0.25", "20"),
        ("floor", "0", *["not measured"] * 8),
    ]
    assert len(table.headings) == len(table.rows[0])


def test_costs_are_plotted_at_and_over_the_rates() -> None:
    bars = [plot for plot in standings.plots(MET) if isinstance(plot, Bars)]
    assert [plot.title for plot in bars] == [
        "Latency at 50 messages/s",
        "Server CPU per delivery at 50 messages/s",
        "Latency at 200 messages/s",
        "Server CPU per delivery at 200 messages/s",
    ]
    assert bars[0].groups == bars[1].groups == ["stagewire", "floor"]
    assert bars[3].series == {"CPU per delivery": [3.0, 8.0]}
    costs, late = (plot for plot in standings.plots(MET) if isinstance(plot, Lines))
    assert costs.lines == {"stagewire": [(50, 6.0), (200, 3.0)], "floor": [(50, 4.0)], "ws": [(200, 8.0)]}
    assert late.lines["stagewire"] == [(50, 20), (200, 20)]


def test_a_search_is_plotted_as_far_as_it_was_sustained() -> None:
    best, costs, _ = standings.plots(CLIMBED)
    assert isinstance(best, Bars)
    assert best.groups == ["ws"]
    assert isinstance(costs, Lines)
    assert costs.lines == {"ws": [(100, 9.0), (200, 8.0)]}


def test_searches_that_went_other_ways_are_plotted_by_what_they_tried() -> None:
    other = structs.replace(CLIMBED, steps={"ws at 150": Step(outcome("ws", 150, 8.5), "")} | CLIMBED.steps)
    _, costs, _ = standings.plots(middle_of([CLIMBED, other]))
    assert isinstance(costs, Lines)
    assert costs.lines == {"ws": [(100, 9.0), (150, 8.5), (200, 8.0)]}


def test_one_rate_makes_no_line() -> None:
    alone = Results(contestants=[], outcomes=[outcome("ws", 50, None)])
    assert not any(isinstance(plot, Lines) for plot in standings.plots(alone))


def test_notes_name_settings_and_who_was_left_out() -> None:
    told = standings.notes(MET)
    assert told[0] == standings.FAVOURS
    assert "ws (ws 8): a loop" in told
    assert "centrifugo was left out: centrifugo is not on the PATH" in told
    assert "ws failed at 50 messages/s: it did not start" in told
    assert "ws sustained no more because of a p99 of 300 ms (at 210 messages/s)" in standings.notes(CLIMBED)
    assert standings.FAVOURS not in standings.notes(Results(contestants=CONTESTANTS[:2]))


def test_a_core_that_others_were_on_is_spoken_of() -> None:
    busy = structs.replace(FIGURES, server_core_busy_percent=80.0)
    one = Results(contestants=[], outcomes=[Outcome("ws", 50, busy)])
    other = Results(contestants=[], highest=[Highest("ws", Outcome("ws", 50, busy), "", None)])
    for results in (one, other):
        assert any("by up to 50 points" in note for note in standings.notes(results))
    assert not any("points" in note for note in standings.notes(MET))


def test_only_stagewire_has_promised_anything() -> None:
    assert standings.broken(MET) == ["1 deliveries missing (50 messages/s)"]
    failed = Results(contestants=[], outcomes=[Outcome("stagewire", 50, None, failed="it did not start")])
    assert standings.broken(failed) == ["it did not start (50 messages/s)"]


def test_a_floor_gathers_as_much_as_was_seen_nearby() -> None:
    assert alike({}, 50) == 1
    assert alike({50: 1.2, 1000: 20.0}, 50) == 1.2
    assert alike({50: 1.2, 1000: 20.0}, 2000) == 40
    assert alike({50: 1.2, 1000: 20.0}, 10) == 1

"""A plan follows from its seed, leaves nothing out, and asks nothing impossible."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.plan import HOUR, LONGEST, SEVERAL, SPREAD, Kind, clock_offset, storms


@given(st.integers(), st.integers(1, 5))
def test_a_plan_follows_from_its_seed(seed: int, nodes: int) -> None:
    first, second = storms(seed, nodes), storms(seed, nodes)
    assert list(islice(first, 10)) == list(islice(second, 10))
    assert list(islice(storms(seed + 1, nodes), 10)) != list(islice(storms(seed, nodes), 10))


@given(st.integers(), st.integers(1, 5))
def test_no_kind_is_left_out_for_long(seed: int, nodes: int) -> None:
    # Some give way to another fault of their storm.
    kinds = {fault.kind for storm in islice(storms(seed, nodes), 150) for fault in storm.faults}
    assert kinds == set(Kind)


@given(st.integers(), st.integers(1, 5))
def test_faults_of_a_storm_happen_to_different_things(seed: int, nodes: int) -> None:
    for storm in islice(storms(seed, nodes), 50):
        assert 1 <= len(storm.faults) <= 3
        subjects = [fault.subject for fault in storm.faults]
        for subject, node in subjects:
            alike = [other for name, other in subjects if name == subject]
            assert len(alike) == len(set(alike))
            assert node is not None or len(alike) == 1


@given(st.integers(), st.integers(1, 5))
def test_every_fault_is_over_in_time_and_names_a_node(seed: int, nodes: int) -> None:
    for storm in islice(storms(seed, nodes), 50):
        assert storm.quiet >= 2
        assert storm.name == SEVERAL or storm.name == storm.faults[0].kind
        for fault in storm.faults:
            assert fault.node is None or fault.node in range(nodes)
            assert 0 <= fault.after <= SPREAD
            assert 0 <= fault.seconds <= LONGEST


def test_the_kinds_can_be_chosen() -> None:
    chosen = (Kind.NODE_KILL, Kind.CLIENTS_CUT)
    for storm in islice(storms(7, 3, chosen, most=1), 20):
        [fault] = storm.faults
        assert fault.kind in chosen


def test_clocks_are_wrong_by_hours_at_most() -> None:
    assert clock_offset(0.0) == -3 * HOUR
    assert clock_offset(0.5) == 0
    assert clock_offset(1.0) == 3 * HOUR

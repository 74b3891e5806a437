from tests.simulation.chance import Chance


def test_streams_depend_on_their_names_alone() -> None:
    one, other = Chance(7), Chance(7)
    one.bytes(100)
    one.of("browser", 1).happens(0.5)
    assert one.of("store").bytes(8) == other.of("store").bytes(8)
    assert other.of("store").bytes(8) != other.of("browser").bytes(8)
    assert other.of("store", 1).bytes(8) != Chance(8).of("store", 1).bytes(8)


def test_latencies_have_a_heavy_tail() -> None:
    chance = Chance(1)
    drawn = [chance.latency(0.01) for _ in range(20_000)]
    assert 0.005 < sorted(drawn)[10_000] < 0.02
    assert 20 < sum(seconds > 30 for seconds in drawn) < 80
    assert 200 < sum(0.05 < seconds < 30 for seconds in drawn) < 800
    steady = [chance.latency(0.01, steady=True) for _ in range(20_000)]
    assert sum(seconds > 30 for seconds in steady) < 8


def test_bounds_are_possible() -> None:
    chance = Chance(3)
    assert {chance.whole(1, 3) for _ in range(100)} == {1, 2, 3}
    assert {chance.pick("ab") for _ in range(100)} == {"a", "b"}
    assert all(2 <= chance.between(2, 5) < 5 for _ in range(100))

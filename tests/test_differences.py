"""Tables of differences: p-values, Holm's correction, censored runs, and what could be found."""

import math

import pytest
import torch

from analysis.differences import compared, holm, tables, two_sided


def runs_of(values, steps=150):
    return {(seed, steps): {"x": value} for seed, value in enumerate(values)}


def rows_of(lines):
    """The tables of `tables`: for each {setting: cells}."""
    found = []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and cells[0] == "setting":
            found.append({})
        elif cells and cells[0] != "---":
            found[-1][cells[0]] = cells[1:]
    return found


@pytest.mark.parametrize("free", [1, 2, 3, 4, 5, 9, 30])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.776, 8.0])
def test_p_values_are_integrals_of_the_density(t, free):
    """By Simpson's rule on the density from 0 to t."""
    log = math.lgamma((free + 1) / 2) - math.lgamma(free / 2) - 0.5 * math.log(free * math.pi)
    x = torch.linspace(0, t, 2001, dtype=torch.double)
    density = math.exp(log) * (1 + x**2 / free) ** (-(free + 1) / 2)
    weight = torch.ones_like(x)
    weight[1:-1:2], weight[2:-1:2] = 4, 2
    inside = 2 * float((weight * density).sum()) * t / 2000 / 3
    assert two_sided(t, free) == pytest.approx(1 - inside, abs=1e-9)
    assert two_sided(-t, free) == two_sided(t, free)


def test_p_values_of_the_printed_tables():
    quantiles = {1: 12.7062047, 2: 4.3026527, 3: 3.1824463, 4: 2.7764451, 30: 2.0422725}
    for free, quantile in quantiles.items():
        assert two_sided(quantile, free) == pytest.approx(0.05, abs=1e-6)
    assert two_sided(math.inf, 4) == 0


def test_holm_goes_on_until_one_does_not_stand():
    assert holm({"a": 0.0124, "b": 0.0166, "c": 0.024, "d": 0.049}) == {"a", "b", "c", "d"}
    assert holm({"a": 0.0126, "b": 0.001, "c": 0.02, "d": 0.5}) == {"a", "b", "c"}
    assert holm({"a": 0.0126, "b": 0.0126, "c": 0.0126, "d": 0.0126}) == set()  # above 0.05 / 4
    assert holm({"a": 0.02, "b": 0.03, "c": math.nan}) == {"a", "b"}
    assert holm({}) == set()


def test_with_no_difference_anywhere_holm_leaves_a_star_in_one_table_of_20():
    generator = torch.Generator().manual_seed(0)
    plain = corrected = 0
    for _ in range(1000):  # tables of 7 settings and 5 columns, 5 seeds, as that of the methods
        values = torch.randn(35, 5, generator=generator, dtype=torch.double)
        t = values.mean(1) / (values.std(1) / 5**0.5)
        p = {i: two_sided(x, 4) for i, x in enumerate(t.tolist())}
        plain += any(x < 0.05 for x in p.values())
        corrected += bool(holm(p))
    assert plain > 700 and 25 < corrected < 75


def test_stars_intervals_and_what_could_be_found():
    usual = [0.50, 0.52, 0.54, 0.50, 0.51]
    found = {
        "usual": runs_of(usual),
        "much": runs_of([x + y for x, y in zip(usual, (0.1, 0.11, 0.1, 0.11, 0.1), strict=True)]),
        "some": runs_of([x + y for x, y in zip(usual, (0.01, 0.02, 0, 0.02, 0.01), strict=True)]),
        "none": runs_of([x + y for x, y in zip(usual, (0.01, -0.02, 0, 0.02, 0), strict=True)]),
        "equal": runs_of(usual),
        "alone": runs_of([0.9]),
        "apart": runs_of([0.9, 0.9], steps=300),  # no run of the usual setting is as long
    }
    means, differences, powers = rows_of(tables(found, "usual", {"x": 3}))
    assert list(means) == list(found)
    assert means["usual"] == ["5", "0.514 ± 0.021"] and means["alone"] == ["1", "0.900"]
    # Of the differences 0.01, 0.02, 0, 0.02, 0.01 the standard error is 0.00374: 2.77 times that.
    assert differences == {
        "much": ["5", "0.104 ± 0.007 **"],
        "some": ["5", "0.012 ± 0.010 *"],
        "none": ["5", "0.002 ± 0.018"],
        "equal": ["5", "0.000 ± 0.000"],  # without a spread nothing is tested
        "alone": ["1", "0.400"],
    }
    assert powers["some"] == ["5", "0.014"]  # (2.77 + 0.94) * 0.00374
    assert powers["alone"] == ["1", ""] and powers["equal"] == ["5", ""]
    assert len(rows_of(tables({"other": runs_of(usual)}, "usual", {"x": 3}))) == 1


def test_what_is_found_in_80_percent():
    """The size that the third table names, as the mean of 5 differences whose spread it has."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(20000, 5, generator=generator, dtype=torch.double)
    unit = torch.tensor([-1.2649, -0.6325, 0, 0.6325, 1.2649])  # of standard deviation 1
    size = compared(runs_of(unit.tolist()), runs_of([0.0] * 5), "x").found
    shifted = values + size
    t = shifted.mean(1) / (shifted.std(1) / 5**0.5)
    assert 0.77 < (t.abs() > 2.776).double().mean() < 0.82


def test_runs_that_never_arrive_are_censored_and_not_dropped():
    never = math.inf
    usual = [80, 82, 78, 84, 81]
    found = {
        "usual": runs_of(usual),
        "three never": runs_of([never, 95, never, 97, never]),
        "all never": runs_of([never] * 5),
        "one never, the others sooner": runs_of([never, 60, 60, 60, 60]),
    }
    means, differences, powers = rows_of(tables(found, "usual", {"x": 0}))
    assert means["three never"] == ["5", "≥ 128 (3 of 5 never)"]
    assert means["all never"] == ["5", "never"]
    # 70, 13, 72, 13, 69 and not 13 and 13 alone: no interval leaves out 0 with certainty.
    assert differences["three never"] == ["5", "≥ 47 (3 of 5 never) *"]
    assert differences["all never"] == ["5", "≥ 69 (5 of 5 never) **"]
    # Sooner by 3 at least, as far as the run goes: the difference may have any sign.
    assert differences["one never, the others sooner"] == ["5", "≥ -3 (1 of 5 never)"]
    assert powers == {name: ["5", ""] for name in differences}


def test_censored_runs_of_the_usual_setting():
    never = math.inf
    found = {
        "usual": runs_of([never, 95, never, 97, never]),
        "soon": runs_of([80, 82, 78, 84, 81]),
        "mixed": runs_of([120, never, never, 90, 100]),
    }
    _, differences, _ = rows_of(tables(found, "usual", {"x": 0}))
    assert differences["soon"] == ["5", "≤ -47 (usual 3 of 5 never) *"]
    assert differences["mixed"] == ["5", "no bound (2 of 5 never, usual 3)"]
    assert math.isclose(compared(found["mixed"], found["usual"], "x").p, 1.0)
    found["soon"] = found["usual"]
    found["usual"] = runs_of([never] * 5)
    found["mixed"] = runs_of([never] * 5)
    _, differences, _ = rows_of(tables(found, "usual", {"x": 0}))
    assert differences["mixed"] == ["5", "never"]


def test_censored_differences_with_no_truth_in_them_are_rarely_starred():
    """Steps of both settings from one distribution, about a third of them beyond the run's end."""
    generator = torch.Generator().manual_seed(0)
    starred = 0
    for _ in range(1000):
        steps = 135 + 30 * torch.randn(2, 5, generator=generator)
        ours, theirs = ([x if x <= 150 else math.inf for x in side] for side in steps.tolist())
        starred += compared(runs_of(ours), runs_of(theirs), "x").p < 0.05
    assert starred < 50

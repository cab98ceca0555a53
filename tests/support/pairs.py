"""Cases in which each value of a dimension meets each value of every other one, and not the whole product."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

Case = dict[str, str]


def pairwise_cases(dimensions: Mapping[str, Sequence[str]]) -> Iterator[Case]:
    """As few cases as a greedy choice finds, the same ones each time."""
    names = list(dimensions)
    missing = {
        ((one, a), (other, b))
        for one, other in combinations(names, 2)
        for a in dimensions[one]
        for b in dimensions[other]
    }
    while missing:
        case: Case = dict(min(missing))
        for name in names:
            if name not in case:
                met = {value: _met(case | {name: value}, names, missing) for value in dimensions[name]}
                case[name] = max(met, key=lambda value: met[value])
        missing -= _pairs(case, names)
        yield case


def _pairs(case: Case, names: Sequence[str]) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    there = [name for name in names if name in case]
    return {((one, case[one]), (other, case[other])) for one, other in combinations(there, 2)}


def _met(case: Case, names: Sequence[str], missing: set[tuple[tuple[str, str], tuple[str, str]]]) -> int:
    return len(_pairs(case, names) & missing)

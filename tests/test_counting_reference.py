"""The plain backend passes the list that the fast ones pass."""

from __future__ import annotations

from typing import Any

from contract import CounterContract

from atlas.counting.counter import Counter
from atlas.counting.reference import ReferenceCounter
from atlas.counting.scheme import Scheme


class TestReference(CounterContract):
    def make(self, scheme: Scheme, **options: Any) -> Counter:
        return ReferenceCounter(scheme, **options)

    def pretend(self, counter: Counter, times: int) -> None:
        assert isinstance(counter, ReferenceCounter)
        counter._joint *= times
        counter._firing_count *= times
        counter.covered = ((counter.covered[0][0], counter.covered[0][0] + times),)

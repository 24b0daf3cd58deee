"""Threads of linear algebra."""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[object]:
    """Have linear algebra use one thread within the block, whatever the machine has.

    Of many small matrices two threads take longer than one, since they wait for each other: on the demo, beside other
    work, eight times as long. The last digits no longer depend on the machine's processors either.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits

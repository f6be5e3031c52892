"""A measurement in a process of its own, so that nothing pays for the heap of what was measured before."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Result = TypeVar("Result")


def apart(measure: Callable[..., Result], *arguments: object) -> Result:
    """Return what a function of a module returns in a fresh process. Raises what it raises."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()

"""Who is told how far a write has come?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ._errors import InvalidInput, Unsupported

Tell = Callable[[int, int], object]
Progress = bool | Tell


@contextmanager
def telling(progress: Progress, unit: str) -> Iterator[Tell | None]:
    """The function to call with (done, total): none, a bar of tqdm, or the caller's own."""
    if progress is False or progress is None:
        yield None
    elif progress is True:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise Unsupported("unsupported", "progress=True shows a bar of tqdm; install it with: pip install tqdm") from None
        with tqdm(unit=f" {unit}") as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield show
    elif callable(progress) and not isinstance(progress, type):
        yield progress
    else:
        raise InvalidInput(
            "invalid_argument",
            f"progress is of type {type(progress).__name__}; True, False or a function of (done, total) is expected",
        )

"""The kinds of jobs. A kind is called `<module><Subject>`: `exportOrders` is done by `export.py`
and is about "Orders". Each module has one function, `work`, from bytes to bytes; it knows nothing
of queues, of AWS or of containers.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Product:
    """What a job made of a document."""

    suffix: str
    media_type: str
    body: bytes


Work = Callable[[bytes], Product]
"""Does the job; `ValueError`, with a sentence, for a document that it cannot do it for."""


def job_of(kind: str) -> Work:
    """The work of a kind. `ValueError` when there is no module for it."""
    parts = re.fullmatch(r"([a-z]+)([A-Z][A-Za-z0-9]*)?", kind)
    if not parts:
        raise ValueError(f"{kind!r} is not <module><Subject>, such as exportOrders")
    module, subject = parts[1], parts[2] or ""
    try:
        work = importlib.import_module(f"worker.kinds.{module}").work
    except ModuleNotFoundError as error:
        raise ValueError(f"there is no module for {kind!r}: kinds/{module}.py") from error
    return partial(work, subject)

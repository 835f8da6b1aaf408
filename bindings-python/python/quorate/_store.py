"""Where are runs kept?"""

from __future__ import annotations

import os

from . import _quorate
from ._given import path_or_none, text_or_none


class StateStore:
    """Where runs are kept: a folder, or None for memory, in which the newest 1,000 that ended stay.

    Several processes of a machine may share a folder. What is acknowledged is on the disk. Codes: ``corrupt``, ``format_version``,
    ``io``, ``permission_denied``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, tenant: str | None = None) -> None:
        self._path = path_or_none(path, "path")
        self._native = _quorate.open_store(path, text_or_none(tenant, "tenant"))
        self.tenant = tenant
        """On whose behalf the runtimes that are given this store ask, where they name nobody else."""

    def __repr__(self) -> str:
        where = None if self._path is None else os.fspath(self._path)
        return f"StateStore({where!r}{'' if self.tenant is None else f', tenant={self.tenant!r}'})"

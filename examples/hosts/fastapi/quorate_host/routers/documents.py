"""How are documents stored, read and deleted?"""

from __future__ import annotations

import quorate
from fastapi import APIRouter

from ..host import Reader, Writer
from ..shapes.common import ALWAYS, CONFLICT, MISSING, WRITES, IdInPath, WhereInQuery
from ..shapes.documents import Batch, Deleted, DocumentOut, Written

router = APIRouter(prefix="/v1/documents", tags=["documents"], responses=ALWAYS)


@router.post("", status_code=201, responses=WRITES)
async def write(caller: Writer, batch: Batch) -> Written:
    """Stores documents, all or none; they can be found when the answer comes."""
    documents = [document.model_dump() for document in batch.documents]
    store = caller.kb.aio.upsert if batch.on_conflict == "replace" else caller.kb.aio.add
    report = await store(documents)
    return Written(
        added=report.added,
        replaced=report.replaced,
        unchanged=report.unchanged,
        chunks=report.chunks,
        version=report.version,
    )


@router.get("/{id}", responses=MISSING)
async def read(caller: Reader, id: IdInPath) -> DocumentOut:
    """A document."""
    return DocumentOut(**await caller.kb.aio.get(id))


@router.delete("/{id}", responses={**WRITES, **MISSING})
async def delete(caller: Writer, id: IdInPath) -> Deleted:
    """Deletes a document."""
    deleted = await caller.kb.aio.delete([id])
    if not deleted:
        raise quorate.NotFound("unknown_id", f"there is no document '{id}'")
    return Deleted(deleted=deleted)


@router.delete("", responses={**WRITES, **CONFLICT})
async def delete_where(caller: Writer, where: WhereInQuery) -> Deleted:
    """Deletes the documents that match a filter, such as ``year < 2000``."""
    return Deleted(deleted=await caller.kb.aio.delete(where=where))

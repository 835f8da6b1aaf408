"""What is true behind votes?"""

from __future__ import annotations

import math

import quorate
from fastapi import APIRouter
from quorate import consensus

from ..host import Reader
from ..shapes.common import ALWAYS
from ..shapes.documents import ConsensusIn, ConsensusOut

router = APIRouter(prefix="/v1/consensus", tags=["consensus"], responses=ALWAYS)


@router.post("")
async def truth(caller: Reader, body: ConsensusIn) -> ConsensusOut:
    """What is true behind the votes, who can be trusted, and how well the raters agree."""
    return await quorate.aio.run(_consensus, body)


def _consensus(body: ConsensusIn) -> ConsensusOut:
    items, raters, labels = zip(*((vote.item, vote.rater, vote.label) for vote in body.votes), strict=True)
    ratings = consensus.ratings(list(items), list(raters), list(labels), duplicates=body.duplicates)
    found = getattr(consensus, body.method)(ratings)
    alpha = consensus.krippendorff_alpha(ratings)
    return ConsensusOut(
        labels=found.labels,
        probabilities=found.probabilities,
        # A skill can be infinite where a rater is always right.
        skills={rater: skill if math.isfinite(skill) else math.copysign(1e300, skill) for rater, skill in found.skills.items()},
        alpha=alpha.value,
        undefined=alpha.undefined,
    )

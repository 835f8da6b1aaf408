"""How do the best hits get a better order? Variety by MMR, and a function of one's own."""

from collections.abc import Sequence

import quorate

with quorate.open(None) as kb:
    kb.add([
        {"id": "a", "text": "Metformin and renal failure: do not use.", "metadata": {"year": 2015}},
        {"id": "b", "text": "Metformin and renal failure: do not use it.", "metadata": {"year": 2019}},
        {"id": "c", "text": "Renal failure changes the dose of many drugs.", "metadata": {"year": 2024}},
    ])
    question = "metformin and renal failure: do not use"

    print("as found:", *(hit.doc_id for hit in kb.search(question)))

    # Maximal marginal relevance: what repeats a hit that was taken already comes later. `mmr_lambda` is the weight of
    # relevance against variety.
    print("with variety:", *(hit.doc_id for hit in kb.search(question, rerank="mmr", mmr_lambda=0.3)))

    # A function of the query and the hits gives one score each. Here newer is better.
    def newest(query: str, hits: Sequence[quorate.Hit]) -> list[float]:
        return [float(hit.metadata["year"]) for hit in hits]

    hits = kb.search(question, rerank=newest)
    print("newest first:", *(hit.doc_id for hit in hits))
    print(f"the score is the function's: {hits[0].score:.0f}")

    # A cross-encoder is a model that reads question and text together: rerank=quorate.CrossEncoder("path/to/model").

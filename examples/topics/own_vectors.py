"""What if the vectors are there already? Documents bring their own, and a search may be by vector."""

import quorate


def none_is_needed(texts: list[str]) -> list[list[float]]:
    raise RuntimeError("nothing is embedded here")


# The knowledge base has to know how long the vectors are; the function is called for texts without a vector alone.
embedder = quorate.CallbackEmbedder(none_is_needed, dim=3, id="given")

with quorate.open(None, embedder=embedder) as kb:
    # A vector need not have unit length. A text can also be cut by the caller: `chunks`, each with its own vector.
    kb.add([
        {"id": "north", "text": "Towards the pole.", "vector": [0.0, 2.0, 0.0], "metadata": {"cold": True}},
        {"id": "east", "text": "Where the sun rises.", "vector": [1.0, 0.0, 0.0], "metadata": {"cold": False}},
        {"id": "north-east", "text": "Between the two.", "vector": [1.0, 1.0, 0.0], "metadata": {"cold": True}},
    ])
    for hit in kb.search_vector([0.1, 1.0, 0.0], k=2):
        print(f"{hit.doc_id}: {hit.similarity:.3f}")
    print("with a filter:", *(hit.doc_id for hit in kb.search_vector([1.0, 0.2, 0.0], k=1, where="cold = true")))

    # Words are found as ever.
    print("by words:", *(hit.doc_id for hit in kb.search("sun", mode="lexical")))

    # What has another length is refused.
    try:
        kb.search_vector([1.0, 0.0])
    except quorate.InvalidInput as error:
        print("refused:", error.code)

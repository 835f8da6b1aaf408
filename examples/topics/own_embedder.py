"""How does one use an embedding model of one's own? Any function from texts to vectors will do."""

import tempfile

import quorate


# A toy: how often each letter occurs. A real one would call a model or a service.
def letters(texts: list[str]) -> list[list[float]]:
    return [[float(text.lower().count(chr(ord("a") + i))) for i in range(26)] for text in texts]


# `id` names the function and its version: vectors of another function must have another id.
embedder = quorate.CallbackEmbedder(letters, dim=26, id="letters-v1")
print("components:", len(embedder.embed_query("glucose")))

with tempfile.TemporaryDirectory() as folder:
    with quorate.open(folder, embedder=embedder) as kb:
        kb.add([
            {"id": "a", "text": "glucose"},
            {"id": "b", "text": "platelets"},
            {"id": "c", "text": "kidney"},
        ])
        # An anagram: no word in common, but the same letters.
        hit = kb.search("cose glu", k=1, mode="dense")[0]
        print(f"nearest: {hit.doc_id}, similarity {hit.similarity:.2f}")

    # A knowledge base remembers what embedded it; another model is refused, since its vectors mean something else.
    try:
        quorate.open(folder, embedder="builtin")
    except quorate.QuorateError as error:
        print("refused:", error.code)

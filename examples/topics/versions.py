"""What did the knowledge base say before? Each write makes a version, which can be read later."""

import quorate

# The past is kept for `keep_versions` writes (100).
with quorate.open(None) as kb:
    first = kb.add([
        {"id": "a", "text": "Metformin is safe above an eGFR of 60."},
        {"id": "b", "text": "Aspirin inhibits platelets."},
    ]).version
    second = kb.upsert([{"id": "a", "text": "Metformin is safe above an eGFR of 45."}]).version
    kb.delete(["b"])

    # A past version is a knowledge base for reading: it is searched, filtered and counted like the present one.
    for name, past in (("first", kb.at(first)), ("second", kb.at(second)), ("now", kb)):
        print(f"{name}: {past.count()} documents; {past.get('a').text}")
    print("found in the past:", *(hit.doc_id for hit in kb.at(first).search("platelets", mode="lexical")))
    print("found now:", len(kb.search("platelets", mode="lexical")))

    # It cannot be changed.
    try:
        kb.at(first).delete(["a"])
    except quorate.QuorateError as error:
        print("refused:", error.code)

    # `versions` lists those that can be read, with the time of each. `compact` forgets the past.
    kept = [version for version in kb.versions() if version in (first, second)]
    print("kept:", len(kept))

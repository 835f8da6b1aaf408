"""How do documents get in, and how are they found? Keeps three in a folder, changes one, and opens the folder again."""

import tempfile

import quorate

with tempfile.TemporaryDirectory() as folder:
    # A knowledge base is a folder; it is made when it is not there.
    with quorate.open(folder) as kb:
        # All are stored, or none. When the call returns they are on the disk and can be found.
        report = kb.add([
            {"id": "label", "title": "Metformin", "text": "Metformin is contraindicated below an eGFR of 30."},
            {"id": "note", "title": "ECG app", "text": "An app that reads ECGs may need a 510(k)."},
            {"id": "sky", "text": "The sky is blue on a clear day.", "metadata": {"year": 2019}},
        ])
        print(f"added {report.added} documents as {report.chunks} chunks")

        # A search looks for words and for meaning at once; `k` is how many hits are wanted.
        for hit in kb.search("metformin in renal failure", k=1):
            print(f"found {hit.doc_id}: {hit.text}")

        # `upsert` replaces the document of the same id; what has not changed is not written again.
        report = kb.upsert([{"id": "sky", "text": "The sky is grey when it rains.", "metadata": {"year": 2025}}])
        print(f"replaced {report.replaced}: {kb.get('sky').text}")
        print(f"deleted {kb.delete(['note'])}")

    with quorate.open(folder) as kb:
        print(f"opened again: {kb.count()} documents, {', '.join(kb.ids())}")

"""How does one start? Keeps three documents and finds them; run: python quickstart.py [folder]"""

import sys

import quorate

with quorate.open(sys.argv[1] if len(sys.argv) > 1 else "quickstart-kb") as kb:
    kb.upsert([
        {"id": "label", "text": "Metformin is contraindicated below an eGFR of 30.", "metadata": {"year": 2024}},
        {"id": "note", "text": "The ECG app may need a 510(k).", "metadata": {"year": 2019}},
        {"id": "sky", "text": "The sky is blue on a clear day.", "metadata": {"year": 2024}},
    ])
    for hit in kb.search("metformin in renal failure", k=2, where="year >= 2020"):
        print(f"{hit.score:.3f}  {hit.doc_id}  {hit.text}")

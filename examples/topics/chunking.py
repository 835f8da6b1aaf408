"""Where are long texts cut? The strategies, and what a hit knows of its place."""

import quorate

TEXT = """# Metformin

Metformin lowers glucose. It is the first choice in type 2 diabetes.

## Kidneys

Do not start below an eGFR of 45. Stop below an eGFR of 30. Check the eGFR once a year.

## Contrast scans

Hold the drug on the day of the scan. Resume after two days when the kidneys are stable.
"""

# Sizes are in tokens of the embedder. `auto`, the default, is `markdown` where there are headings and `recursive` elsewhere.
for strategy in ("fixed", "sentence", "recursive", "markdown"):
    with quorate.open(None, chunking={"strategy": strategy, "max_tokens": 20}) as kb:
        report = kb.add([{"id": "leaflet", "text": TEXT}])
        print(f"{strategy}: {report.chunks} chunks")

with quorate.open(None, chunking={"strategy": "markdown", "max_tokens": 20}) as kb:
    kb.add([{"id": "leaflet", "text": TEXT}])
    hit = kb.search("below which eGFR is it too late to start?", k=1)[0]
    # The headings above a chunk are embedded with it. A chunk is a range of the document's text, so that it can be cited.
    print("under:", " > ".join(hit.headings))
    print("cited:", " ".join(TEXT[hit.start : hit.end].split()))

    # `group_by="doc"` gives the best chunk of each document.
    print("hits:", len(kb.search("metformin", k=10)), "grouped:", len(kb.search("metformin", k=10, group_by="doc")))

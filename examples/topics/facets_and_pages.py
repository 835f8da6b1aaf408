"""What is there, without a question? Counts by value, the range of a field, and pages of documents in order."""

import quorate

with quorate.open(None) as kb:
    kinds = ["label", "guideline", "label", "note", "label"]
    kb.add([
        {"id": f"d{i}", "text": f"Document {i}.", "metadata": {"year": 2020 + i, "kind": kind, "tags": ["renal"] * (i % 2)}}
        for i, kind in enumerate(kinds)
    ])

    # Most frequent first. Each member of a list is a value.
    print("kinds:", ", ".join(f"{value} {count}" for value, count in kb.facets("kind")))
    print("since 2022:", ", ".join(f"{value} {count}" for value, count in kb.facets("kind", where="year >= 2022")))
    print("tags:", ", ".join(f"{value} {count}" for value, count in kb.facets("tags")))

    span = kb.min_max("year")
    if span is not None:
        print(f"years: {span[0]} to {span[1]}")

    # Pages fit together also when documents come and go in between: `next` names the place, not a number.
    after = None
    while True:
        page = kb.documents(sort="-year", limit=2, after=after)
        print("page:", *(document.id for document in page))
        after = page.next
        if after is None:
            break

"""How does a search keep to some of the documents? Filters, as text and as a dict."""

import quorate

DOCUMENTS = [
    {"id": "a", "title": "Metformin label", "kind": "label", "year": 2024, "tags": ["fda", "diabetes"], "maker": {"country": "FR"}},
    {"id": "b", "title": "Dosing in CKD", "kind": "guideline", "year": 2022, "tags": ["renal"]},
    {"id": "c", "title": "Triage note", "kind": "note", "year": 2022, "tags": ["renal", "fda"]},
    {"id": "d", "title": "Insulin label", "kind": "label", "year": 2018, "tags": [], "maker": {"country": "DK"}},
]

FILTERS = [
    "kind = 'label'",
    "year >= 2020 AND kind IN ('label', 'guideline')",
    "year BETWEEN 2018 AND 2022 AND NOT kind = 'note'",
    "tags CONTAINS 'fda'",  # one of a list
    "maker.country = 'DK'",  # a member of a member
    "title LIKE '%label'",  # % stands for anything, _ for one character
]

with quorate.open(None) as kb:  # in memory
    own = ("id", "title")
    kb.add([
        {"id": one["id"], "title": one["title"], "text": f"{one['title']}: kidneys and drugs.",
         "metadata": {name: value for name, value in one.items() if name not in own}}
        for one in DOCUMENTS
    ])
    for where in FILTERS:
        print(f"{where}: {' '.join(kb.ids(where))}")

    # The same as a dict (an object in other languages): nothing to quote, whatever the values are.
    print("as an object:", *kb.ids({"year": {"$gte": 2020}, "kind": {"$in": ["label", "guideline"]}}))

    # A filtered search gives `k` hits, or as many as match, and every hit matches.
    hits = kb.search("drugs for the kidneys", k=3, where="tags CONTAINS 'fda'")
    print("search within:", *sorted(hit.doc_id for hit in hits))

    # What is no filter says where.
    try:
        kb.count("year >=")
    except quorate.InvalidInput as error:
        print("refused:", error.code)

"""How are dates compared, and what of documents that have none?"""

import quorate

with quorate.open(None) as kb:
    # Dates and times are texts in RFC 3339 (here one may give datetime and date too); one without a zone is UTC.
    approved = {
        "a": "2023-05-01",
        "b": "2024-03-01T00:30:00+01:00",  # still February in UTC
        "c": "2024-03-01",
        "d": None,
    }
    kb.add([{"id": id, "text": "A device.", "metadata": {"approved": when}} for id, when in approved.items()])
    kb.add([{"id": "e", "text": "A device of which nothing is known."}])

    print("from March 2024 on:", *kb.ids("approved >= '2024-03-01'"))
    print("before:", *kb.ids("approved < '2024-03-01'"))

    # A test of a value that is not there is neither true nor false, so that neither it nor its negation finds d and e.
    print("not from March 2024 on:", *kb.ids("NOT approved >= '2024-03-01'"))
    print("unknown:", *kb.ids("approved IS NULL"))
    print("before, or unknown:", *kb.ids("approved < '2024-03-01' OR approved IS NULL"))

    # The order is that of the instants.
    print("newest first:", *(document.id for document in kb.documents(sort="-approved")))
    found = kb.min_max("approved")
    if found is not None:
        print("from", found[0], "to", found[1])

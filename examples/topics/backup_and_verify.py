"""How is a knowledge base copied while it is used, and is every byte still as it was written?"""

import shutil
import tempfile
from pathlib import Path

import quorate

with tempfile.TemporaryDirectory() as folder:
    place, copy = Path(folder) / "kb", Path(folder) / "copy"
    with quorate.open(place) as kb:
        kb.add([{"id": f"d{i}", "text": f"Drug {i} and the kidneys."} for i in range(20)])
        kb.tenant("acme").add([{"id": "plan", "text": "A glucose meter in May."}])

        # The copy holds all tenants and versions, as of this moment; it is there whole, or not at all.
        report = kb.backup(copy)
        print(f"copied {report.documents} documents and {report.tenants} tenant")

        # Where something is already, nothing is overwritten.
        try:
            kb.backup(copy)
        except quorate.QuorateError as error:
            print("refused:", error.code)

    # `verify` reads everything and compares it with its checksums. It lists what is wrong and changes nothing.
    with quorate.open(copy, read_only=True) as kb:
        checked = kb.verify()
        print(f"verified {checked.documents} documents: {'no problem' if checked.ok else checked.problems}")

    # The indexes are made of the documents. When they are lost, the next opening makes them again.
    shutil.rmtree(place / "index")
    with quorate.open(place) as kb:
        print(f"without its indexes: {kb.count()} documents, found {kb.search('drug 7', k=1)[0].doc_id}")

"""How do files become documents, and stay what they say? Adds a folder, and follows its changes."""

import tempfile
from pathlib import Path

import quorate

with tempfile.TemporaryDirectory() as folder, quorate.open(None) as kb:
    (Path(folder) / "metformin.md").write_text("# Metformin\n\nContraindicated in renal failure.\n")
    (Path(folder) / "insulin.html").write_text("<title>Insulin</title><p>Lowers <b>glucose</b> at once.</p>")
    (Path(folder) / "scan.png").write_bytes(b"\x89PNG")

    # A file, a folder or a glob. Ids are paths below `root`. Text, Markdown, HTML, PDF, Word, Excel, PowerPoint, EPUB, RTF,
    # e-mail, CSV and JSONL are read; other files are listed.
    report = kb.sync_files(folder, root=folder)
    print(f"added {report.added}, left out {len(report.skipped)}: {report.skipped[0].code}")
    for document in kb.documents():
        print(f"{document.id} ({document.metadata['file_type']}), {document.title}: {document.text.splitlines()[-1]}")

    # The same call later: what is unchanged is not read into the model again, what is gone is deleted.
    (Path(folder) / "insulin.html").unlink()
    (Path(folder) / "metformin.md").write_text("# Metformin\n\nContraindicated below an eGFR of 30.\n")
    (Path(folder) / "note.txt").write_text("The patient takes metformin.")
    report = kb.sync_files(folder, root=folder)
    print(f"added {report.added}, updated {report.updated}, unchanged {report.unchanged}, deleted {report.deleted}")
    print("now:", *kb.ids())

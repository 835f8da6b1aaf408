"""How do tables become documents? One row is one document; its columns become id, title, text and metadata."""

import tempfile
from pathlib import Path

import quorate

CSV = """code;name;use;dose_mg;available
008.45;Metformin;Lowers glucose in type 2 diabetes.;500;true
009.10;Aspirin;Inhibits platelets.;100;true
011.00;Nirsevimab;Prevents severe RSV disease.;50;false
"""
JSONL = """{"id": "n1", "text": "Asked about metformin and contrast scans.", "year": 2024}
{"id": "n2", "text": "Reports bruises since she takes aspirin.", "year": 2025}
"""

with tempfile.TemporaryDirectory() as folder, quorate.open(None) as kb:
    drugs, notes = Path(folder) / "drugs.csv", Path(folder) / "notes.jsonl"
    drugs.write_text(CSV)
    notes.write_text(JSONL)

    # Say which column is what. Without `csv`, the usual names are recognised, and the delimiter is guessed.
    kb.add_files(drugs, csv={"delimiter": ";", "id": "code", "title": "name", "text": "use"})
    kb.add_files(notes)

    document = kb.get("008.45")
    print(f"{document.id}: {document.title}. {document.text}")

    # Each column has one type, decided over all rows; what would lose a digit as a number stays a text, as the code does.
    print("at least 100 mg:", *kb.ids("dose_mg >= 100"))
    print("not available:", *kb.ids("available = false"))
    print("notes of 2025:", *kb.ids("year = 2025"))
    print("best for bruises:", kb.search("bruises", k=1)[0].doc_id)

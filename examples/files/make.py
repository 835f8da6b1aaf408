"""Makes the files of this folder that are not plain text (leaflet.pdf, policy.docx, broken.pdf): python make.py"""

import zipfile
from pathlib import Path

HERE = Path(__file__).parent
LEAFLET = [
    ["Leaflet: your ECG recording", "Sit still, rest your arms on a table, and keep your finger on the crown", "for thirty seconds. Talking and walking spoil the recording."],
    ["What the result means", "Sinus rhythm: the heart beats in a uniform pattern.", "Atrial fibrillation: the beats are irregular. Call your clinic within a day.", "Inconclusive: the recording cannot be read. Repeat it after five minutes of rest."],
]
POLICY = [
    ("Heading1", "Coverage policy: ambulatory rhythm monitoring"),
    (None, "Monitoring for up to 48 hours is covered for daily symptoms. Monitoring for more than 48 hours and up to 15 days is covered when symptoms are less frequent than daily, or when a shorter recording was not diagnostic."),
    ("Heading2", "What is not covered"),
    (None, "Recordings that a person makes with a consumer watch without an order of a clinician are not covered."),
]


def pdf(pages):
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", "<< /Title (Your ECG recording) /Author (Clinic of the examples) >>"]
    kids = []
    for lines in pages:
        text = " ".join(f"({line}) Tj 0 -18 Td" for line in lines)
        stream = f"BT /F1 12 Tf 72 700 Td {text} ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        contents = len(objects)
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {contents} 0 R /Resources << /Font << /F1 3 0 R >> >> >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    return out + f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{table}\n%%EOF".encode()


def docx(path, paragraphs):
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    style = lambda name: f'<w:pPr><w:pStyle w:val="{name}"/></w:pPr>' if name else ""
    body = "".join(f"<w:p>{style(name)}<w:r><w:t>{text}</w:t></w:r></w:p>" for name, text in paragraphs)
    parts = {
        "[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<?xml version="1.0"?><w:document xmlns:w="{word}"><w:body>{body}</w:body></w:document>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)


leaflet = pdf(LEAFLET)
(HERE / "leaflet.pdf").write_bytes(leaflet)
(HERE / "broken.pdf").write_bytes(leaflet[:200])
docx(HERE / "policy.docx", POLICY)

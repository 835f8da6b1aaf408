"""Does a function of the host read pages that are images?"""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess

import pytest

import quorate


def image_pdf(path, pages=1, width=60, height=80, gray=None):
    """A PDF whose pages are images alone: 8 bits of gray a point, row by row."""
    gray = gray or bytes([200]) * (width * height)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", None]
    kids = []
    for _ in range(pages):
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        content = f"q {width} 0 0 {height} 0 0 cm /I Do Q".encode()
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {number + 1} 0 R "
            f"/Resources << /XObject << /I {number + 2} 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 /Length %d >>\n"
            b"stream\n%s\nendstream" % (width, height, len(gray), gray),
        ]
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {pages} >>".encode()
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(bytes(out))
    return path


@pytest.fixture
def kb():
    with quorate.open(None) as kb:
        yield kb


def test_pages_without_text_are_read(kb, tmp_path):
    path = image_pdf(tmp_path / "scan.pdf", pages=2)
    seen = []

    def ocr(png):
        seen.append(png)
        return f"Metformin, page {len(seen)}."

    report = kb.add_files(path, root=tmp_path, ocr=ocr)
    assert (report.added, len(seen)) == (2, 2)
    assert all(type(png) is bytes and png.startswith(b"\x89PNG\r\n") for png in seen)
    assert {kb.get(id).text.strip() for id in kb.ids()} == {"Metformin, page 1.", "Metformin, page 2."}
    assert all(kb.get(id).metadata["ocr"] is True for id in kb.ids())
    # What is stored is as its file says, whoever reads it.
    assert kb.sync_files(path, root=tmp_path, ocr=lambda png: "Insulin.").deleted == 0


def test_a_coroutine_function_is_awaited(kb, tmp_path):
    path = image_pdf(tmp_path / "scan.pdf")

    async def ocr(png):
        await asyncio.sleep(0)
        return f"A note of {len(png)} bytes."

    assert kb.add_files(path, root=tmp_path, ocr=ocr).added == 1
    with quorate.open(None) as other:
        assert asyncio.run(other.aio.upsert_files(path, root=tmp_path, ocr=ocr)).added == 1
        assert asyncio.run(other.aio.sync_files(path, root=tmp_path, ocr=lambda png: "x", delete_missing=False)).deleted == 0
        assert [other.get(id).text for id in other.ids()][0] != ""
    assert kb.get(kb.ids()[0]).text.startswith("A note of ")


def test_what_it_raises_ends_the_call(kb, tmp_path):
    path = image_pdf(tmp_path / "scan.pdf")
    broken = ZeroDivisionError("mine")

    def ocr(png):
        raise broken

    for on_error in ("stop", "skip"):
        with pytest.raises(ZeroDivisionError) as caught:
            kb.add_files(path, ocr=ocr, on_error=on_error)
        assert caught.value is broken
    for bad in (lambda png: None, lambda png: b"bytes", lambda png: 7):
        with pytest.raises(quorate.InvalidInput, match="ocr gave a value of type"):
            kb.add_files(path, ocr=bad)
    with pytest.raises(quorate.InvalidInput) as caught:
        kb.add_files(path, ocr=lambda png: "\ud800")
    assert caught.value.code == "invalid_text"
    for bad in ("tesseract", 7, dict):
        with pytest.raises(quorate.InvalidInput, match="ocr is"):
            kb.add_files(path, ocr=bad)
    assert kb.count() == 0


def test_classes_are_no_functions(kb):
    kb.add([{"id": "a", "text": "Metformin lowers glucose."}])
    for call in (
        lambda: kb.add([], progress=dict), lambda: kb.search("glucose", rerank=dict), lambda: kb.context("glucose", tokenizer=int),
        lambda: kb.verify(progress=dict), lambda: quorate.CallbackEmbedder(dict, dim=2, id="x"),
    ):
        with pytest.raises(quorate.InvalidInput) as caught:
            call()
        assert caught.value.code == "invalid_argument"


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not here")
def test_with_tesseract(kb, tmp_path):
    image = pytest.importorskip("PIL.Image")
    from PIL import ImageDraw, ImageFont

    picture = image.new("L", (1000, 300), 255)
    ImageDraw.Draw(picture).text((60, 100), "Metformin lowers glucose", fill=0, font=ImageFont.load_default(size=64))
    path = image_pdf(tmp_path / "scan.pdf", width=1000, height=300, gray=picture.tobytes())

    def ocr(png):
        image.open(io.BytesIO(png)).verify()
        done = subprocess.run(["tesseract", "stdin", "stdout", "--dpi", "300"], input=png, capture_output=True, check=True)
        return done.stdout.decode()

    kb.add_files(path, root=tmp_path, ocr=ocr)
    assert "metformin lowers glucose" in kb.get(kb.ids()[0]).text.lower()
    assert kb.search("glucose", mode="lexical")[0].metadata["page"] == 1

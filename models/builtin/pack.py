"""How does a trained table become the file that the library carries, and what must the library say of it?

    python pack.py --out CACHE --name NAME --asset core/assets/builtin.bin --fixture core/tests/fixtures/builtin

writes the asset (format: `core/src/embed/static_model.rs`) and the fixture: texts, and their vectors as this
script finds them with the `tokenizers` package and numpy, for the test of the Rust runtime.
"""

import argparse
import hashlib
import json
import struct
from pathlib import Path

import numpy as np

from vocabulary import tokenizer_for

FIXTURE_TEXTS = [
    "",
    " \t\r\n ",
    "\0\0",
    "a",
    "Hello, world!",
    "Is a 510(k) needed for our ECG app?",
    "Metformin in patients with renal failure: lactic acidosis and dose",
    "Does aspirin reduce the risk of colorectal cancer?",
    "MYOCARDIAL INFARCTION",
    "myocardial infarction",
    "heart attack",
    "naïve café résumé Ångström façade",
    "nai\u0308ve cafe\u0301",
    "IL-6, TNF-alpha and CD4+ T cells (p < 0.001)",
    "β-catenin γδ T cells μg/ml ½ ²",
    "tab\tnewline\nreturn\rvertical\x0bform\x0cbell\x07end",
    "zero\u200bwidth\u200djoiner\ufeffbom\u00adsoft hyphen",
    "emoji 😀😃 family 👨‍👩‍👧‍👦 flag 🇩🇪 thumbs 👍🏽",
    "日本語のテキスト 中文文本 한국어 텍스트",
    "العربية עברית हिन्दी ไทย",
    "Ελληνικά Русский Українська Türkçe İstanbul ıspanak ß ẞ",
    "e\u0301\u0327\u0301 \u0327\u0301e q\u0307\u0323 q\u0323\u0307",
    "replacement \ufffd character and private \ue000 use",
    "http://example.org/path?query=1&other=two#fragment user@example.org",
    "snake_case camelCase kebab-case 3.14159 1,000,000 $5.00 100% #tag",
    "ﬁ ﬂ ligatures, “quotes” ‘single’ – en — em … ellipsis",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 100,
    "x" * 101,
    "y" * 5000 + " short",
    "word " * 3000,
    "ab" * 60 + "é",
    "\u00a0non\u00a0breaking\u2003em\u2028line\u2029paragraph\u3000ideographic",
    "ＦＵＬＬＷＩＤＴＨ ｌａｔｉｎ",
    "Å Å K Ω ſ ǆ ŉ",
    "각 \u1100\u1161\u11a8",
    "豈 更 車 \U0002f800",
    "##ing [UNK] [CLS] [SEP] [MASK] [PAD]",
    "I lost my card and need to freeze the account",
    "book a table for four at an italian restaurant tonight",
    "What are the symptoms of adult acute lymphoblastic leukemia?",
    "The quick brown fox jumps over the lazy dog.",
    "prior authorization for reimbursement of a medical device under Medicare Part B",
    "EU MDR clinical evaluation report for a class IIa device",
    "adverse events were reported in 12 of 340 patients (3.5%)",
    "in situ hybridization of hepatocellular carcinoma biopsies",
    "don't can't won't it's o'clock",
    "\U000e0041tag \U0001f1e9 \u0488 a\u0488",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
    "Zürich, São Paulo, Łódź, Đà Nẵng, Kraków, Reykjavík",
]


def quantise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One scale a row, components in [-127, 127]."""
    scales = np.abs(rows).max(1) / 127
    scales[scales == 0] = 1
    scales = scales.astype(np.float32)
    return np.clip(np.rint(rows / scales[:, None]), -127, 127).astype(np.int8), scales


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--asset", type=Path, required=True)
    parser.add_argument("--fixture", type=Path, required=True)
    args = parser.parse_args()

    rows = np.load(args.out / f"{args.name}.npy")
    vocab = (args.out / "vocab.txt").read_text(encoding="utf-8").split("\n")[: len(rows)]
    # Only ratios of lengths matter: the longest row gets length 1.
    rows = rows / np.linalg.norm(rows, axis=1).max()
    rows[0] = 0
    quantised, scales = quantise(rows)
    entries = "\n".join(vocab).encode()
    body = entries + scales.astype("<f4").tobytes() + quantised.tobytes()
    header = b"QRSTATIC" + struct.pack("<4I", 1, rows.shape[1], len(rows), len(entries)) + hashlib.sha256(body).digest()[:16]
    args.asset.parent.mkdir(parents=True, exist_ok=True)
    args.asset.write_bytes(header + body)

    table = quantised.astype(np.float32) * scales[:, None]
    tokenizer = tokenizer_for(vocab)
    vectors = np.zeros((len(FIXTURE_TEXTS), rows.shape[1]), np.float64)
    for vector, text in zip(vectors, FIXTURE_TEXTS):
        for token in tokenizer.encode(text, add_special_tokens=False).ids:
            if token != 0:
                vector += table[token]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    args.fixture.parent.mkdir(parents=True, exist_ok=True)
    args.fixture.with_suffix(".json").write_text(json.dumps(FIXTURE_TEXTS, indent=0))
    args.fixture.with_suffix(".f32").write_bytes(vectors.astype("<f4").tobytes())
    print(f"{args.asset}: {len(header) + len(body)} bytes, {len(rows)} entries of {rows.shape[1]} components")


if __name__ == "__main__":
    main()

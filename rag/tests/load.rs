//! Do files become the documents that their readers see, and do broken ones stay errors?

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use quorate_rag::Document;
use quorate_rag::load::{LoadOptions, expand, load_file};
use serde_json::json;

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn load(name: &str, bytes: impl AsRef<[u8]>) -> Vec<Document> {
    let folder = tempfile::tempdir().unwrap();
    load_file(write(folder.path(), name, bytes), &LoadOptions::default()).unwrap()
}

fn code(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), name, bytes);
    let error = load_file(&path, &LoadOptions::default()).unwrap_err();
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    error.code().as_str().to_owned()
}

#[test]
fn an_empty_id_is_no_id() {
    let documents = load("a.jsonl", "{\"id\": \"\", \"text\": \"x\"}\n{\"id\": \"b\", \"text\": \"y\"}\n");
    assert!(documents[0].id.ends_with("a.jsonl#row=1"));
    assert_eq!(documents[1].id, "b");
}

/// A PDF of one text line per page, written by hand.
fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), String::new()];
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".into());
    objects.push("<< /Title (Label) /Author (A. Writer) /CreationDate (D:20240229101500Z) >>".into());
    let mut kids = Vec::new();
    for text in pages {
        let stream = format!("BT /F1 12 Tf 72 700 Td ({text}) Tj ET");
        objects.push(format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()));
        let content = objects.len();
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
        ));
        kids.push(format!("{} 0 R", objects.len()));
    }
    objects[1] = format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len());
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(out.len());
        out.extend(format!("{number} 0 obj\n{object}\nendobj\n").into_bytes());
    }
    let xref = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).into_bytes());
    places.iter().for_each(|place| out.extend(format!("{place:010} 00000 n \n").into_bytes()));
    let size = objects.len() + 1;
    out.extend(
        format!("trailer << /Size {size} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{xref}\n%%EOF").into_bytes(),
    );
    out
}

fn docx(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const WORD: &str = r#"<?xml version="1.0"?><w:document xmlns:w="x"><w:body>
<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Dosing &amp; use</w:t></w:r></w:p>
<w:p><w:r><w:t xml:space="preserve">Take </w:t></w:r><w:r><w:t>one &#233;ach day.</w:t></w:r></w:p>
<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>with food</w:t></w:r></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>eGFR</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>30</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
</w:body></w:document>"#;

#[test]
fn plain_text_in_its_encodings() {
    let utf8 = &load("a.txt", "Größe — 10 mg")[0];
    assert_eq!((utf8.text.as_str(), utf8.title.as_str()), ("Größe — 10 mg", "a"));
    assert_eq!(utf8.metadata["encoding"], "UTF-8");
    assert!(utf8.metadata["modified"].as_str().unwrap().ends_with('Z'));
    let latin = &load("a.txt", b"Gr\xf6\xdfe")[0];
    assert_eq!(
        (latin.text.as_str(), latin.metadata["encoding"].as_str().unwrap()),
        ("Größe", "windows-1252")
    );
    let utf16 = &load("a.txt", [0xFF, 0xFE, b'h', 0, b'i', 0])[0];
    assert_eq!(utf16.text, "hi");
    assert_eq!(load("a.txt", "\u{feff}x")[0].text, "x");
}

#[test]
fn markdown_with_front_matter() {
    let text = "---\ntitle: Label\nyear: 2024\ntags: [fda, ema]\nanswers: [y, no, true]\ndate: 2024-02-29\n---\n# Heading\nbody";
    let doc = &load("a.md", text)[0];
    assert_eq!((doc.title.as_str(), doc.text.as_str()), ("Label", "# Heading\nbody"));
    assert_eq!(doc.metadata["year"], 2024);
    assert_eq!(doc.metadata["tags"], serde_json::json!(["fda", "ema"]));
    assert_eq!(doc.metadata["answers"], serde_json::json!(["y", "no", true]));
    assert_eq!(doc.metadata["date"], "2024-02-29");
    assert_eq!(load("a.md", "# Heading\nbody")[0].title, "Heading");
    assert_eq!(load("a.md", "---\nno front matter")[0].text, "---\nno front matter");
    assert_eq!(code("a.md", "---\na: [\n---\nx"), "load_failed");
}

#[test]
fn html_becomes_markdown() {
    let page = "<html lang=en><head><title> A  page </title><meta name=author content=Ann><style>p{}</style></head>\
        <body><h1>Dose</h1><p>Take <b>one</b>.</p><script>evil()</script><ul><li>x</li></ul></body></html>";
    let doc = &load("a.html", page)[0];
    assert_eq!(doc.title, "A page");
    assert!(doc.text.contains("# Dose") && doc.text.contains("Take **one**."), "{}", doc.text);
    assert!(!doc.text.contains("evil") && !doc.text.contains("p{}"));
    assert_eq!(doc.metadata["author"], "Ann");
    assert_eq!(code("a.html", "<div>".repeat(10_000)), "load_failed");
}

#[test]
fn pdf_by_page() {
    let docs = load("a.pdf", pdf(&["First page text", "Second page text"]));
    assert_eq!(docs.len(), 2);
    assert!(docs[1].text.contains("Second page text"), "{:?}", docs[1].text);
    assert!(docs[1].id.ends_with("a.pdf#page=2"));
    assert_eq!((docs[1].title.as_str(), &docs[1].metadata["page"]), ("Label", &2.into()));
    assert_eq!(docs[0].metadata["created"], "2024-02-29");
    assert_eq!(code("a.pdf", "not a pdf"), "load_failed");
    assert_eq!(code("a.pdf", pdf(&[""])), "load_failed");
    let whole = pdf(&["x"]);
    assert_eq!(code("a.pdf", &whole[..whole.len() / 2]), "load_failed");
}

#[test]
fn docx_becomes_markdown() {
    let core = "<cp><dc:title>Label</dc:title><dc:creator>Ann</dc:creator></cp>";
    let doc = &load("a.docx", docx(&[("word/document.xml", WORD), ("docProps/core.xml", core)]))[0];
    assert_eq!(doc.text, "# Dosing & use\n\nTake one éach day.\n\n- with food\n\n| eGFR | 30 |");
    assert_eq!((doc.title.as_str(), &doc.metadata["author"]), ("Label", &"Ann".into()));
    assert_eq!(load("a.docx", docx(&[("word/document.xml", WORD)]))[0].title, "Dosing & use");
    assert_eq!(code("a.docx", "PK nonsense"), "load_failed");
    assert_eq!(code("a.docx", docx(&[("other.xml", "")])), "load_failed");
    assert_eq!(code("a.docx", docx(&[("word/document.xml", "<w:p><w:t>x</w:wrong>")])), "load_failed");
}

#[test]
fn packed_files_cannot_explode() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = docx(&[("word/document.xml", &" ".repeat(5_000_000))]);
    assert!(bomb.len() < 100_000);
    let path = write(folder.path(), "bomb.docx", bomb);
    let options = LoadOptions { max_bytes: 1_000_000, ..Default::default() };
    assert_eq!(load_file(&path, &options).unwrap_err().code().as_str(), "too_large");
    let options = LoadOptions { max_bytes: 10, ..Default::default() };
    assert_eq!(load_file(&path, &options).unwrap_err().code().as_str(), "too_large");
    let path = write(folder.path(), "slow.html", "<p>x</p>".repeat(200_000));
    let options = LoadOptions { timeout: Duration::from_millis(1), ..Default::default() };
    assert_eq!(load_file(&path, &options).unwrap_err().code().as_str(), "timeout");
}

#[test]
fn tables_and_records() {
    let docs = load(
        "a.csv",
        "id,title,text,year,score,ok,code_id\n7,T,\"one, two\",2024,0.5,true,007\n,U,three,,,,\n",
    );
    assert_eq!((docs[0].id.as_str(), docs[0].text.as_str(), docs[0].title.as_str()), ("7", "one, two", "T"));
    assert_eq!(docs[0].metadata["year"], 2024);
    assert_eq!(docs[0].metadata["score"], 0.5);
    assert_eq!(docs[0].metadata["ok"], true);
    assert_eq!(docs[0].metadata["code_id"], "007");
    assert!(docs[1].id.ends_with("a.csv#row=2") && !docs[1].metadata.contains_key("year"));
    assert_eq!(load("a.csv", "drug,dose\nmetformin,500\n")[0].text, "drug: metformin\ndose: 500");
    assert_eq!(load("a.tsv", "id\ttext\nx\ty z\n")[0].text, "y z");
    assert_eq!(code("a.csv", "a,b\n1,2,3\n"), "load_failed");

    let lines = "{\"_id\": \"a\", \"text\": \"x\", \"metadata\": {\"year\": 1}, \"kind\": \"k\"}\n\n{\"id\": 5, \"body\": \"y\"}";
    let docs = load("a.jsonl", lines);
    assert_eq!(
        (docs[0].id.as_str(), &docs[0].metadata["year"], &docs[0].metadata["kind"]),
        ("a", &1.into(), &"k".into())
    );
    assert_eq!((docs[1].id.as_str(), docs[1].text.as_str()), ("5", "y"));
    // What is said twice and differs is there twice.
    let twice = "{\"text\": \"x\", \"year\": 2020, \"kind\": \"k\", \"metadata\": {\"year\": 1999, \"kind\": \"k\", \"more\": 1}}";
    let known = &load("a.jsonl", twice)[0].metadata;
    assert_eq!((&known["year"], &known["kind"], &known["more"]), (&2020.into(), &"k".into(), &1.into()));
    assert_eq!(known["metadata"], serde_json::json!({"year": 1999}));
    assert_eq!(code("a.jsonl", "{\"id\": 1}\nnot json"), "load_failed");
    assert_eq!(code("a.jsonl", "[1]"), "load_failed");
}

/// The metadata of a table's rows without what every file tells.
fn columns(name: &str, text: &str, options: serde_json::Value) -> Vec<serde_json::Value> {
    let folder = tempfile::tempdir().unwrap();
    let csv = serde_json::from_value(options).unwrap();
    let options = LoadOptions { csv, ..LoadOptions::default() };
    let docs = load_file(write(folder.path(), name, text), &options).unwrap();
    let told = ["file_type", "modified", "language"];
    let own = |mut doc: Document| {
        told.iter().for_each(|name| drop(doc.metadata.remove(*name)));
        serde_json::json!([doc.id.rsplit('/').next(), doc.title, doc.text, doc.metadata])
    };
    docs.into_iter().map(own).collect()
}

#[test]
fn a_column_has_one_type_and_keeps_its_digits() {
    let text = "key,text,plz,paid,valid,p,icd,price,wide\n\
        a,x,01067,12,true,0.05,250.00,12.50,18446744073709551616\n\
        b,y,94110,250,false,1e-7,401.9,3.00,1\n";
    let rows = columns("a.csv", text, json!({}));
    assert_eq!(
        rows[0][3],
        json!({"key": "a", "plz": "01067", "paid": 12, "valid": true, "p": 0.05, "icd": "250.00", "price": 12.5,
            "wide": "18446744073709551616"})
    );
    assert_eq!(
        rows[1][3],
        json!({"key": "b", "plz": "94110", "paid": 250, "valid": false, "p": 1e-7, "icd": "401.9", "price": 3.0,
            "wide": "1"})
    );
    // The text of a row without a text column has its cells as they are written.
    assert_eq!(columns("a.csv", "drug,dose\nx,12.50\n", json!({}))[0][2], "drug: x\ndose: 12.50");
    let lines = "{\"text\": \"x\", \"n\": 123456789012345678901234567890, \"m\": [-9223372036854775809]}";
    let want = json!({"n": "123456789012345678901234567890", "m": ["-9223372036854775809"]});
    assert_eq!(columns("a.jsonl", lines, json!({}))[0][3], want);
}

#[test]
fn tables_are_read_as_the_caller_says() {
    let text = "nr;titel;befund;rat;ort\n1;T;'a; b';c;Graz\n2;U;;d;\n";
    let options = json!({"quote": "'", "id": "nr", "title": "titel", "text": ["befund", "rat"], "metadata": ["ort", "nr"]});
    assert_eq!(
        columns("a.csv", text, options),
        [json!(["1", "T", "a; b\nc", {"ort": "Graz", "nr": 1}]), json!(["2", "U", "d", {"nr": 2}])]
    );
    assert_eq!(
        columns("a.csv", "x|y\n", json!({"header": false}))[0],
        json!([
            "a.csv#row=1", "", "column1: x\ncolumn2: y", {"column1": "x", "column2": "y"}
        ])
    );
    let named = json!({"header": ["text", "n"], "delimiter": " "});
    assert_eq!(columns("a.tsv", "word 7\n", named)[0], json!(["a.tsv#row=1", "", "word", {"n": 7}]));
    assert_eq!(
        columns("a.jsonl", "{\"key\": 1, \"note\": \"x\", \"b\": 2}", json!({"id": "key", "text": "note"}))
            [0],
        json!(["1", "", "x", {"b": 2}])
    );
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", "a,b\n1,2\n");
    let code = |options: serde_json::Value| {
        let options = LoadOptions { csv: serde_json::from_value(options).unwrap(), ..LoadOptions::default() };
        load_file(&path, &options).unwrap_err()
    };
    let error = code(json!({"text": "c"}));
    assert_eq!(error.code().as_str(), "load_failed");
    assert!(error.message().contains("'c'") && error.message().contains("'a', 'b'"), "{error}");
    for wrong in
        [json!({"delimiter": "é"}), json!({"quote": ","}), json!({"header": []}), json!({"text": []})]
    {
        assert_eq!(code(wrong.clone()).code().as_str(), "invalid_argument", "{wrong}");
    }
}

#[test]
fn synonyms_leave_the_metadata_complete() {
    assert_eq!(
        columns("a.csv", "id,name,description,kind\n1,Metformin,lowers glucose,drug\n", json!({}))[0],
        json!(["1", "Metformin", "lowers glucose",
            {"name": "Metformin", "description": "lowers glucose", "kind": "drug"}])
    );
    assert_eq!(
        columns(
            "a.jsonl",
            "{\"_id\": \"1\", \"headline\": \"H\", \"body\": \"B\", \"title\": \"T\"}",
            json!({})
        )[0],
        json!(["1", "T", "B", {"headline": "H", "body": "B"}])
    );
    // What is called so is not repeated, and a text column that is empty in a row is no other column.
    assert_eq!(
        columns("a.csv", "Title,Text,body\nT,,long\n", json!({}))[0],
        json!(["a.csv#row=1", "T", "", {"body": "long"}])
    );
    // Two columns of one name are both kept.
    assert_eq!(columns("a.csv", "text,a,a\nx,1,2\n", json!({}))[0][3], json!({"a": 1, "a_2": 2}));
}

#[test]
fn rows_that_are_short_long_or_never_closed() {
    assert_eq!(load("a.csv", "id,text,city\ne,Fifth clinic\nf,Sixth,Rome,,\n").len(), 2);
    let folder = tempfile::tempdir().unwrap();
    let message = |text: &str| {
        let path = write(folder.path(), "a.csv", text);
        load_file(&path, &LoadOptions::default()).unwrap_err().message().to_owned()
    };
    let long = message("id,text\na,x\nb,y, z\n");
    assert!(long.contains("row 2 (line 3)") && long.contains("3 cells"), "{long}");
    let open = message("id,text\na,\"x\nb,y\nc,z\n");
    assert!(open.contains("row 1 (line 2)") && open.contains("never closed"), "{open}");
    assert_eq!(load("a.csv", "id,text\na,\"x\ny\"\nb,a 5\" disk\n").len(), 2);
}

#[test]
fn patterns_name_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for name in ["b.txt", "a.md", "sub/c.pdf", ".hidden.txt", "d.png", "sub/[x] 1*.txt"] {
        write(folder.path(), name, "x");
    }
    let root = folder.path().to_str().unwrap();
    let names = |pattern: String| -> Vec<String> {
        let found = expand(&pattern).unwrap();
        found.iter().map(|p| p.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
    };
    let all = ["a.md", "b.txt", "d.png", "sub/[x] 1*.txt", "sub/c.pdf"];
    assert_eq!(names(format!("{root}/**/*")), all);
    assert_eq!(names(root.to_owned()), all);
    assert_eq!(names(format!("{root}/./sub/..//")), all);
    assert_eq!(names(format!("{root}/*.txt")), ["b.txt"]);
    assert_eq!(names(format!("{root}/.h*")), [".hidden.txt"]);
    assert_eq!(names(format!("{root}/*/c.*")), ["sub/c.pdf"]);
    assert_eq!(names(format!("{root}/a.md")), ["a.md"]);
    assert_eq!(names(format!("{root}/sub/[x] 1*.txt")), ["sub/[x] 1*.txt"]);
    for nothing in ["none*", "none", "a.md/x", "a.md/*", "none/*"] {
        assert_eq!(
            expand(format!("{root}/{nothing}")).unwrap_err().code().as_str(),
            "not_found",
            "{nothing}"
        );
    }
    for bad in ["a[", "", "a\0b"] {
        assert_eq!(expand(bad).unwrap_err().code().as_str(), "invalid_argument", "{bad:?}");
    }
    assert_eq!(code("d.png", "x"), "unsupported");
}

#[cfg(unix)]
#[test]
fn links_stay_in_the_folder_and_endless_files_are_refused() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = write(outside.path(), "secret.txt", "not for everyone");
    let inside = folder.path().join("docs");
    std::fs::create_dir_all(inside.join("deep")).unwrap();
    write(&inside, "real.txt", "x");
    symlink(&secret, inside.join("away.txt")).unwrap();
    symlink(outside.path(), inside.join("away")).unwrap();
    symlink("..", inside.join("deep/loop")).unwrap();
    symlink("real.txt", inside.join("again.txt")).unwrap();
    symlink("nothing.txt", inside.join("dangling.txt")).unwrap();
    assert_eq!(expand(&inside).unwrap(), [inside.join("real.txt")]);
    assert_eq!(expand(inside.join("**/*")).unwrap(), [inside.join("real.txt")]);
    // What the caller names is followed.
    assert_eq!(expand(inside.join("away.txt")).unwrap(), [inside.join("away.txt")]);
    assert_eq!(expand(inside.join("away/*.txt")).unwrap(), [inside.join("away/secret.txt")]);

    symlink("/dev/zero", inside.join("zero.txt")).unwrap();
    symlink("/dev/zero", inside.join("zero.csv")).unwrap();
    let pipe = inside.join("pipe.txt");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for endless in ["zero.txt", "zero.csv", "pipe.txt"] {
        let error = load_file(inside.join(endless), &LoadOptions::default()).unwrap_err();
        assert_eq!(error.code().as_str(), "unsupported", "{error}");
    }
    let options = LoadOptions { max_bytes: 1 << 20, ..LoadOptions::default() };
    let sparse = inside.join("sparse.txt");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(load_file(&sparse, &options).unwrap_err().code().as_str(), "too_large");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("QUORATE_TORTURE").is_some() { 100_000 } else { 60 }))]
    #[test]
    fn damaged_files_are_errors_or_documents(
        which in 0usize..7,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        keep in any::<prop::sample::Index>(),
    ) {
        let (name, mut bytes) = match which {
            0 => ("f.pdf", pdf(&["Some text (nested) here", "more"])),
            1 => ("f.docx", docx(&[("word/document.xml", WORD)])),
            2 => ("f.html", b"<html><body><table><tr><td>x<p>y</table><h1>z".to_vec()),
            3 => ("f.md", b"---\na: {b: [1, 2]}\n---\n# T\n```\nx".to_vec()),
            4 => ("f.csv", b"id,text\n1,\"x, y\"\n2,z\n".to_vec()),
            5 => ("f.jsonl", b"{\"id\": 1, \"text\": \"x\"}\n{\"id\": 2, \"text\": [1]}".to_vec()),
            _ => ("f.txt", "plain é text".as_bytes().to_vec()),
        };
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(keep.index(bytes.len()) + 1);
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), name, &bytes);
        let options = LoadOptions { timeout: Duration::from_secs(20), ..Default::default() };
        if let Err(error) = load_file(&path, &options) {
            prop_assert!(["load_failed", "too_large"].contains(&error.code().as_str()), "{error}");
        }
    }
}

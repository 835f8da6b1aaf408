//! Does any file end the process, or never end?

use super::files::Kind;
use super::*;
use crate::fuzz;

/// Loads bytes as the given kind. A panic of a parser is what `load_file` makes an error of; everything else counts.
fn target(kind: Kind) -> impl Fn(Vec<u8>) + Send + Sync {
    move |bytes| {
        let fair =
            |error: &Error| assert!(matches!(error.code(), Code::LoadFailed | Code::TooLarge), "{error}");
        let options = LoadOptions { max_bytes: 1 << 24, ..LoadOptions::default() };
        let mut each = |document: Result<Document>| {
            match document {
                Ok(document) => assert!(!document.id.is_empty()),
                Err(error) => fair(&error),
            }
            Ok(())
        };
        let work = || load_bytes(kind, "fuzz", bytes, &options, &mut each);
        let Ok(loaded) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) else { return };
        loaded.unwrap_or_else(|error| fair(&error));
    }
}

fn run(kind: Kind, otherwise: usize, seeds: &[&[u8]], dictionary: &[&[u8]]) {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    fuzz::run(otherwise, &seeds, dictionary, target(kind));
}

#[test]
fn fuzz_text() {
    let seeds: [&[u8]; 3] = [b"plain text\r\nof two lines", b"\xff\xfeh\0i\0", b"caf\xe9 \x80\x9f"];
    run(Kind::Text, 3000, &seeds, &[b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"]);
}

#[test]
fn fuzz_markdown() {
    let seeds: [&[u8]; 3] = [
        b"---\ntitle: A\ntags: [a, b]\nnested: {x: 1, y: [2, 3]}\ndate: 2024-02-29\n---\n# Heading\ntext\n",
        b"---\na: &anchor {b: c}\nd: *anchor\ne: !!str 1\nf: |\n  block\n...\n# X ##\n```\n# code\n```\n",
        b"# Title\n\n- item\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    ];
    let words: [&[u8]; 16] = [
        b"---\n",
        b"...\n",
        b"- ",
        b"[",
        b"{",
        b"&a ",
        b"*a",
        b"? ",
        b": ",
        b"<<: ",
        b"!!float ",
        b"|\n  ",
        b">-\n",
        b"'",
        b"\"",
        b"  ",
    ];
    run(Kind::Markdown, 2000, &seeds, &words);
}

#[test]
fn fuzz_html() {
    let seeds: [&[u8]; 3] = [
        b"<html lang=en><head><title>T</title><meta name='author' content='A'></head><body><h1>H</h1><p>x<b>y</b></body>",
        b"<table><tr><th>a<td>b</table><ul><li>1<ol><li>2</ol></ul><pre><code>x\n y</code></pre>",
        b"<!doctype html><svg><math><mi>x</mi></math></svg><template><p>t</template><a href='x'>l</a>&amp;&#x41;&nope;",
    ];
    let words: [&[u8]; 18] = [
        b"<div>",
        b"<b>",
        b"<table>",
        b"<tr>",
        b"<td>",
        b"<ul><li>",
        b"<pre>",
        b"<svg>",
        b"<math>",
        b"<!--",
        b"]]>",
        b"<a href=",
        b"</p>",
        b"<select>",
        b"<frameset>",
        b"<template>",
        b"&#",
        b"<![CDATA[",
    ];
    run(Kind::Html, 800, &seeds, &words);
}

#[test]
fn fuzz_csv() {
    let seeds: [&[u8]; 2] =
        [b"id,title,text,n\n1,a,\"b, \"\"c\"\"\",2.5\n2,d,e,-7\n", b"text\n\"multi\nline\"\n"];
    run(
        Kind::Csv,
        3000,
        &seeds,
        &[b",", b"\"", b"\n", b"\r", b"\"\"", b"1e999", b"-0", b"9223372036854775808"],
    );
    run(Kind::Tsv, 1000, &seeds, &[b"\t", b"\"", b"\n", b"\r"]);
}

#[test]
fn fuzz_jsonl() {
    let seeds: [&[u8]; 2] = [
        b"{\"id\": 1, \"text\": \"a\", \"metadata\": {\"year\": 2024, \"tags\": [\"x\", null]}}\n\n{\"_id\": \"b\", \"title\": \"t\"}\n",
        b"{\"body\": \"\\ud83e\\ude7a\", \"x\": {\"y\": {\"z\": [1.5e3, true]}}}\n",
    ];
    run(
        Kind::Jsonl,
        3000,
        &seeds,
        &[b"{", b"[", b"\"a\":", b"}", b"]", b"\\u", b"\\ud800", b"1e400", b"null", b"\n"],
    );
}

#[test]
fn fuzz_pdf() {
    let seeds: [&[u8]; 2] = [
        include_bytes!("../../tests/fixtures/fuzz/plain.pdf"),
        include_bytes!("../../tests/fixtures/fuzz/flate.pdf"),
    ];
    let words: [&[u8]; 20] = [
        b"1 0 R",
        b"3 0 R",
        b"<<",
        b">>",
        b"[",
        b"]",
        b"(",
        b")",
        b"stream\n",
        b"endstream",
        b"endobj",
        b"/Kids",
        b"/Parent",
        b"/Length 99999999",
        b"/Filter /FlateDecode",
        b"/Filter [/ASCII85Decode /LZWDecode]",
        b"BT",
        b"Tj",
        b"/Type /ObjStm",
        b"/Prev 9",
    ];
    run(Kind::Pdf, 500, &seeds, &words);
}

#[test]
fn fuzz_docx() {
    let document = "<w:document><w:body><w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr><w:r><w:t>Title &amp; more</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t><w:tab/><w:br/></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>";
    let core = "<cp:coreProperties><dc:title>T</dc:title><dc:creator>C</dc:creator></cp:coreProperties>";
    let packed = |document: &[u8], stored: bool| {
        use std::io::Write;
        let method = if stored { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in [("word/document.xml", document), ("docProps/core.xml", core.as_bytes())] {
            archive.start_file(name, options).unwrap();
            archive.write_all(text).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    // The container itself.
    let seeds = [packed(document.as_bytes(), false), packed(document.as_bytes(), true)];
    fuzz::run(
        1500,
        &seeds,
        &[b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"word/document.xml"],
        target(Kind::Docx),
    );
    // What it contains.
    let words: [&[u8]; 14] = [
        b"<w:tbl>",
        b"<w:tr>",
        b"<w:tc>",
        b"<w:p>",
        b"</w:p>",
        b"<w:t>",
        b"</w:t>",
        b"</w:tbl>",
        b"<w:pStyle w:val='heading99'/>",
        b"&#x0;",
        b"&#99999999;",
        b"<![CDATA[",
        b"<?x",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    ];
    let seeds = [document.as_bytes().to_vec()];
    let inner = target(Kind::Docx);
    fuzz::run(1500, &seeds, &words, |bytes| inner(packed(&bytes, true)));
}

//! Does each kind of file say what its reader sees, and does none of them end the process?
//!
//! Expected texts follow the standards that each test names; the files are written by hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use quorate_rag::Document;
use quorate_rag::load::{LoadOptions, load_file};

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn load_with(name: &str, bytes: impl AsRef<[u8]>, options: &LoadOptions) -> Vec<Document> {
    let folder = tempfile::tempdir().unwrap();
    load_file(write(folder.path(), name, bytes), options).unwrap()
}

fn load(name: &str, bytes: impl AsRef<[u8]>) -> Vec<Document> {
    load_with(name, bytes, &LoadOptions::default())
}

fn code(name: &str, bytes: impl AsRef<[u8]>, options: &LoadOptions) -> &'static str {
    let folder = tempfile::tempdir().unwrap();
    load_file(write(folder.path(), name, bytes), options).unwrap_err().code().as_str()
}

fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
    packed_bytes(&parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect::<Vec<_>>())
}

fn packed_bytes(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A part that refers to others: (id, kind, target).
fn relations(all: &[(&str, &str, &str)]) -> String {
    let one = |(id, kind, target): &(&str, &str, &str)| {
        format!("<Relationship Id='{id}' Type='http://x/relationships/{kind}' Target='{target}'/>")
    };
    format!("<Relationships xmlns='r'>{}</Relationships>", all.iter().map(one).collect::<String>())
}

fn word(body: &str) -> String {
    format!("<w:document xmlns:w='w' xmlns:r='r' xmlns:m='m'><w:body>{body}</w:body></w:document>")
}

fn p(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space='preserve'>{text}</w:t></w:r></w:p>")
}

/// The text of a Word document with further parts.
fn docx(body: &str, own: &[(&str, &str, &str)], parts: &[(&str, &str)]) -> Document {
    let (root, own, body) =
        (relations(&[("r1", "officeDocument", "word/document.xml")]), relations(own), word(body));
    let mut all = vec![
        ("_rels/.rels", root.as_str()),
        ("word/_rels/document.xml.rels", own.as_str()),
        ("word/document.xml", body.as_str()),
    ];
    all.extend(parts);
    load("a.docx", packed(&all)).remove(0)
}

// ECMA-376, part 1, 17.11 (notes), 17.10 (headers and footers), part 3 (alternative content).
#[test]
fn what_word_shows_beside_the_body_is_there_once() {
    let reference = |kind: &str, id: &str| format!("<w:r><w:{kind}Reference w:id='{id}'/></w:r>");
    let text_box = |text: &str| format!("<w:txbxContent>{}</w:txbxContent>", p(text));
    let body = [
        format!("<w:p><w:r><w:t>Dose</w:t></w:r>{}{}</w:p>", reference("footnote", "2"), reference("endnote", "2")),
        format!(
            "<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>{0}</wps:txbx></w:drawing></mc:Choice>\
             <mc:Fallback><w:pict><v:textbox>{0}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>",
            text_box("In the box")
        ),
        "<w:p><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>\
         <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:fldChar/><w:instrText>PAGE</w:instrText></w:r></w:p>"
            .to_owned(),
        "<w:sdt><w:sdtPr/><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>".to_owned(),
        "<w:p><m:oMath><m:r><m:t>E=mc</m:t></m:r><m:sSup><m:e/><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>"
            .to_owned(),
        "<w:p><w:r><w:sym w:font='Symbol' w:char='F0B3'/><w:t> 30</w:t></w:r></w:p>".to_owned(),
        "<w:altChunk r:id='r9'/>".to_owned(),
        "<w:sectPr><w:headerReference r:id='r3'/><w:headerReference r:id='r3'/><w:footerReference r:id='r4'/></w:sectPr>"
            .to_owned(),
    ];
    let note = |tag: &str, text: &str| {
        format!(
            "<w:{tag}s xmlns:w='w'><w:{tag} w:type='separator' w:id='0'>{}</w:{tag}><w:{tag} w:id='2'>{}</w:{tag}></w:{tag}s>",
            p("---"),
            p(text)
        )
    };
    let (foot, end) = (note("footnote", "Halve it."), note("endnote", "Registry."));
    let (header, footer) = (
        format!("<w:hdr xmlns:w='w'>{}</w:hdr>", p("Secret")),
        format!("<w:ftr xmlns:w='w'>{}</w:ftr>", p("7")),
    );
    let own = [
        ("r1", "footnotes", "footnotes.xml"),
        ("r2", "endnotes", "endnotes.xml"),
        ("r3", "header", "header1.xml"),
        ("r4", "footer", "/word/footer1.xml"),
        ("r9", "aFChunk", "chunk.html"),
    ];
    let parts = [
        ("word/footnotes.xml", foot.as_str()),
        ("word/endnotes.xml", end.as_str()),
        ("word/header1.xml", header.as_str()),
        ("word/footer1.xml", footer.as_str()),
        ("word/chunk.html", "<p>From <b>HTML</b></p>"),
    ];
    let text = docx(&body.concat(), &own, &parts).text;
    let wanted = "Dose[^1][^2]\n\n[^1]: Halve it.\n\n[^2]: Registry.\n\nIn the box\n\ninserted\n\nin a control\n\nE=mc²\n\n≥ 30\n\n\
        From **HTML**\n\nHeader: Secret";
    assert_eq!(text, wanted);
}

// 17.7.4.9 (style names), 17.3.1.20 (outline levels), 17.9 (numbering).
#[test]
fn word_headings_and_numbers_in_any_language() {
    let style = |id: &str, name: &str, rest: &str| {
        format!("<w:style w:type='paragraph' w:styleId='{id}'><w:name w:val='{name}'/>{rest}</w:style>")
    };
    let styles = format!(
        "<w:styles xmlns:w='w'>{}{}{}{}</w:styles>",
        style("berschrift1", "heading 1", "<w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr>"),
        style("Kapitel", "Kapitel", "<w:pPr><w:outlineLvl w:val='1'/></w:pPr>"),
        style("Unter", "Unter", "<w:basedOn w:val='Kapitel'/>"),
        style("Heading3", "Zitat", "<w:pPr><w:outlineLvl w:val='9'/></w:pPr>"),
    );
    let numbering = "<w:numbering xmlns:w='w'><w:abstractNum w:abstractNumId='0'>\
        <w:lvl w:ilvl='0'><w:start w:val='1'/><w:numFmt w:val='decimal'/><w:lvlText w:val='%1.'/></w:lvl>\
        <w:lvl w:ilvl='1'><w:start w:val='1'/><w:numFmt w:val='lowerRoman'/><w:lvlText w:val='(%2)'/></w:lvl>\
        </w:abstractNum><w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>\
        <w:num w:numId='2'><w:abstractNumId w:val='0'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='1'/></w:lvlOverride></w:num></w:numbering>";
    let styled = |style: &str, text: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let item = |list: u32, level: u32, text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{list}'/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let body = [
        styled("berschrift1", "Dosierung"),
        styled("Kapitel", "Nieren"),
        styled("Unter", "Leber"),
        styled("Heading3", "no heading"),
        styled("berschrift1", "Lagerung"),
        item(2, 0, "one"),
        item(2, 1, "deeper"),
        item(2, 1, "and"),
        item(2, 0, "two"),
    ];
    let own = [("r1", "styles", "styles.xml"), ("r2", "numbering", "numbering.xml")];
    let document =
        docx(&body.concat(), &own, &[("word/styles.xml", &styles), ("word/numbering.xml", numbering)]);
    let wanted = "# 1. Dosierung\n\n## Nieren\n\n## Leber\n\nno heading\n\n# 2. Lagerung\n\n1. one\n  (i) deeper\n  (ii) and\n2. two";
    assert_eq!((document.text.as_str(), document.title.as_str()), (wanted, "1. Dosierung"));
}

// Open Packaging Conventions: the package says which part is the document, in UTF-16 where it likes.
#[test]
fn the_main_part_is_where_the_package_says() {
    let root = relations(&[
        ("r1", "officeDocument", "/custom/text2.xml"),
        ("r2", "metadata/core-properties", "p.xml"),
    ]);
    let body = word(&p("found"));
    let core = "<cp xmlns:dc='d'><dc:title>Fish &amp; chips &#8211; 2</dc:title></cp>";
    let document =
        load("a.docx", packed(&[("_rels/.rels", &root), ("custom/text2.xml", &body), ("p.xml", core)]));
    assert_eq!((document[0].text.as_str(), document[0].title.as_str()), ("found", "Fish & chips – 2"));
    let types = "<Types xmlns='t'><Override PartName='/w/d.xml' ContentType='application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'/></Types>";
    assert_eq!(
        load("a.docx", packed(&[("[Content_Types].xml", types), ("w/d.xml", &body)]))[0].text,
        "found"
    );
}

// The HTML Standard, 13.2.3.2; the expected texts are encoding_rs's own inverse.
#[test]
fn pages_and_notes_in_the_encoding_that_they_declare() {
    let page = |head: &str, text: &str| {
        format!("<!doctype html><html><head>{head}<title>x</title></head><body><p>{text}</p></body></html>")
    };
    let russian = "Метформин противопоказан.";
    for (head, encoding, text) in [
        ("<meta charset=windows-1251>", encoding_rs::WINDOWS_1251, russian),
        ("<meta http-equiv=content-type content='text/html; charset=koi8-r'>", encoding_rs::KOI8_R, russian),
        ("<meta charset=euc-jp>", encoding_rs::EUC_JP, "腎機能が低下した患者"),
        ("", encoding_rs::UTF_8, russian),
    ] {
        let source = page(head, text);
        let document = load("a.html", encoding.encode(&source).0).remove(0);
        assert_eq!((document.text.as_str(), &document.metadata["encoding"]), (text, &encoding.name().into()));
    }
    let xhtml = format!("<?xml version='1.0' encoding='iso-8859-2'?>{}", page("", "nerek zmniejszą dawki"));
    assert!(load("a.xhtml", encoding_rs::ISO_8859_2.encode(&xhtml).0)[0].text.contains("zmniejszą"));
    let chosen = |label: &str| LoadOptions { encoding: Some(label.into()), ..LoadOptions::default() };
    let bytes = encoding_rs::IBM866.encode(russian).0;
    for name in ["a.txt", "a.md", "a.html"] {
        let document = load_with(name, &bytes, &chosen("cp866")).remove(0);
        assert_eq!(
            (document.text.as_str(), &document.metadata["encoding"]),
            (russian, &"IBM866".into()),
            "{name}"
        );
    }
    assert!(
        load_with(
            "a.jsonl",
            encoding_rs::IBM866.encode(&format!("{{\"text\": \"{russian}\"}}")).0,
            &chosen("cp866")
        )[0]
        .text
            == russian
    );
    assert_eq!(code("a.txt", "x", &chosen("klingon")), "invalid_argument");
}

// RFC 2397; soft hyphens: Unicode Standard Annex 14, class BA.
#[test]
fn no_payload_and_no_soft_hyphen_is_text() {
    let uri = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(3000));
    let page = format!(
        "<p>pho&shy;to</p><p><img alt='Chart of eGFR' src='{uri}'></p><p><a href='{uri}'>get it</a></p><img src='{uri}'>\
        <img alt='s' src=\"data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'><text>words</text></svg>\">"
    );
    assert_eq!(load("a.html", page)[0].text, "photo\n\n![Chart of eGFR]()\n\nget it\n\n![s]()");
    assert_eq!(
        load("a.md", format!("![Chart]({uri})\n\n[1]: <{uri}>\nend"))[0].text,
        "![Chart]()\n\n[1]: <>\nend"
    );
    assert_eq!(load("a.txt", format!("see {uri} here"))[0].text, "see  here");
}

#[test]
fn the_main_text_of_a_page() {
    let sentence = "The dose is halved when the clearance of creatinine falls below forty-five, and stopped below thirty, as studies found. ";
    let page = format!(
        "<html><head><title>T</title></head><body><nav><a href='/a'>Home</a> <a href='/b'>Shop</a></nav><header>Banner</header>\
         <div id='content'><article><h1>Dosing</h1>{}</article></div><aside>Advertisement</aside><footer>Imprint</footer></body></html>",
        format!("<p>{}</p>", sentence.repeat(3)).repeat(4)
    );
    let whole = &load("a.html", &page)[0].text;
    assert!(
        ["Home", "Banner", "Advertisement", "Imprint"].iter().all(|word| whole.contains(word)),
        "{whole}"
    );
    let options = LoadOptions { main_text: true, ..LoadOptions::default() };
    let main = &load_with("a.html", &page, &options)[0].text;
    assert_eq!(main.matches("creatinine").count(), 12);
    assert!(
        !["Home", "Shop", "Banner", "Advertisement", "Imprint"].iter().any(|word| main.contains(word)),
        "{main}"
    );
    // Where there is no article, what stands around is left out all the same.
    let short = &load_with("a.html", "<nav>Menu</nav><p>Short note.</p><footer>F</footer>", &options)[0].text;
    assert_eq!(short, "Short note.");
}

#[test]
fn code_gives_no_title() {
    let text = "```sh\n# install\n```\n\n    # indented\n\nReal title\n==========\n";
    assert_eq!(load("a.md", text)[0].title, "Real title");
}

// ECMA-376, part 1, section 18.
#[test]
fn sheets_are_tables() {
    let root = relations(&[("r1", "officeDocument", "xl/workbook.xml")]);
    let book = "<workbook xmlns='m' xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'><sheets>\
        <sheet name='Doses' sheetId='1' r:id='r1'/><sheet name='Secret' sheetId='2' state='hidden' r:id='r2'/>\
        <sheet name='Far' sheetId='3' r:id='r3'/></sheets></workbook>";
    let own = relations(&[
        ("r1", "worksheet", "worksheets/a.xml"),
        ("r2", "worksheet", "worksheets/b.xml"),
        ("r3", "worksheet", "worksheets/c.xml"),
        ("r4", "sharedStrings", "sharedStrings.xml"),
        ("r5", "styles", "styles.xml"),
    ]);
    let strings = "<sst xmlns='m'><si><t>Drug</t></si><si><r><t>Met</t></r><r><t>formin</t></r></si></sst>";
    let styles =
        "<styleSheet xmlns='m'><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs></styleSheet>";
    let sheet = |cells: &str| format!("<worksheet xmlns='m'><sheetData>{cells}</sheetData></worksheet>");
    let doses = sheet(
        "<row r='1'><c r='A1' t='s'><v>0</v></c><c r='C1' t='inlineStr'><is><t>Dose</t></is></c></row>\
        <row r='3'><c r='A3' t='s'><v>1</v></c><c r='B3'><v>0.30000000000000004</v></c><c r='C3' s='1'><v>45351</v></c><c r='D3' t='b'><v>1</v></c></row>",
    );
    let far =
        sheet("<row r='1'><c r='A1'><v>1</v></c></row><row r='1048576'><c r='XFD1048576'><v>2</v></c></row>");
    let parts = [
        ("_rels/.rels", root.as_str()),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", own.as_str()),
        ("xl/sharedStrings.xml", strings),
        ("xl/styles.xml", styles),
        ("xl/worksheets/a.xml", doses.as_str()),
        ("xl/worksheets/b.xml", doses.as_str()),
        ("xl/worksheets/c.xml", far.as_str()),
    ];
    let documents = load("a.xlsx", packed(&parts));
    assert_eq!(documents[0].text, "| Drug |  | Dose |\n| Metformin | 0.3 | 2024-02-29 | TRUE |");
    assert!(documents[0].id.ends_with("a.xlsx#sheet=Doses"), "{}", documents[0].id);
    assert_eq!((documents[0].title.as_str(), &documents[0].metadata["sheet"]), ("a: Doses", &"Doses".into()));
    // A cell at the far corner does not take a table of 17 billion cells.
    assert_eq!(documents.len(), 2);
    assert!(documents[1].text.starts_with("| 1 |\n| ") && documents[1].text.ends_with(" | 2 |"));
}

// ECMA-376, part 1, section 19.
#[test]
fn slides_in_the_order_of_the_show() {
    let root = relations(&[("r1", "officeDocument", "ppt/presentation.xml")]);
    let show = "<p:presentation xmlns:p='p' xmlns:r='r'><p:sldIdLst><p:sldId id='256' r:id='r2'/><p:sldId id='257' r:id='r1'/><p:sldId id='258' r:id='r3'/></p:sldIdLst></p:presentation>";
    let own = relations(&[
        ("r1", "slide", "slides/slide1.xml"),
        ("r2", "slide", "slides/slide2.xml"),
        ("r3", "slide", "slides/slide3.xml"),
    ]);
    let shape = |kind: &str, text: &str| {
        format!(
            "<p:sp><p:nvSpPr><p:nvPr><p:ph type='{kind}'/></p:nvPr></p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>"
        )
    };
    let line = |text: &str| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>");
    let slide = |more: &str, inside: &str| {
        format!("<p:sld xmlns:p='p' xmlns:a='a'{more}><p:cSld><p:spTree>{inside}</p:spTree></p:cSld></p:sld>")
    };
    let table = format!(
        "<p:graphicFrame><a:tbl><a:tr><a:tc>{}</a:tc><a:tc>{}</a:tc></a:tr></a:tbl></p:graphicFrame>",
        line("eGFR"),
        line("30")
    );
    let one = slide(
        "",
        &(shape("title", &line("Dosing"))
            + &shape("body", &(line("first") + "<a:p><a:pPr lvl='1'/><a:r><a:t>deeper</a:t></a:r></a:p>"))
            + &table
            + &shape("ftr", &line("Footer"))),
    );
    let two = slide("", &shape("ctrTitle", &line("Welcome")));
    let three = slide(" show='0'", &shape("title", &line("Hidden")));
    let notes = format!(
        "<p:notes xmlns:p='p' xmlns:a='a'><p:spTree>{}{}</p:spTree></p:notes>",
        shape("sldNum", &line("1")),
        shape("body", &line("say slowly"))
    );
    let to_notes = relations(&[("r1", "notesSlide", "../notesSlides/n1.xml")]);
    let parts = [
        ("_rels/.rels", root.as_str()),
        ("ppt/presentation.xml", show),
        ("ppt/_rels/presentation.xml.rels", own.as_str()),
        ("ppt/slides/slide1.xml", one.as_str()),
        ("ppt/slides/_rels/slide1.xml.rels", to_notes.as_str()),
        ("ppt/slides/slide2.xml", two.as_str()),
        ("ppt/slides/slide3.xml", three.as_str()),
        ("ppt/notesSlides/n1.xml", notes.as_str()),
    ];
    let documents = load("a.pptx", packed(&parts));
    let texts: Vec<&str> = documents.iter().map(|doc| doc.text.as_str()).collect();
    assert_eq!(texts, ["# Welcome", "# Dosing\n\nfirst\n  deeper\n\n| eGFR | 30 |\n\nNotes: say slowly"]);
    assert_eq!((documents[1].title.as_str(), &documents[1].metadata["slide"]), ("Dosing", &2.into()));
    assert!(documents[1].id.ends_with("a.pptx#slide=2"));
}

// EPUB 3.3, sections 4 and 5.
#[test]
fn books_in_reading_order() {
    let container =
        "<container xmlns='c'><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>";
    let book = "<package xmlns='o'><metadata xmlns:dc='d'><dc:title>The Book</dc:title><dc:creator>Ann</dc:creator></metadata><manifest>\
        <item id='a' href='one%20two.xhtml'/><item id='b' href='b.xhtml'/><item id='n' href='nav.xhtml' properties='nav'/></manifest>\
        <spine><itemref idref='b'/><itemref idref='n'/><itemref idref='a'/></spine></package>";
    let parts = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
        ("OEBPS/book.opf", book),
        ("OEBPS/b.xhtml", "<html><body><h1>First</h1><p>begin</p></body></html>"),
        ("OEBPS/one two.xhtml", "<html><body><p>end</p></body></html>"),
        ("OEBPS/nav.xhtml", "<html><body>contents</body></html>"),
    ];
    let documents = load("a.epub", packed(&parts));
    let texts: Vec<&str> = documents.iter().map(|doc| doc.text.as_str()).collect();
    assert_eq!(texts, ["# First\n\nbegin", "end"]);
    assert!(documents[1].id.ends_with("a.epub#chapter=3"), "{}", documents[1].id);
    assert_eq!((documents[0].title.as_str(), &documents[0].metadata["author"]), ("The Book", &"Ann".into()));
    assert_eq!(documents[0].metadata["chapter_title"], "First");
}

// RFC 5322, 2045 to 2047.
#[test]
fn mails_with_their_attachments() {
    let mail = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@example.org, Ben <b@example.org>\r\nDate: Thu, 29 Feb 2024 10:15:00 +0100\r\n\
        Subject: =?iso-8859-1?Q?Gr=F6=DFe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; charset=windows-1251\r\nContent-Transfer-Encoding: base64\r\n\r\nzOXy\r\n\
        --c\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--c--\r\n\
        --b\r\nContent-Type: text/markdown; name=n.md\r\nContent-Disposition: attachment; filename=n.md\r\n\r\n# Notes\r\nattached\r\n\
        --b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\nxx\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\n";
    let documents = load("a.eml", mail);
    assert_eq!((documents[0].text.as_str(), documents[0].title.as_str()), ("Мет", "Größe"));
    let known = &documents[0].metadata;
    assert_eq!(known["from"], "Jürgen <j@example.org>");
    assert_eq!(known["to"], "a@example.org, Ben <b@example.org>");
    assert_eq!(known["date"], "2024-02-29T10:15:00+01:00");
    assert_eq!(known["attachments"][0], "n.md");
    assert!(documents[1].id.ends_with("a.eml#attachment=1"), "{}", documents[1].id);
    assert!(documents[1].text.contains("attached") && documents[1].metadata["attachment"] == "n.md");
    assert_eq!((documents[2].text.as_str(), documents[2].title.as_str()), ("inside", "inner"));
    assert_eq!(documents.len(), 3);
    // A form that says nothing is none; a part that is broken does not take the others along.
    let forms = "Subject: s\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>words</p>\r\n--b--\r\n";
    assert_eq!(load("a.eml", forms)[0].text, "words");
    let parts = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nabc$%&\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nwords\r\n--b--\r\n";
    assert_eq!(load("a.eml", parts)[0].text, "words");
    let bad = "Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\nabc$%&";
    assert_eq!(code("a.eml", bad, &LoadOptions::default()), "load_failed");
    // What declares no encoding is in the one that it looks like.
    for head in [
        "",
        "Content-Type: text/plain; charset=us-ascii\r\n",
        "Content-Type: text/plain; charset=unknown-8bit\r\n",
    ] {
        let mail = format!("Subject: s\r\n{head}\r\n");
        assert_eq!(load("a.eml", [mail.as_bytes(), "Größe".as_bytes()].concat())[0].text, "Größe", "{head}");
        assert_eq!(load("a.eml", [mail.as_bytes(), b"Gr\xF6\xDFe"].concat())[0].text, "Größe", "{head}");
    }
    // Rows that have ids of their own are told apart by them.
    let rows = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/csv; name=t.csv\r\n\r\nid,text\r\n7,first\r\n8,second\r\n,third\r\n--b--\r\n";
    let rows: Vec<String> = load("a.eml", rows).into_iter().map(|document| document.id).collect();
    let marks: Vec<&str> =
        rows.iter().filter_map(|id| id.split_once("#attachment=1#")).map(|(_, m)| m).collect();
    assert_eq!(marks, ["id=7", "id=8", "row=3"]);
    let html = load("a.eml", "Subject: s\r\nContent-Type: text/html\r\n\r\n<p>only <b>html</b></p>");
    assert_eq!(html[0].text, "only **html**");
    assert_eq!(code("a.eml", "", &LoadOptions::default()), "load_failed");
}

#[test]
fn packed_files_stay_within_their_limit() {
    let limits = LoadOptions { max_bytes: 1_000_000, ..LoadOptions::default() };
    let big = " ".repeat(5_000_000);
    for name in ["a.docx", "a.xlsx", "a.pptx", "a.epub"] {
        let parts =
            ["word/document.xml", "xl/sharedStrings.xml", "ppt/presentation.xml", "META-INF/container.xml"];
        let bomb = packed(&parts.map(|part| (part, big.as_str())));
        assert_eq!(code(name, bomb, &limits), "too_large", "{name}");
        assert_eq!(code(name, "PK nonsense", &limits), "load_failed", "{name}");
        assert_eq!(code(name, packed(&[("x", "y")]), &limits), "load_failed", "{name}");
        assert_eq!(code(name, [0xD0, 0xCF, 0x11, 0xE0, 0, 0], &limits), "load_failed", "{name}");
    }
    let deep = format!(
        "<w:document><w:body>{}{}</w:body></w:document>",
        "<w:p>".repeat(5000),
        "</w:p>".repeat(5000)
    );
    assert_eq!(code("a.docx", packed(&[("word/document.xml", &deep)]), &limits), "load_failed");
}

// ECMA-376, part 1, 21.2 (charts) within 20.4 (drawings), part 3 (alternative content).
#[test]
fn a_chart_is_there_once_wherever_it_stands() {
    let chart = "<w:drawing><c:chart r:id='c'/></w:drawing>";
    let boxed = format!(
        "<w:p><w:r><w:drawing><wps:txbx><w:txbxContent>{}<w:p><w:r>{chart}</w:r></w:p></w:txbxContent></wps:txbx>\
         </w:drawing></w:r></w:p>",
        p("In the box")
    );
    let twice = "<w:p><w:r><w:drawing><g><mc:AlternateContent><mc:Choice><c:chart r:id='c'/></mc:Choice>\
        <mc:Fallback><c:chart r:id='c'/></mc:Fallback></mc:AlternateContent></g></w:drawing></w:r></w:p>";
    let words =
        "<c:chartSpace><c:title><a:p><a:r><a:t>Quarterly sales</a:t></a:r></a:p></c:title></c:chartSpace>";
    for (body, want) in [(boxed.as_str(), "In the box\n\nQuarterly sales"), (twice, "Quarterly sales")] {
        let document = docx(body, &[("c", "chart", "charts/c.xml")], &[("word/charts/c.xml", words)]);
        assert_eq!(document.text, want);
    }
}

#[test]
fn what_is_made_of_packed_files_stays_within_their_limit() {
    let limits = LoadOptions { max_bytes: 1_000_000, ..LoadOptions::default() };
    let root = relations(&[("r1", "officeDocument", "word/document.xml")]);
    // A number of 20,000 letters before each of 200 words.
    let numbering = format!(
        "<w:numbering xmlns:w='w'><w:abstractNum w:abstractNumId='0'><w:lvl w:ilvl='0'><w:lvlText w:val='{}'/></w:lvl>\
         </w:abstractNum><w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num></w:numbering>",
        "A".repeat(20_000)
    );
    let item = "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr></w:pPr><w:r><w:t>x</w:t></w:r></w:p>";
    let body = word(&format!("<w:tbl><w:tr><w:tc>{}</w:tc></w:tr></w:tbl>", item.repeat(200)));
    let numbered = packed(&[
        ("_rels/.rels", root.as_str()),
        ("word/document.xml", body.as_str()),
        ("word/numbering.xml", numbering.as_str()),
    ]);
    assert_eq!(code("a.docx", numbered, &limits), "too_large");
    // A document that is shown ten times within another.
    let inner =
        packed(&[("_rels/.rels", root.as_str()), ("word/document.xml", &word(&p(&"word ".repeat(40_000))))]);
    let own = relations(&[("c", "aFChunk", "inner.docx")]);
    let outer = word(&"<w:altChunk r:id='c'/>".repeat(10));
    let nested = packed_bytes(&[
        ("_rels/.rels", root.as_bytes()),
        ("word/_rels/document.xml.rels", own.as_bytes()),
        ("word/document.xml", outer.as_bytes()),
        ("word/inner.docx", inner.as_slice()),
    ]);
    assert_eq!(code("a.docx", nested, &limits), "too_large");
    // A title of 20,000 letters that goes with each of 200 slides, and of 200 chapters.
    let title = "T".repeat(20_000);
    let show = format!(
        "<p:presentation xmlns:r='r'><p:sldIdLst>{}</p:sldIdLst></p:presentation>",
        "<p:sldId id='1' r:id='s'/>".repeat(200)
    );
    let slides = packed(&[
        (
            "_rels/.rels",
            &relations(&[("r1", "officeDocument", "ppt/show.xml"), ("r2", "core-properties", "core.xml")]),
        ),
        ("core.xml", &format!("<c><title>{title}</title></c>")),
        ("ppt/show.xml", &show),
        ("ppt/_rels/show.xml.rels", &relations(&[("s", "slide", "s.xml")])),
        ("ppt/s.xml", "<sld><sp><txBody><p><r><t>hello</t></r></p></txBody></sp></sld>"),
    ]);
    assert_eq!(code("a.pptx", slides, &limits), "too_large");
    let book = format!(
        "<package><metadata><title>{title}</title></metadata><manifest><item id='c' href='c.html'/></manifest>\
         <spine>{}</spine></package>",
        "<itemref idref='c'/>".repeat(200)
    );
    let chapters = packed(&[
        ("META-INF/container.xml", "<container><rootfile full-path='b.opf'/></container>"),
        ("b.opf", &book),
        ("c.html", "<p>hello</p>"),
    ]);
    assert_eq!(code("a.epub", chapters, &limits), "too_large");
    // Attachments for which there is no room are left out.
    let mut mail = b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        .to_vec();
    for _ in 0..10 {
        mail.extend(
            b"--b\r\nContent-Type: application/zip; name=a.docx\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        );
        mail.extend(&inner);
        mail.extend(b"\r\n");
    }
    mail.extend(b"--b--\r\n");
    let documents = load_with("a.eml", mail, &limits);
    let whole: usize = documents.iter().map(|document| document.text.len()).sum();
    assert_eq!(documents[0].text, "hello");
    assert!(documents.len() > 2 && whole < 1_000_000, "{} documents, {whole} bytes", documents.len());
}

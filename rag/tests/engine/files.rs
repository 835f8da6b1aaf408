//! Do files and folders become documents, all or none, and are the bad ones named?

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common::{open, options};
use quorate_core::{Cancel, Code};
use quorate_rag::{
    FileOptions, KnowledgeBase, Mode, OnError, OpenOptions, SearchOptions, SyncOptions, WriteOptions,
};

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

struct Place {
    folder: tempfile::TempDir,
    kb: KnowledgeBase,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(&folder.path().join("kb"));
        Place { folder, kb }
    }

    fn files(&self) -> std::path::PathBuf {
        self.folder.path().join("files")
    }

    fn pattern(&self, name: &str) -> String {
        self.files().join(name).display().to_string()
    }
}

fn skip() -> FileOptions {
    let write = WriteOptions { on_error: OnError::Skip, ..WriteOptions::default() };
    FileOptions { write, ..FileOptions::default() }
}

#[test]
fn folders_globs_and_files() {
    let place = Place::new();
    let files = place.files();
    let note = write(&files, "note.md", "---\nyear: 2024\n---\n# Metformin\nRenal failure.");
    write(&files, "deep/er/page.html", "<title>Insulin</title><p>Adjust the dose.</p>");
    write(&files, "table.csv", "id,text,year\nr1,first row,2020\nr2,second row,2021\n");
    let image = write(&files, "deep/scan.png", [1, 2, 3]);
    write(&files, ".hidden.txt", "not this one");
    let told: Arc<Mutex<Vec<(usize, usize)>>> = Arc::default();
    let progress: Arc<quorate_rag::Progress> = Arc::new({
        let told = told.clone();
        move |done, total| told.lock().unwrap().push((done, total))
    });
    let write = WriteOptions { progress: Some(progress), ..WriteOptions::default() };
    let options = FileOptions { write, ..FileOptions::default() };
    // The note is meant twice and read once.
    let patterns = [place.pattern("*.md"), files.display().to_string()];
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let report = place.kb.add_files(&patterns, &options).unwrap();
    assert_eq!(report.added, 4);
    let skipped: Vec<(&str, Code)> = report.skipped.iter().map(|s| (s.id.as_str(), s.error.code())).collect();
    assert_eq!(skipped, [(image.as_str(), Code::Unsupported)]);
    let told = told.lock().unwrap();
    assert_eq!(told.last(), Some(&(4, 4)));
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let stored = place.kb.get(&note).unwrap();
    assert_eq!(
        (stored.title.as_str(), &stored.metadata["year"], stored.source.as_str()),
        ("Metformin", &2024.into(), note.as_str())
    );
    assert_eq!(place.kb.get("r2").unwrap().metadata["year"], 2021);
    let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
    assert_eq!(place.kb.search("adjust", &lexical).unwrap()[0].title(), "Insulin");

    // The same again changes nothing, whenever the files were touched; what says something else is refused, or replaced.
    let pattern = files.display().to_string();
    let version = place.kb.stats().unwrap().version;
    std::fs::File::options().write(true).open(&note).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    for report in [
        place.kb.add_files(&[&pattern], &FileOptions::default()).unwrap(),
        place.kb.upsert_files(&[&pattern], &FileOptions::default()).unwrap(),
    ] {
        assert_eq!((report.added, report.replaced, report.unchanged, report.version), (0, 0, 4, version));
    }
    assert_eq!(place.kb.stats().unwrap().version, version);
    std::fs::write(&note, "# Metformin\nWith food.").unwrap();
    let error = place.kb.add_files(&[&pattern], &FileOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::DuplicateId);
    assert!(error.message().contains(files.to_str().unwrap()));
    let report = place.kb.upsert_files(&[&pattern], &FileOptions::default()).unwrap();
    assert_eq!((report.added, report.replaced, report.unchanged), (0, 1, 3));
    assert!(place.kb.get(&note).unwrap().text.contains("With food"));
}

#[test]
fn a_broken_file_stops_everything_or_is_listed() {
    let place = Place::new();
    let files = place.files();
    for i in 0..40 {
        write(&files, &format!("good{i:02}.txt"), format!("number{i}"));
    }
    let broken = write(&files, "good20.pdf", "no PDF at all");
    let rows =
        write(&files, "rows.jsonl", "{\"id\": \"x\", \"text\": \"a\"}\n{\"id\": \"x\", \"text\": \"b\"}\n");
    let pattern = files.display().to_string();
    let error = place.kb.add_files(&[&pattern], &FileOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::LoadFailed);
    assert!(error.message().contains(&broken), "{error}");
    assert_eq!(place.kb.count(None).unwrap(), 0);

    let report = place.kb.add_files(&[&pattern], &skip()).unwrap();
    assert_eq!(report.added, 41);
    let broken_one = &report.skipped[0];
    assert_eq!((broken_one.id.as_str(), broken_one.error.code()), (broken.as_str(), Code::LoadFailed));
    let row = &report.skipped[1];
    assert_eq!((row.id.as_str(), row.error.code(), row.index), ("x", Code::DuplicateId, 41));
    assert!(row.error.message().contains(&rows), "{}", row.error);
    assert_eq!(place.kb.count(None).unwrap(), 41);
}

#[test]
fn what_the_caller_names_must_be_there_and_readable() {
    let place = Place::new();
    let files = place.files();
    let image = write(&files, "scan.png", [1]);
    let text = write(&files, "a.txt", "a text");
    let code =
        |patterns: &[&str], options: &FileOptions| place.kb.add_files(patterns, options).unwrap_err().code();
    assert_eq!(code(&[&text, &image], &FileOptions::default()), Code::Unsupported);
    assert_eq!(code(&[&text, &place.pattern("*.nothing")], &skip()), Code::NotFound);
    assert_eq!(code(&[&place.pattern("[")], &skip()), Code::InvalidArgument);
    assert_eq!(place.kb.count(None).unwrap(), 0);
    let report = place.kb.add_files(&[&text, &image], &skip()).unwrap();
    assert_eq!((report.added, report.skipped.len()), (1, 1));
    let cancel = Cancel::new();
    cancel.cancel();
    let write = WriteOptions { cancel, on_error: OnError::Skip, ..WriteOptions::default() };
    assert_eq!(code(&[&text], &FileOptions { write, ..FileOptions::default() }), Code::Cancelled);
    let past = place.kb.at(place.kb.stats().unwrap().version).unwrap();
    assert_eq!(past.add_files(&[&text], &skip()).unwrap_err().code(), Code::ReadOnly);
}

/// The ids below the folder of the files, in order.
fn names(place: &Place) -> Vec<String> {
    let root = format!("{}/", place.files().display());
    let mut ids: Vec<String> =
        place.kb.ids().unwrap().iter().map(|id| id.strip_prefix(&root).unwrap_or(id).to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn batches_are_kept_and_a_second_run_goes_on() {
    let place = Place::new();
    let files = place.files();
    let rows = |bad: usize| -> String {
        (0..95)
            .map(|i| {
                if i == bad {
                    "no JSON\n".into()
                } else {
                    format!("{{\"id\": \"r{i}\", \"text\": \"row {i}\"}}\n")
                }
            })
            .collect()
    };
    write(&files, "a.txt", "first");
    write(&files, "rows.jsonl", rows(57));
    write(&files, "z.txt", "last");
    let pattern = files.display().to_string();
    let options = FileOptions { batch: 10, ..FileOptions::default() };
    let error = place.kb.add_files(&[&pattern], &options).unwrap_err();
    assert!(error.message().contains("line 58"), "{error}");
    // Five commits of ten; the batch with the error is not stored.
    assert_eq!(place.kb.count(None).unwrap(), 50);
    assert_eq!(place.kb.versions().unwrap().len(), 6);
    write(&files, "rows.jsonl", rows(95));
    let report = place.kb.add_files(&[&pattern], &options).unwrap();
    assert_eq!((report.added, report.unchanged), (47, 50));
    assert_eq!(place.kb.count(None).unwrap(), 97);
    assert_eq!(report.version, place.kb.stats().unwrap().version);

    // A cancelled run keeps its batches too.
    let other = Place::new();
    write(&other.files(), "rows.jsonl", rows(95));
    let cancel = Cancel::new();
    let progress: Arc<quorate_rag::Progress> = Arc::new({
        let cancel = cancel.clone();
        move |_, _| cancel.cancel()
    });
    write(&other.files(), "s.txt", "text");
    write(&other.files(), "t.txt", "text");
    let write_options = WriteOptions { cancel, progress: Some(progress), ..WriteOptions::default() };
    let options = FileOptions { write: write_options, batch: 95, ..FileOptions::default() };
    let rows = other.pattern("rows.jsonl");
    let both = [rows, other.pattern("*.txt")];
    let error = other.kb.add_files(&both, &options).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    assert_eq!(other.kb.count(None).unwrap(), 95);
    let zero = FileOptions { batch: 0, ..FileOptions::default() };
    assert_eq!(other.kb.add_files(&both, &zero).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn one_bad_row_is_left_out_and_ids_of_the_call_stay_unique() {
    let place = Place::new();
    let files = place.files();
    let table = write(&files, "t.csv", "id,text,city\na,x,Lund\nb,y, z,Graz\nc,w\na,again,Cork\n");
    assert_eq!(place.kb.add_files(&[&table], &FileOptions::default()).unwrap_err().code(), Code::LoadFailed);
    assert_eq!(place.kb.count(None).unwrap(), 0);
    for batch in [1, 1000] {
        let place = Place::new();
        let report = place.kb.add_files(&[&table], &FileOptions { batch, ..skip() }).unwrap();
        assert_eq!(names(&place), ["a", "c"]);
        let codes: Vec<Code> = report.skipped.iter().map(|one| one.error.code()).collect();
        assert_eq!(codes, [Code::LoadFailed, Code::DuplicateId]);
    }
}

#[test]
fn what_a_file_no_longer_holds_is_gone() {
    let place = Place::new();
    let files = place.files();
    let table = write(&files, "t.csv", "text\none\ntwo\nthree\n");
    let lines =
        write(&files, "l.jsonl", "{\"id\": \"x\", \"text\": \"a\"}\n{\"id\": \"y\", \"text\": \"b\"}\n");
    let others = write(&files, "m.jsonl", "{\"id\": \"z\", \"text\": \"c\"}\n");
    let own = quorate_rag::Document::new("own", "a note on this file").source(&table);
    place.kb.add(vec![own]).unwrap();
    let all = [&table, &lines, &others];
    place.kb.upsert_files(&all, &FileOptions::default()).unwrap();
    std::fs::write(&table, "text\none\nTWO\n").unwrap();
    // A row that moves to another file is not gone, whichever is read first.
    std::fs::write(&lines, "{\"id\": \"z\", \"text\": \"c\"}\n").unwrap();
    std::fs::write(&others, "{\"id\": \"y\", \"text\": \"b\"}\n").unwrap();
    let report = place.kb.upsert_files(&all, &FileOptions::default()).unwrap();
    assert_eq!((report.added, report.replaced, report.unchanged, report.deleted), (0, 3, 1, 2));
    assert_eq!(names(&place), ["own", "t.csv#row=1", "t.csv#row=2", "y", "z"]);
    // With a row that cannot be read nobody knows what is gone.
    std::fs::write(&table, "text\none,\"\nTWO,3\n").unwrap();
    std::fs::write(&table, "text\none\nTWO,3,4\n").unwrap();
    let report = place.kb.upsert_files(&[&table], &skip()).unwrap();
    assert_eq!((report.unchanged, report.deleted, report.skipped.len()), (1, 0, 1));
    std::fs::write(&table, "text\n").unwrap();
    assert_eq!(place.kb.upsert_files(&[&table], &FileOptions::default()).unwrap().deleted, 2);
    assert_eq!(names(&place), ["own", "y", "z"]);
}

#[test]
fn a_folder_is_synchronised() {
    let place = Place::new();
    let files = place.files();
    write(&files, "a.md", "# A\nfirst");
    write(&files, "sub/b.txt", "second");
    write(&files, "c.txt", "third");
    let outside = write(place.folder.path(), "elsewhere/d.txt", "fourth");
    place.kb.add(vec![quorate_rag::Document::new("own", "not of a file")]).unwrap();
    place.kb.add_files(&[&outside], &FileOptions::default()).unwrap();
    let options = SyncOptions::default();
    let pattern = place.pattern("**/*");
    let sync = |options: &SyncOptions| {
        let report = place.kb.sync_files(&[&pattern], options).unwrap();
        (report.added, report.updated, report.unchanged, report.deleted)
    };
    assert_eq!(sync(&options), (3, 0, 0, 0));
    let version = place.kb.stats().unwrap().version;
    assert_eq!(sync(&options), (0, 0, 3, 0));
    assert_eq!(place.kb.stats().unwrap().version, version);
    std::fs::remove_file(files.join("c.txt")).unwrap();
    write(&files, "a.md", "# A\nchanged");
    write(&files, "e.txt", "fifth");
    let keep = SyncOptions { delete_missing: false, ..SyncOptions::default() };
    assert_eq!(sync(&keep), (1, 1, 1, 0));
    assert_eq!(sync(&options), (0, 0, 3, 1));
    assert_eq!(place.kb.count(None).unwrap(), 5);
    // A file that is gone can be named itself; one that never was cannot.
    std::fs::remove_file(files.join("e.txt")).unwrap();
    let report = place.kb.sync_files(&[place.pattern("e.txt")], &options).unwrap();
    assert_eq!((report.deleted, report.unchanged), (1, 0));
    let error = place.kb.sync_files(&[place.pattern("never.txt")], &options).unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    // An empty folder says that all is gone; one that is not there says nothing.
    std::fs::remove_dir_all(&files).unwrap();
    let error = place.kb.sync_files(&[&pattern], &options).unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(place.kb.count(None).unwrap(), 4);
    std::fs::create_dir(&files).unwrap();
    assert_eq!(sync(&options), (0, 0, 0, 2));
    let mut left = place.kb.ids().unwrap();
    left.sort();
    assert_eq!(left, [outside, "own".to_owned()]);
}

#[test]
fn ids_begin_below_a_root_wherever_it_lies() {
    let place = Place::new();
    let (first, second) = (place.files(), place.folder.path().join("moved"));
    write(&first, "sub/a.txt", "one");
    write(&first, "t.csv", "text\ntwo\nthree\n");
    write(&first, "gone.txt", "four");
    let metadata = serde_json::json!({"team": "x", "file_type": "note"}).as_object().unwrap().clone();
    let options = |root: &Path| SyncOptions {
        files: FileOptions {
            root: Some(root.to_owned()),
            metadata: metadata.clone(),
            ..FileOptions::default()
        },
        ..SyncOptions::default()
    };
    let report = place.kb.sync_files(&[&first], &options(&first)).unwrap();
    assert_eq!((report.added, report.deleted), (4, 0));
    let want = ["gone.txt", "sub/a.txt", "t.csv#row=1", "t.csv#row=2"];
    assert_eq!(names(&place), want);
    let stored = place.kb.get("sub/a.txt").unwrap();
    assert_eq!(stored.source, first.join("sub/a.txt").display().to_string());
    assert_eq!((&stored.metadata["team"], &stored.metadata["file_type"]), (&"x".into(), &"note".into()));
    // Another folder with a file of the same name below another root would take its place.
    let other = place.folder.path().join("other");
    write(&other, "sub/a.txt", "another one");
    let error = place.kb.sync_files(&[&other], &options(&other)).unwrap_err();
    assert_eq!(error.code(), Code::DuplicateId);
    assert_eq!(names(&place), want);
    // The folder is moved, and a file is lost on the way.
    std::fs::rename(&first, &second).unwrap();
    std::fs::remove_file(second.join("gone.txt")).unwrap();
    let report = place.kb.sync_files(&[&second], &options(&second)).unwrap();
    assert_eq!((report.added, report.updated, report.deleted), (0, 3, 1));
    assert_eq!(names(&place), want[1..]);
    assert!(place.kb.get("sub/a.txt").unwrap().source.starts_with(second.to_str().unwrap()));
}

#[test]
fn parts_of_files_do_not_take_each_others_place() {
    let place = Place::new();
    let book = |word: &str| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let page = format!("<p>{word}</p>");
        for (name, text) in [
            ("META-INF/container.xml", "<container><rootfile full-path='b.opf'/></container>"),
            (
                "b.opf",
                "<package><manifest><item id='c' href='c.html'/></manifest><spine><itemref idref='c'/></spine></package>",
            ),
            ("c.html", page.as_str()),
        ] {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut archive, text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    let options = |root: &Path| SyncOptions {
        files: FileOptions { root: Some(root.to_owned()), ..FileOptions::default() },
        ..SyncOptions::default()
    };
    let (first, other) = (place.files(), place.folder.path().join("other"));
    write(&first, "a.epub", book("one"));
    write(&other, "a.epub", book("another"));
    assert_eq!(place.kb.sync_files(&[&first], &options(&first)).unwrap().added, 1);
    let error = place.kb.sync_files(&[&other], &options(&other)).unwrap_err();
    assert_eq!(error.code(), Code::DuplicateId);
    assert_eq!(place.kb.get("a.epub#chapter=1").unwrap().text, "one");
    // The folder is moved, and its book is lost on the way.
    let moved = place.folder.path().join("moved");
    std::fs::rename(&first, &moved).unwrap();
    write(&moved, "b.txt", "two");
    std::fs::remove_file(moved.join("a.epub")).unwrap();
    let report = place.kb.sync_files(&[&moved], &options(&moved)).unwrap();
    assert_eq!((report.added, report.deleted), (1, 1));
    assert_eq!(names(&place), ["b.txt"]);
}

#[cfg(unix)]
#[test]
fn odd_names_links_and_what_may_not_be_read() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let place = Place::new();
    let files = place.files();
    std::fs::create_dir(&files).unwrap();
    for (i, name) in [&b"caf\xe9.txt"[..], b"caf\xe8.txt", b"[draft] 100% done?.txt", b"line\nbreak.txt"]
        .iter()
        .enumerate()
    {
        std::fs::write(files.join(std::ffi::OsStr::from_bytes(name)), format!("note {i}")).unwrap();
    }
    let report = place.kb.add_files(&[&files], &FileOptions::default()).unwrap();
    assert_eq!((report.added, report.skipped.len()), (4, 0));
    let uri = format!("file://{}/caf%E9.txt", files.display());
    assert!(names(&place).contains(&uri), "{:?}", names(&place));
    let odd = files.join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt"));
    assert_eq!(place.kb.add_files(&[&odd], &FileOptions::default()).unwrap().unchanged, 1);
    std::fs::remove_file(&odd).unwrap();
    assert_eq!(place.kb.sync_files(&[&files], &SyncOptions::default()).unwrap().deleted, 1);

    let secret = write(place.folder.path(), "outside/secret.txt", "not for everyone");
    symlink(place.folder.path().join("outside"), files.join("link")).unwrap();
    symlink(&files, files.join("loop")).unwrap();
    let report = place.kb.add_files(&[&files], &FileOptions::default()).unwrap();
    assert_eq!((report.added, report.unchanged), (0, 3));
    assert_eq!(report.skipped.len(), 1);
    assert!(report.skipped[0].id.ends_with("/link") && report.skipped[0].error.code() == Code::Unsupported);
    let follow = FileOptions { follow_links: true, ..FileOptions::default() };
    let report = place.kb.add_files(&[&files], &follow).unwrap();
    assert_eq!((report.added, report.unchanged, report.skipped.len()), (1, 3, 0));
    assert!(names(&place).contains(&"link/secret.txt".to_owned()));
    drop(secret);
}

/// As a user who may not look into a folder; the tests may run as one who may look into all.
#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_not_said_to_be_absent() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const PLACE: &str = "QUORATE_TEST_FORBIDDEN";
    if let Some(place) = std::env::var_os(PLACE) {
        let place = std::path::PathBuf::from(place);
        let code = |name: &str| quorate_rag::load::expand(place.join(name)).unwrap_err().code();
        assert_eq!(code("closed/a.txt"), Code::PermissionDenied);
        assert_eq!(code("closed"), Code::PermissionDenied);
        assert_eq!(code("closed/*.txt"), Code::PermissionDenied);
        assert_eq!(code("**/*"), Code::PermissionDenied);
        let error = quorate_rag::load::load_file(place.join("shut.txt"), &Default::default()).unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    write(folder.path(), "closed/a.txt", "x");
    let shut = write(folder.path(), "shut.txt", "x");
    std::fs::set_permissions(folder.path().join("closed"), std::fs::Permissions::from_mode(0)).unwrap();
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0)).unwrap();
    let name = "files::what_may_not_be_read_is_not_said_to_be_absent";
    // Where the test itself lies may be closed to others, so it is copied.
    let program = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["--exact", name]).env(PLACE, folder.path()).current_dir("/");
    // SAFETY: getuid reads a number.
    if unsafe { libc::getuid() } == 0 {
        command.uid(65534).gid(65534);
    }
    let done = command.output().unwrap();
    std::fs::set_permissions(folder.path().join("closed"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 passed"));
}

#[test]
fn rebuilding_the_indexes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let document = |i: usize| quorate_rag::Document::new(i.to_string(), format!("number{i}"));
    kb.add((0..2500).map(document).collect()).unwrap();
    kb.close().unwrap();
    let reopen = || {
        let told: Arc<Mutex<Vec<(usize, usize)>>> = Arc::default();
        let progress: Arc<quorate_rag::Progress> = Arc::new({
            let told = told.clone();
            move |done, total| told.lock().unwrap().push((done, total))
        });
        let options = OpenOptions { progress: Some(progress), ..options() };
        let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), options).unwrap();
        assert_eq!(kb.count(None).unwrap(), 2500);
        kb.close().unwrap();
        told.lock().unwrap().clone()
    };
    assert!(reopen().is_empty(), "nothing is built when the indexes are there");
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert_eq!(reopen(), [(0, 2500), (1000, 2500), (2000, 2500), (2500, 2500)]);
}

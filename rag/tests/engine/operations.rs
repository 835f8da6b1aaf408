//! Do those who run a knowledge base get what they need: tenants that leave, copies, a verdict on what is stored, another
//! embedder, a knowledge base in memory?

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Words, open, options};
use quorate_core::{Cancel, Code};
use quorate_rag::{
    Chunk, CopyOptions, Document, KnowledgeBase, Mode, OpenOptions, Part, ReembedOptions, SearchOptions,
};

fn numbered(range: std::ops::Range<usize>) -> Vec<Document> {
    range
        .map(|i| Document::new(format!("{i}"), format!("number{i} of many")).metadata_field("i", i as i64))
        .collect()
}

/// What a reader gets to see: every document, and what is found.
fn seen(kb: &KnowledgeBase) -> (Vec<Document>, Vec<(String, String)>) {
    let documents = kb.ids().unwrap().iter().map(|id| kb.get(id).unwrap()).collect();
    let mut found = Vec::new();
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        let hits =
            kb.search("number3 many", &SearchOptions { mode, k: 5, ..SearchOptions::default() }).unwrap();
        found.extend(hits.iter().map(|hit| (hit.doc_id().to_owned(), format!("{:.6}", hit.score()))));
    }
    (documents, found)
}

fn copy() -> CopyOptions {
    CopyOptions::default()
}

fn text(path: PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_knowledge_base_in_memory_does_all_that_one_in_a_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let before: Vec<_> = std::fs::read_dir(&here).unwrap().flatten().map(|e| e.file_name()).collect();
    let (stored, memory) = (open(&folder.path().join("kb")), KnowledgeBase::in_memory(options()).unwrap());
    for kb in [&stored, &memory] {
        // Beyond what is kept as it comes: the maintenance has something to do.
        kb.add(numbered(0..4500)).unwrap();
        for i in 0..80 {
            kb.upsert(vec![Document::new(format!("{i}"), format!("number{i} of many, again"))]).unwrap();
        }
        kb.delete(&["7", "4000"]).unwrap();
        kb.tenant("acme").unwrap().add(numbered(0..3)).unwrap();
    }
    assert_eq!(seen(&stored), seen(&memory));
    assert_eq!(memory.stats().unwrap().documents, 4498);
    let version = memory.versions().unwrap()[1].version;
    assert_eq!(memory.at(version).unwrap().count(None).unwrap(), 4500);
    memory.compact().unwrap();
    assert_eq!(seen(&stored).0, seen(&memory).0);
    assert_eq!(memory.tenants().unwrap(), ["acme"]);
    assert!(memory.verify(&copy()).unwrap().ok);
    // Two of them share nothing.
    let other = KnowledgeBase::in_memory(options()).unwrap();
    assert_eq!(other.count(None).unwrap(), 0);
    assert_eq!(other.tenants().unwrap(), Vec::<String>::new());
    memory.close().unwrap();
    assert_eq!(memory.count(None).unwrap_err().code(), Code::Closed);
    let after: Vec<_> = std::fs::read_dir(&here).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(before.len(), after.len(), "{after:?}");
    let refused = KnowledgeBase::in_memory(OpenOptions { read_only: true, ..options() }).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[test]
fn places_that_are_no_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "").unwrap();
    std::fs::create_dir(at("half")).unwrap();
    std::fs::write(at("half").join("truth"), "").unwrap();
    #[cfg(unix)]
    for (name, to) in [("dangling", "nowhere"), ("loop1", "loop2"), ("loop2", "loop1")] {
        std::os::unix::fs::symlink(at(to), at(name)).unwrap();
    }
    let mut cases = vec![(text(at("file")), "is a file"), (text(at("file").join("below")), "is a file")];
    cases.push((text(at("half")), "truth is a file"));
    if cfg!(unix) {
        cases.extend(
            ["dangling", "dangling/below", "loop1"]
                .map(|name| (text(at(name)), "is a link that leads to nothing")),
        );
    }
    cases.push((String::new(), "the place is empty"));
    cases.push(("a\0b".to_owned(), "NUL"));
    for (place, expected) in cases {
        for read_only in [false, true] {
            let error = KnowledgeBase::open(&place, OpenOptions { read_only, ..options() }).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{place}: {error}");
            assert!(error.message().contains(expected), "{place}: {error}");
        }
    }
    assert!(!at("nowhere").exists());
    let absent = KnowledgeBase::open(text(at("absent")), OpenOptions { read_only: true, ..options() });
    assert_eq!(absent.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_tenant_that_is_dropped_is_gone_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(numbered(0..3)).unwrap();
    for name in ["acme", "Z\u{fc}rich/..", "b"] {
        kb.tenant(name).unwrap().add(numbered(0..30)).unwrap();
    }
    // Who has written nothing is none yet.
    let silent = kb.tenant("silent").unwrap();
    assert_eq!(kb.tenants().unwrap(), ["Z\u{fc}rich/..", "acme", "b"]);
    kb.compact().unwrap();
    let reader =
        KnowledgeBase::open(text(folder.path().to_owned()), OpenOptions { read_only: true, ..options() })
            .unwrap();
    let theirs = reader.tenant("acme").unwrap();
    let acme = kb.tenant("acme").unwrap();
    assert_eq!((acme.count(None).unwrap(), theirs.count(None).unwrap()), (30, 30));

    assert_eq!(acme.drop_tenant("acme").unwrap_err().code(), Code::TenantViolation);
    assert_eq!(acme.tenants().unwrap_err().code(), Code::TenantViolation);
    assert_eq!(reader.drop_tenant("acme").unwrap_err().code(), Code::ReadOnly);
    assert_eq!(kb.drop_tenant("nobody").unwrap_err().code(), Code::NotFound);
    assert_eq!(kb.drop_tenant("silent").unwrap_err().code(), Code::NotFound);
    assert_eq!(kb.drop_tenant("").unwrap_err().code(), Code::InvalidArgument);

    kb.drop_tenant("acme").unwrap();
    assert_eq!(kb.tenants().unwrap(), ["Z\u{fc}rich/..", "b"]);
    assert_eq!((acme.count(None).unwrap(), kb.tenant("acme").unwrap().count(None).unwrap()), (0, 0));
    assert_eq!(acme.get("1").unwrap_err().code(), Code::UnknownId);
    assert_eq!(acme.versions().unwrap(), vec![]);
    let left: Vec<PathBuf> =
        walk(folder.path()).into_iter().filter(|path| text(path.clone()).contains("61636d65")).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    // A reader keeps what it shows until it looks again.
    assert_eq!(theirs.count(None).unwrap(), 30);
    assert!(theirs.refresh().unwrap());
    assert_eq!(theirs.count(None).unwrap(), 0);

    // The name can be used again, by old handles too, and nothing of before comes back.
    acme.add(numbered(50..52)).unwrap();
    assert!(theirs.refresh().unwrap());
    assert_eq!(
        (theirs.ids().unwrap(), acme.ids().unwrap()),
        (vec!["50".to_owned(), "51".to_owned()], acme.ids().unwrap())
    );
    kb.drop_tenant("acme").unwrap();
    acme.add(numbered(60..61)).unwrap();
    assert!(theirs.refresh().unwrap(), "another table of the same name and version");
    assert_eq!(theirs.ids().unwrap(), ["60"]);
    silent.add(numbered(0..1)).unwrap();
    kb.close().unwrap();
    let kb = open(folder.path());
    assert_eq!(kb.tenants().unwrap(), ["Z\u{fc}rich/..", "acme", "b", "silent"]);
    assert_eq!(kb.tenant("acme").unwrap().ids().unwrap(), ["60"]);
    assert_eq!((kb.tenant("b").unwrap().count(None).unwrap(), kb.count(None).unwrap()), (30, 3));
    assert!(kb.verify(&copy()).unwrap().ok);
}

#[test]
fn tenants_are_dropped_at_once_while_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let names: Vec<String> = (0..4).map(|n| format!("tenant{n}")).collect();
    let reading = OpenOptions { read_only: true, ..options() };
    let reader = KnowledgeBase::open(text(folder.path().to_owned()), reading).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let dropping: Vec<_> = names
            .iter()
            .map(|name| {
                let tenant = kb.tenant(name).unwrap();
                let kb = &kb;
                scope.spawn(move || {
                    for _ in 0..15 {
                        tenant.add(numbered(0..3)).unwrap();
                        kb.drop_tenant(name).unwrap();
                        assert_eq!(tenant.count(None).unwrap(), 0);
                    }
                })
            })
            .collect();
        for name in &names {
            let (tenant, done) = (reader.tenant(name).unwrap(), &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    tenant.refresh().unwrap();
                    let found = tenant.ids().unwrap().len();
                    assert!(found == 0 || found == 3, "{found}");
                }
            });
        }
        let ended: Vec<_> = dropping.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    assert_eq!(kb.tenants().unwrap(), Vec::<String>::new());
    assert!(!walk(folder.path()).iter().any(|path| text(path.clone()).contains("removed-")));
}

#[test]
fn a_tenant_that_cannot_be_read_can_be_dropped_and_a_drop_that_was_interrupted_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.tenant("acme").unwrap().add(numbered(0..9)).unwrap();
    kb.close().unwrap();
    let truth = folder.path().join("truth");
    let table = truth.join("tenant_61636d65.lance");
    for path in walk(&table.join("data")) {
        std::fs::write(path, "damaged").unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    // So ends a process in the middle of a removal.
    std::fs::create_dir(truth.join("removed-0")).unwrap();
    std::fs::write(truth.join("removed-0").join("part"), "x").unwrap();
    let index = |tenant: &str| folder.path().join("index").join(format!("tenant_{tenant}"));
    for tenant in ["61636d65", "6f74686572"] {
        std::fs::create_dir_all(index(tenant)).unwrap();
        std::fs::write(index(tenant).join("catalog.bin"), "texts").unwrap();
    }
    let kb = open(folder.path());
    assert!(!truth.join("removed-0").exists() && !index("6f74686572").exists());
    // The index of a tenant that is there stays.
    assert!(index("61636d65").exists());
    assert!(kb.tenant("acme").is_err());
    kb.drop_tenant("acme").unwrap();
    assert!(!table.exists() && kb.tenants().unwrap().is_empty());
    kb.tenant("acme").unwrap().add(numbered(0..1)).unwrap();
}

#[test]
fn a_backup_is_whole_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(&folder.path().join("kb"));
    kb.add(numbered(0..500)).unwrap();
    kb.update_metadata("3", serde_json::Map::new()).unwrap();
    kb.delete(&["4"]).unwrap();
    kb.tenant("acme").unwrap().add(numbered(0..20)).unwrap();
    let versions = kb.versions().unwrap();
    let still = text(folder.path().join("still"));
    let report = kb.backup(&still, &copy()).unwrap();
    assert_eq!((report.tenants, report.documents), (1, 519));
    let copied = open(Path::new(&still));
    assert_eq!(seen(&copied), seen(&kb));
    assert_eq!(copied.versions().unwrap(), versions);
    assert_eq!(copied.at(versions[1].version).unwrap().count(None).unwrap(), 500);
    assert_eq!(copied.tenant("acme").unwrap().count(None).unwrap(), 20);
    assert!(copied.verify(&copy()).unwrap().ok);
    // The two go their own ways.
    copied.add(numbered(900..901)).unwrap();
    assert_eq!(kb.count(None).unwrap(), 499);
    copied.close().unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (kb, stop) = (kb.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut n = 1000;
            while !stop.load(Ordering::Acquire) {
                kb.add(numbered(n..n + 2)).unwrap();
                kb.delete(&[&n.to_string()]).unwrap();
                n += 2;
                if n % 60 == 0 {
                    kb.compact().unwrap();
                }
            }
        })
    };
    for i in 0..6 {
        let acknowledged = kb.ids().unwrap();
        let place = text(folder.path().join(format!("moving{i}")));
        kb.backup(&place, &copy()).unwrap();
        let copied = open(Path::new(&place));
        let there = copied.ids().unwrap();
        // Only documents of even numbers from 1000 on are deleted again.
        let lost: Vec<&String> = acknowledged
            .iter()
            .filter(|id| !there.contains(id))
            .filter(|id| id.parse::<usize>().is_ok_and(|n| n < 1000 || n % 2 == 1))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
        let report = copied.verify(&copy()).unwrap();
        assert!(report.ok, "{report:?}");
    }
    stop.store(true, Ordering::Release);
    writer.join().unwrap();
}

#[test]
fn copies_refuse_places_that_are_taken_and_leave_nothing_when_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("kb");
    let kb = open(&home);
    kb.add(numbered(0..300)).unwrap();
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
        entries.map(|entry| entry.file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full").join("x"), "").unwrap();
    let before = names();
    let embedder = || OpenOptions::with_embedder(Words::new(32));
    for place in [home.clone(), home.join("below"), folder.path().join("full"), folder.path().join("full/x")]
    {
        let refused = kb.backup(&text(place.clone()), &copy()).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let refused = kb.reembed(&text(place), embedder(), &ReembedOptions::default()).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let acme = kb.tenant("acme").unwrap();
    let to = text(folder.path().join("to"));
    assert_eq!(acme.backup(&to, &copy()).unwrap_err().code(), Code::TenantViolation);
    assert_eq!(
        acme.reembed(&to, embedder(), &ReembedOptions::default()).unwrap_err().code(),
        Code::TenantViolation
    );
    let nothing = kb.reembed(&to, OpenOptions::default(), &ReembedOptions::default()).unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
    let stopping = || {
        let cancel = Cancel::new();
        let progress: Arc<quorate_rag::Progress> = {
            let cancel = cancel.clone();
            Arc::new(move |_, _| cancel.cancel())
        };
        CopyOptions { progress: Some(progress), cancel }
    };
    assert_eq!(kb.backup(&to, &stopping()).unwrap_err().code(), Code::Cancelled);
    let stopped = ReembedOptions { copy: stopping(), ..ReembedOptions::default() };
    assert_eq!(kb.reembed(&to, embedder(), &stopped).unwrap_err().code(), Code::Cancelled);
    assert_eq!(names(), before, "what was begun is gone");
    // An empty folder is as good as none.
    std::fs::create_dir(folder.path().join("to")).unwrap();
    kb.backup(&to, &copy()).unwrap();
    assert_eq!(open(Path::new(&to)).count(None).unwrap(), 300);
    // Links and dots say where a place is, no more.
    #[cfg(unix)]
    {
        let at = |name: &str| text(folder.path().join(name));
        std::fs::create_dir(at("empty")).unwrap();
        std::os::unix::fs::symlink(at("empty"), at("to-empty")).unwrap();
        std::os::unix::fs::symlink(at("kb"), at("to-kb")).unwrap();
        for inside in ["to-kb/copy", "empty/../kb/copy", "kb/copy", "none/at/.."] {
            let refused = kb.backup(&at(inside), &copy()).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{inside}: {refused}");
        }
        for beside in ["to-empty", "kb/../beside", "new/er/"] {
            kb.backup(&at(beside), &copy()).unwrap();
            assert_eq!(open(Path::new(&at(beside))).count(None).unwrap(), 300, "{beside}");
        }
    }
}

#[test]
fn what_is_in_memory_can_be_kept_and_a_past_version_too() {
    let folder = tempfile::tempdir().unwrap();
    let memory = KnowledgeBase::in_memory(options()).unwrap();
    memory.add(numbered(0..600)).unwrap();
    memory.delete(&["5"]).unwrap();
    memory.tenant("acme").unwrap().add(numbered(0..7)).unwrap();
    let to = text(folder.path().join("kept"));
    let report = memory.backup(&to, &copy()).unwrap();
    assert_eq!((report.tenants, report.documents), (1, 606));
    let kept = open(Path::new(&to));
    assert_eq!(seen(&kept), seen(&memory));
    assert_eq!(kept.tenant("acme").unwrap().ids().unwrap(), memory.tenant("acme").unwrap().ids().unwrap());
    let past = kept.at(kept.versions().unwrap()[1].version).unwrap();
    let then = text(folder.path().join("then"));
    past.backup(&then, &copy()).unwrap();
    assert_eq!(open(Path::new(&then)).ids().unwrap(), past.ids().unwrap());
}

#[test]
fn another_embedder_embeds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(&folder.path().join("kb"));
    kb.add(numbered(0..600)).unwrap();
    let mut own = Document::new("own", "cut by its author into two");
    own.chunks = Some(vec![
        Chunk { range: 0..13, headings: vec!["h".to_owned()], vector: None },
        Chunk { range: 14..26, ..Chunk::default() },
    ]);
    let headed = Document::new("headed", "# Kidneys\n\nMetformin.\n\n## Liver\n\nSafe.");
    kb.add(vec![own, headed]).unwrap();
    let headings = |kb: &KnowledgeBase| -> Vec<Vec<String>> {
        kb.get("headed").unwrap().chunks.unwrap().into_iter().map(|chunk| chunk.headings).collect()
    };
    assert_eq!(headings(&kb)[0], ["Kidneys"]);
    kb.tenant("acme").unwrap().add(numbered(0..5)).unwrap();
    for keep_chunks in [true, false] {
        let to = text(folder.path().join(format!("other-{keep_chunks}")));
        let options = ReembedOptions { keep_chunks, ..ReembedOptions::default() };
        let report = kb.reembed(&to, OpenOptions::with_embedder(Words::new(48)), &options).unwrap();
        assert_eq!((report.tenants, report.documents), (1, 607));
        let other = KnowledgeBase::open(&to, OpenOptions::with_embedder(Words::new(48))).unwrap();
        assert_eq!(headings(&other), headings(&kb));
        assert_eq!(other.stats().unwrap().dim, 48);
        assert_eq!(other.ids().unwrap(), kb.ids().unwrap());
        let cut = other.get("own").unwrap().chunks.unwrap();
        assert_eq!(cut.len(), if keep_chunks { 2 } else { 1 });
        assert_eq!(cut.iter().all(|c| c.vector.as_ref().is_some_and(|v| v.len() == 48)), true);
        let alike = KnowledgeBase::open(
            text(folder.path().join(format!("alike-{keep_chunks}"))),
            OpenOptions::with_embedder(Words::new(48)),
        )
        .unwrap();
        alike.add(numbered(0..600)).unwrap();
        assert_eq!(other.get("3").unwrap(), alike.get("3").unwrap());
        assert_eq!(other.tenant("acme").unwrap().count(None).unwrap(), 5);
        assert_eq!(kb.stats().unwrap().documents, 602);
    }
}

/// All documents that a tenant has in the truth, read without the indexes.
fn stored(place: &Path, tenant: Option<&str>) -> Vec<Document> {
    let folder = tempfile::tempdir().unwrap();
    for path in walk(place).into_iter().filter(|path| !path.starts_with(place.join("index"))) {
        let to = folder.path().join(path.strip_prefix(place).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&path, &to).unwrap();
    }
    let kb = open(folder.path());
    let kb = tenant.map_or(kb.clone(), |name| kb.tenant(name).unwrap());
    kb.ids().unwrap().iter().map(|id| kb.get(id).unwrap()).collect()
}

#[test]
fn what_is_not_as_it_was_written_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(numbered(0..60)).unwrap();
    kb.delete(&["8"]).unwrap();
    kb.tenant("acme").unwrap().add(numbered(0..20)).unwrap();
    kb.compact().unwrap();
    kb.add(numbered(60..70)).unwrap();
    kb.close().unwrap();
    let sound = open(folder.path()).verify(&copy()).unwrap();
    assert!(sound.ok && sound.problems.is_empty(), "{sound:?}");
    assert_eq!((sound.tenants, sound.documents), (2, 89));
    let there = [stored(folder.path(), None), stored(folder.path(), Some("acme"))];
    let flip = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 0x10;
        std::fs::write(path, bytes).unwrap();
    };
    let one = |part: &str, needle: &str| {
        let mut files: Vec<PathBuf> = walk(&folder.path().join(part))
            .into_iter()
            .filter(|path| text(path.clone()).contains(needle))
            .collect();
        files.sort_unstable();
        files[0].clone()
    };
    // Damage that comes while it is open, as a disk makes it.
    for (part, needle, tenant, expected) in [
        ("index/tenant_61636d65", "catalog.bin", Some("acme"), Part::Index),
        ("index/documents", "vectors.f32", None, Part::Index),
        ("truth/documents.lance/data", ".lance", None, Part::Documents),
        ("truth/tenant_61636d65.lance/data", ".lance", Some("acme"), Part::Documents),
    ] {
        let kb = open(folder.path());
        if let Some(name) = tenant {
            kb.tenant(name).unwrap();
        }
        let damaged = one(part, needle);
        let size = std::fs::metadata(&damaged).unwrap().len() as usize;
        // From end to end. A byte may stand between two columns, where it says nothing: then all is read as it was.
        let mut noticed = Vec::new();
        for at in (0..40).map(|n| n * (size - 1) / 39) {
            flip(&damaged, at);
            let report = kb.verify(&copy()).unwrap();
            if report.ok {
                assert_eq!(
                    stored(folder.path(), tenant),
                    there[tenant.is_some() as usize],
                    "{damaged:?} {at}"
                );
            } else {
                noticed.push((at, report));
            }
            flip(&damaged, at);
            let report = kb.verify(&copy()).unwrap();
            assert!(report.ok, "mended at {at}: {report:?}");
        }
        assert!(noticed.len() >= 20, "{damaged:?}: {} of 40", noticed.len());
        let (at, report) = noticed.swap_remove(0);
        let problem = &report.problems[0];
        assert_eq!(
            (problem.part, problem.tenant.as_deref(), problem.code.as_str()),
            (expected, tenant, "corrupt"),
            "{report:?}"
        );
        let name = damaged.file_name().unwrap().to_str().unwrap();
        assert!(report.problems.iter().any(|one| one.message.contains(name)), "{name}: {report:?}");
        // A tenant is told of its own alone.
        if tenant.is_none() {
            flip(&damaged, at);
            assert!(kb.tenant("acme").unwrap().verify(&copy()).unwrap().ok);
            flip(&damaged, at);
        }
        kb.close().unwrap();
    }
}

/// A reader that has not looked again since the writer pruned what it sees, beside one more tenant that is gone.
#[test]
fn what_a_writer_has_pruned_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(numbered(0..20)).unwrap();
    for name in ["acme", "gone"] {
        kb.tenant(name).unwrap().add(numbered(0..5)).unwrap();
    }
    let reading = || OpenOptions { read_only: true, ..options() };
    let reader = KnowledgeBase::open(folder.path().to_str().unwrap(), reading()).unwrap();
    let (acme, gone) = (reader.tenant("acme").unwrap(), reader.tenant("gone").unwrap());
    kb.upsert(numbered(5..25)).unwrap();
    kb.delete(&["3"]).unwrap();
    kb.compact().unwrap();
    kb.tenant("acme").unwrap().delete(&["0"]).unwrap();
    kb.tenant("acme").unwrap().compact().unwrap();
    let report = reader.verify(&copy()).unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.tenants, report.documents), (3, 24 + 4 + 5));
    // What the reader sees has not changed.
    assert_eq!((reader.count(None).unwrap(), acme.count(None).unwrap()), (20, 5));
    kb.drop_tenant("gone").unwrap();
    let report = gone.verify(&copy()).unwrap();
    assert!(report.ok && report.documents == 0, "{report:?}");
    assert!(kb.verify(&copy()).unwrap().ok);
    // A version that nobody pruned is damage as before.
    let versions = folder.path().join("truth/documents.lance/_versions");
    let newest = std::fs::read_dir(&versions)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "manifest"))
        .min()
        .unwrap();
    std::fs::remove_file(newest).unwrap();
    let report = kb.verify(&copy()).unwrap();
    assert!(report.problems.iter().any(|problem| problem.part == Part::Documents), "{report:?}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => out.extend(walk(&entry.path())),
            false => out.push(entry.path()),
        }
    }
    out
}

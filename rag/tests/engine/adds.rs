//! Do thousands of single additions stay cheap on disk? `QUORATE_TORTURE_ADDS` sets how many.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::options;
use quorate_rag::{Document, Durability, KnowledgeBase, Mode, OpenOptions, SearchOptions};

fn files(folder: &Path) -> (usize, u64) {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (count, bytes) = match entry.path().is_dir() {
            true => files(&entry.path()),
            // A file can go while it is looked at.
            false => (1, entry.metadata().map_or(0, |meta| meta.len())),
        };
        sum = (sum.0 + count, sum.1 + bytes);
    }
    sum
}

fn document(i: usize) -> Document {
    Document::new(i.to_string(), format!("number{i} of many single additions, each a commit of its own"))
        .metadata_field("n", i as i64)
}

#[test]
fn single_additions_do_not_pile_up() {
    let adds: usize = std::env::var("QUORATE_TORTURE_ADDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let options = || OpenOptions { durability: Durability::Process, keep_versions: 10, ..options() };
    let kb = KnowledgeBase::open(at("one"), options()).unwrap();
    let mut times = Vec::with_capacity(adds);
    let mut most = 0;
    for i in 0..adds {
        let start = Instant::now();
        kb.add(vec![document(i)]).unwrap();
        times.push(start.elapsed());
        if i % 50 == 49 {
            most = most.max(files(&folder.path().join("one")).0);
        }
    }
    // Each addition makes three files in the truth. They are merged in groups, and of the past little is kept.
    assert!(most < 600, "{most} files");
    assert!(kb.stats().unwrap().segments < 40);
    let p50 = |times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2].as_secs_f64() * 1e3
    };
    let part = adds.div_ceil(10);
    let before = files(&folder.path().join("one"));
    kb.compact().unwrap();
    kb.close().unwrap();
    let one = files(&folder.path().join("one"));

    let fresh = KnowledgeBase::open(at("fresh"), options()).unwrap();
    fresh.add((0..adds).map(document).collect()).unwrap();
    fresh.compact().unwrap();
    fresh.close().unwrap();
    let whole = files(&folder.path().join("fresh"));
    println!(
        "{adds} additions: p50 {:.2} ms of the first tenth, {:.2} ms of the last; at most {most} files; \
         {} bytes before compact, {} after, {} of a fresh build",
        p50(&times[..part]),
        p50(&times[adds - part..]),
        before.1,
        one.1,
        whole.1
    );
    assert!(one.1 <= 2 * whole.1, "{} bytes after compact, {} of a fresh build", one.1, whole.1);

    let kb = KnowledgeBase::open(at("one"), options()).unwrap();
    assert_eq!(kb.count(None).unwrap(), adds);
    for i in [0, adds / 2, adds - 1] {
        let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
        assert_eq!(kb.search(&format!("number{i}"), &lexical).unwrap()[0].doc_id(), i.to_string());
    }
}

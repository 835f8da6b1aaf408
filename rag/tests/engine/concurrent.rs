//! Do readers see a consistent state while a writer works? `QUORATE_TORTURE_SECONDS` sets how long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{open, options};
use quorate_rag::{Document, Durability, Filter, KnowledgeBase, Mode, OpenOptions, SearchOptions};

#[test]
fn eight_readers_during_writes() {
    let seconds: u64 =
        std::env::var("QUORATE_TORTURE_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let folder = tempfile::tempdir().unwrap();
    let fast = OpenOptions { durability: Durability::Process, ..options() };
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), fast).unwrap();
    let tenants = [kb.tenant("a").unwrap(), kb.tenant("b").unwrap()];
    let batch = |tenant: usize, n: usize| -> Vec<Document> {
        (0..20)
            .map(|i| {
                Document::new(format!("{n}-{i}"), format!("common words of tenant{tenant} number{n}"))
                    .metadata_field("tenant", tenant as i64)
                    .metadata_field("batch", n as i64)
            })
            .collect()
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..8usize {
            let (done, tenants) = (&done, &tenants);
            scope.spawn(move || {
                let tenant = reader % 2;
                let kb = &tenants[tenant];
                let mode = [Mode::Hybrid, Mode::Lexical, Mode::Dense][reader % 3];
                let mut searches = 0;
                while !done.load(Ordering::Relaxed) {
                    let filter = (reader >= 4).then(|| Filter::parse("batch >= 0").unwrap());
                    let options = SearchOptions { mode, k: 50, filter, ..SearchOptions::default() };
                    let hits = match kb.search("common words", &options) {
                        Ok(hits) => hits,
                        Err(e) => panic!("{mode:?}: {e}"),
                    };
                    for hit in &hits {
                        assert_eq!(hit.metadata()["tenant"], tenant);
                        assert!(hit.text().contains(&format!("tenant{tenant}")));
                        hit.explain().unwrap();
                    }
                    // Batches come and go as a whole.
                    assert_eq!(kb.count(None).unwrap() % 20, 0);
                    searches += 1;
                }
                assert!(searches > 0);
            });
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut n = 0;
        while Instant::now() < until {
            for (t, kb) in tenants.iter().enumerate() {
                kb.add(batch(t, n)).unwrap();
                if n % 5 == 4 {
                    let gone = Filter::parse(&format!("batch = {}", n - 3)).unwrap();
                    assert_eq!(kb.delete_where(&gone).unwrap(), 20);
                }
                if n % 40 == 39 {
                    kb.compact().unwrap();
                }
            }
            n += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
    let counts: Vec<usize> = tenants.iter().map(|kb| kb.count(None).unwrap()).collect();
    kb.close().unwrap();
    let kb = open(folder.path());
    for (t, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(kb.tenant(name).unwrap().count(None).unwrap(), counts[t]);
    }
}

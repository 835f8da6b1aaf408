//! Do readers see a consistent state while a writer works? `QUORATE_TORTURE_SECONDS` sets how long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::common::{Words, open, options};
use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Result};
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

/// Does something once while it embeds a text that says `pause`.
struct Pausing {
    words: Arc<dyn Embed>,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Embed for Pausing {
    fn id(&self) -> &str {
        self.words.id()
    }

    fn dim(&self) -> usize {
        self.words.dim()
    }

    fn max_tokens(&self) -> usize {
        self.words.max_tokens()
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        if texts.iter().any(|text| text.contains("pause")) {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            meanwhile.into_iter().for_each(|work| work());
        }
        self.words.embed(texts, cancel)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        self.words.embed_query(text)
    }

    fn tokenize(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        self.words.tokenize(text)
    }

    fn special_tokens(&self) -> usize {
        self.words.special_tokens()
    }
}

/// What a call finds stored as it is given is there when the call returns, also when another one changes it meanwhile: of
/// two batches one comes after the other.
#[test]
fn batches_come_one_after_the_other() {
    let model = Arc::new(Pausing { words: Words::new(32), meanwhile: Mutex::new(None) });
    let kb = KnowledgeBase::in_memory(OpenOptions::with_embedder(model.clone())).unwrap();
    let texts = |kb: &KnowledgeBase| -> Vec<String> {
        ["a", "b"].iter().map(|id| kb.get(id).map(|found| found.text).unwrap_or_default()).collect()
    };
    let changes: [fn(&KnowledgeBase); 3] = [
        |kb| drop(kb.upsert(vec![Document::new("a", "other"), Document::new("b", "other")]).unwrap()),
        |kb| assert_eq!(kb.delete(&["a", "b"]).unwrap(), 2),
        |kb| {
            let metadata = Document::new("", "").metadata_field("n", 1).metadata;
            kb.update_metadata("a", metadata).unwrap();
        },
    ];
    for change in changes {
        kb.upsert(vec![Document::new("a", "one"), Document::new("b", "one")]).unwrap();
        let other = kb.clone();
        *model.meanwhile.lock().unwrap() = Some(Box::new(move || change(&other)));
        let report = kb.upsert(vec![Document::new("a", "one"), Document::new("b", "pause")]).unwrap();
        assert_eq!((report.unchanged, report.added + report.replaced), (0, 2));
        assert_eq!(texts(&kb), ["one", "pause"]);
        assert!(kb.get("a").unwrap().metadata.is_empty());
        assert!(model.meanwhile.lock().unwrap().is_none());
    }
    let untouched = kb.upsert(vec![Document::new("a", "one"), Document::new("b", "pause again")]).unwrap();
    assert_eq!((untouched.unchanged, untouched.replaced), (1, 1));
}

/// Whoever asks while another thread closes is told all there is, or `closed`.
#[test]
fn calls_beside_close_find_all_or_say_so() {
    for _ in 0..100 {
        let kb = KnowledgeBase::in_memory(options()).unwrap();
        kb.add((0..5).map(|i| Document::new(i.to_string(), "shared")).collect()).unwrap();
        let version = kb.stats().unwrap().version;
        let calls: [&(dyn Fn() -> Result<bool> + Sync); 6] = [
            &|| Ok(kb.count(None)? == 5),
            &|| Ok(kb.get("3")?.text == "shared"),
            &|| Ok(kb.ids()?.len() == 5),
            &|| Ok(kb.versions()?.len() == 2),
            &|| Ok(kb.at(version)?.count(None)? == 5),
            &|| Ok(kb.search("shared", &SearchOptions::default())?.len() == 5),
        ];
        let begin = Barrier::new(calls.len() + 1);
        std::thread::scope(|scope| {
            for call in calls {
                let begin = &begin;
                scope.spawn(move || {
                    begin.wait();
                    loop {
                        match call() {
                            Ok(right) => assert!(right),
                            Err(error) => return assert_eq!(error.code(), Code::Closed, "{error}"),
                        }
                    }
                });
            }
            begin.wait();
            kb.close().unwrap();
        });
    }
}

//! Does the cache give back what was put in, whoever dies or writes beside it?

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::embed::{CachedEmbedder, Embed, EmbeddingCache};
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Result};

/// Counts how many texts it embedded; a vector tells length and first byte.
#[derive(Default)]
struct Counting {
    id: String,
    texts: AtomicUsize,
}

impl Embed for Counting {
    fn id(&self) -> &str {
        &self.id
    }
    fn dim(&self) -> usize {
        2
    }
    fn max_tokens(&self) -> usize {
        100
    }
    fn embed(&self, texts: &[&str], _: &Cancel) -> Result<Matrix> {
        self.texts.fetch_add(texts.len(), Ordering::SeqCst);
        let data = texts.iter().flat_map(|text| [text.len() as f32, f32::from(text.as_bytes()[0])]).collect();
        Matrix::new(data, texts.len(), 2)
    }
    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        self.texts.fetch_add(1, Ordering::SeqCst);
        Ok(vec![-1.0, text.len() as f32])
    }
    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        Ok(vec![0..text.len()])
    }
    fn special_tokens(&self) -> usize {
        0
    }
}

fn cached(
    folder: &std::path::Path,
    id: &str,
    max_bytes: u64,
) -> (Arc<Counting>, CachedEmbedder, EmbeddingCache) {
    let inner = Arc::new(Counting { id: id.into(), ..Default::default() });
    let cache = EmbeddingCache::open(folder, max_bytes).unwrap();
    (inner.clone(), CachedEmbedder::new(inner, cache.clone()), cache)
}

#[test]
fn texts_are_embedded_once() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, embedder, cache) = cached(folder.path(), "m", 1 << 20);
    let texts = ["a", "bb", "a", "ccc"];
    let first = embedder.embed(&texts, &Cancel::new()).unwrap();
    assert_eq!(first.row(2), [1.0, 97.0]);
    assert_eq!(inner.texts.load(Ordering::SeqCst), 3);
    assert_eq!(embedder.embed(&texts, &Cancel::new()).unwrap(), first);
    assert_eq!(inner.texts.load(Ordering::SeqCst), 3);
    // A query is another thing than a document.
    assert_eq!(embedder.embed_query("a").unwrap(), [-1.0, 1.0]);
    assert_eq!(embedder.embed_query("a").unwrap(), [-1.0, 1.0]);
    assert_eq!(inner.texts.load(Ordering::SeqCst), 4);
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.hits, stats.misses), (4, 5, 4));
    assert!((stats.hit_rate - 5.0 / 9.0).abs() < 1e-12);
    // Another process (here another handle) finds them; another model does not.
    let (inner, embedder, _) = cached(folder.path(), "m", 1 << 20);
    assert_eq!(embedder.embed(&texts, &Cancel::new()).unwrap(), first);
    assert_eq!(inner.texts.load(Ordering::SeqCst), 0);
    let (inner, embedder, _) = cached(folder.path(), "other", 1 << 20);
    embedder.embed(&texts, &Cancel::new()).unwrap();
    assert_eq!(inner.texts.load(Ordering::SeqCst), 3);
}

#[test]
fn damage_costs_vectors_never_truth() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..20).map(|i| format!("{i} text")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let want = cached(folder.path(), "m", 1 << 20).1.embed(&texts, &Cancel::new()).unwrap();
    let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&path).unwrap();
    let record = whole.len() / 20;
    // A torn tail (as after kill -9) loses one record; a flipped bit loses that record and those behind it.
    for (bytes, lost) in [
        (whole[..whole.len() - 7].to_vec(), 1),
        (
            {
                let mut b = whole.clone();
                b[record * 10 + 60] ^= 1;
                b
            },
            10,
        ),
        (Vec::new(), 20),
        (b"garbage".repeat(100), 20),
    ] {
        std::fs::remove_dir_all(folder.path()).unwrap();
        std::fs::create_dir(folder.path()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let (inner, embedder, _) = cached(folder.path(), "m", 1 << 20);
        assert_eq!(embedder.embed(&texts, &Cancel::new()).unwrap(), want);
        assert_eq!(inner.texts.load(Ordering::SeqCst), lost);
    }
}

#[test]
fn size_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 1 << 16;
    let (inner, embedder, cache) = cached(folder.path(), "m", limit);
    let texts: Vec<String> = (0..5000).map(|i| format!("{i}")).collect();
    for text in &texts {
        embedder.embed(&[text], &Cancel::new()).unwrap();
    }
    let size: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size <= limit + 100 && size > limit / 2, "{size}");
    assert_eq!(cache.stats().bytes, size);
    // The newest are still there.
    let before = inner.texts.load(Ordering::SeqCst);
    embedder.embed(&[texts[4999].as_str(), texts[4900].as_str()], &Cancel::new()).unwrap();
    assert_eq!(inner.texts.load(Ordering::SeqCst), before);
    assert!(EmbeddingCache::open(folder.path(), 10).is_err());
}

#[test]
fn threads_share_one_cache() {
    let folder = tempfile::tempdir().unwrap();
    let caches: Vec<EmbeddingCache> =
        (0..3).map(|_| EmbeddingCache::open(folder.path(), 1 << 20).unwrap()).collect();
    std::thread::scope(|scope| {
        for (n, cache) in caches.iter().enumerate() {
            scope.spawn(move || {
                let inner = Arc::new(Counting { id: "m".into(), ..Default::default() });
                let embedder = CachedEmbedder::new(inner, cache.clone());
                for i in 0..300 {
                    let text = format!("{} {}", i % 50, n % 2);
                    let got = embedder.embed(&[&text], &Cancel::new()).unwrap();
                    assert_eq!(got.row(0)[0], text.len() as f32);
                }
            });
        }
    });
}

/// Parent and child put and get at the same time; neither may read what the other moved, nor miss what the other kept.
#[cfg(unix)]
#[test]
fn a_forked_child_shares_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (_, embedder, _) = cached(folder.path(), "m", 1 << 24);
    let texts = |who: &str| (0..400).map(|i| format!("{who} {i}")).collect::<Vec<_>>();
    let embed = |texts: &[String]| {
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        embedder.embed(&refs, &Cancel::new()).unwrap()
    };
    let before = embed(&texts("before"));
    let right = |texts: &[String], rows: &Matrix| {
        texts
            .iter()
            .zip(rows.iter())
            .all(|(text, row)| row == [text.len() as f32, f32::from(text.as_bytes()[0])])
    };
    assert!(right(&texts("before"), &before));
    let work = |who: &str| {
        (0..20).all(|_| {
            let own = texts(who);
            right(&own, &embed(&own)) && right(&texts("before"), &embed(&texts("before")))
        })
    };
    // SAFETY: the child only embeds and leaves by `_exit`, without unwinding into the test's harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = work("child");
        // SAFETY: `_exit` ends the child without running what the parent registered.
        unsafe { libc::_exit(if done { 0 } else { 1 }) };
    }
    assert!(work("parent"));
    let mut status = 0;
    // SAFETY: `status` is a place for the child's status, and the child is this process's own.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    // Nothing that either has put in is lost to a new process.
    let (inner, embedder, _) = cached(folder.path(), "m", 1 << 24);
    for who in ["before", "parent", "child"] {
        let own = texts(who);
        let refs: Vec<&str> = own.iter().map(String::as_str).collect();
        assert!(right(&own, &embedder.embed(&refs, &Cancel::new()).unwrap()));
    }
    assert_eq!(inner.texts.load(Ordering::SeqCst), 0);
}

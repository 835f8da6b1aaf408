//! Do the readers of stored indexes survive bytes that were written wrongly?

use super::bytes::Bytes;
use super::dense::{DenseIndex, HnswConfig, HnswIndex};
use super::{Catalog, Vectors};
use crate::fuzz;
use quorate_store::{Record, Span};

fn record(id: &str, text: &str, cuts: &[u32]) -> Record {
    let ends = cuts.iter().copied().chain([text.len() as u32]);
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let headings = "[\"above\"]".to_owned();
    Record {
        id: id.to_owned(),
        title: "title".to_owned(),
        source: String::new(),
        metadata: "{\"year\": 2024}".to_owned(),
        text: text.to_owned(),
        chunks: starts
            .zip(ends)
            .map(|(start, end)| Span { start, end, headings: headings.clone() })
            .collect(),
        vectors: Vec::new(),
    }
}

#[test]
fn fuzz_catalog() {
    let records =
        [record("b", "some text of two", &[4, 9]), record("a", "größe", &[]), record("é", "x", &[])];
    let seeds: Vec<Vec<u8>> = [&records[..], &records[..1], &[]]
        .into_iter()
        .map(|records| Catalog::build(records.iter()).unwrap().as_bytes().to_vec())
        .collect();
    let opened = std::sync::atomic::AtomicUsize::new(0);
    fuzz::run(20_000, &seeds, &[], |bytes| {
        let Ok(catalog) = Catalog::open(Bytes::Owned(bytes)) else { return };
        opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut rows = 0;
        for doc in 0..catalog.docs() {
            let view = catalog.doc(doc);
            let _ = catalog.find(view.id);
            assert_eq!(catalog.spans(doc).len(), catalog.rows_of(doc).len());
            rows += catalog.rows_of(doc).len() as u32;
        }
        assert_eq!(rows, catalog.chunks());
        for row in 0..catalog.chunks() {
            assert!(catalog.doc_of(row) < catalog.docs());
            let _ = (catalog.chunk_text(row), catalog.headings(row));
        }
        assert_eq!(catalog.find("nothing of the kind"), None);
    });
    assert!(opened.into_inner() > 0, "no input came through");
}

#[test]
fn fuzz_vectors() {
    let seeds = [vec![0u8; 3 * 8 * 4]];
    fuzz::run(2000, &seeds, &[], |bytes| {
        let Ok(vectors) = Vectors::open(Bytes::Owned(bytes), 8, 3) else { return };
        let mut top = super::TopRows::new(2, f32::NEG_INFINITY);
        vectors.scan(&[0.5; 8], 0, None, &mut top);
        assert!(top.into_sorted().len() <= 2);
    });
}

/// The checksum is made to fit, so that what lies behind it is read.
#[test]
fn fuzz_graph() {
    const HASH: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed");
    let dim = 8;
    let vector = |i: usize| (0..dim).map(move |j| ((i * 31 + j * 17) % 101) as f32 / 50.0 - 1.0);
    let seeds: Vec<Vec<u8>> = [0usize, 1, 60]
        .into_iter()
        .map(|n| {
            let mut index = HnswIndex::new(dim, HnswConfig { m: 4, ..HnswConfig::default() }).unwrap();
            let rows: Vec<u32> = (0..n as u32).collect();
            let floats: Vec<f32> = (0..n).flat_map(vector).collect();
            index.insert(&rows, &floats, 1).unwrap();
            index.link(1).unwrap();
            index.save(&path, 7).unwrap();
            std::fs::read(&path).unwrap()
        })
        .collect();
    let seeds = &seeds;
    let opened = std::sync::atomic::AtomicUsize::new(0);
    fuzz::run(20_000, seeds, &[], |mut bytes| {
        // Changes of the length are all refused alike; mostly the original length is put back.
        if bytes.len() % 4 != 1
            && let Some(seed) =
                seeds.iter().max_by_key(|seed| seed.iter().zip(&bytes).take_while(|(a, b)| a == b).count())
        {
            let kept = bytes.len().min(seed.len());
            bytes.truncate(kept);
            bytes.extend_from_slice(&seed[kept..]);
        }
        if let Some(end) = bytes.len().checked_sub(HASH) {
            let hash = blake3::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(hash.as_bytes());
        }
        let Ok(index) = HnswIndex::load_bytes(&bytes) else { return };
        opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let query = vec![0.5; index.dim()];
        let _ = index.search(&query, 5, 0, None);
    });
    assert!(opened.into_inner() > 0, "no input came through");
}

//! Do all backends keep the contract?

use std::collections::BTreeSet;

use proptest::prelude::*;
use quorate_core::Code;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Unit vectors around `centres` random directions, as embeddings of texts on few topics lie.
fn clustered(n: usize, dim: usize, centres: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let directions: Vec<f32> = (0..centres * dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut all = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let c = rng.random_range(0..centres);
        let vector: Vec<f32> = directions[c * dim..(c + 1) * dim]
            .iter()
            .map(|x| x + 1.5 * rng.random_range(-1.0f32..1.0))
            .collect();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        all.extend(vector.iter().map(|x| x / norm));
    }
    all
}

fn brute(
    vectors: &[f32],
    dim: usize,
    rows: &[u32],
    query: &[f32],
    k: usize,
    admit: impl Fn(u32) -> bool,
) -> Vec<Neighbor> {
    let mut all: Vec<Neighbor> = rows
        .iter()
        .zip(vectors.chunks(dim))
        .filter(|(row, _)| admit(**row))
        .map(|(&row, v)| Neighbor {
            row,
            similarity: v.iter().zip(query).fold(0.0, |sum, (a, b)| sum + a * b),
        })
        .collect();
    all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.row.cmp(&b.row)));
    all.truncate(k);
    all
}

/// How much of what brute force finds was found; a row as near as the last counts as found.
fn recall(got: &[Neighbor], want: &[Neighbor]) -> f64 {
    let Some(last) = want.last() else { return 1.0 };
    let hits = got.iter().filter(|g| g.similarity >= last.similarity - 1e-6).count();
    hits.min(want.len()) as f64 / want.len() as f64
}

fn small() -> HnswConfig {
    HnswConfig { m: 8, ef_construction: 60, max_pending: 100, ..HnswConfig::default() }
}

/// Every backend, empty, with what it can do.
fn backends(dim: usize) -> Vec<(&'static str, Box<dyn DenseIndex>, bool)> {
    vec![
        ("flat", Box::new(FlatIndex::new(dim).unwrap()), true),
        ("hnsw int8", Box::new(HnswIndex::new(dim, small()).unwrap()), true),
        (
            "hnsw f32",
            Box::new(HnswIndex::new(dim, HnswConfig { precision: Precision::F32, ..small() }).unwrap()),
            true,
        ),
        #[cfg(feature = "hnsw-rs")]
        ("hnsw_rs", Box::new(HnswRsIndex::new(dim, small()).unwrap()), false),
    ]
}

#[test]
fn nearest_rows_are_found_with_and_without_filters() {
    let (n, dim) = (3000, 24);
    let vectors = clustered(n, dim, 30, 1);
    let queries = clustered(60, dim, 30, 1);
    let rows: Vec<u32> = (0..n as u32).map(|i| i * 2 + 1).collect();
    for (name, mut index, _) in backends(dim) {
        assert!(index.is_empty() && index.search(&queries[..dim], 3, 0, None).unwrap().is_empty());
        let half = n / 2;
        index.insert(&rows[..half], &vectors[..half * dim], 1).unwrap();
        index.insert(&rows[half..], &vectors[half * dim..], 2).unwrap();
        assert_eq!((index.len(), index.dim()), (n, dim), "{name}");
        for (share, modulus) in
            [("all", 1), ("half", 2), ("a tenth", 10), ("a hundredth", 100), ("four", 700)]
        {
            let admits = |row: u32| (row / 2) % modulus == modulus / 2;
            let admit: RowSet = rows.iter().copied().filter(|&row| admits(row)).collect();
            let filter = (modulus > 1).then_some(&admit);
            let mut sum = 0.0;
            for query in queries.chunks(dim) {
                let want = brute(&vectors, dim, &rows, query, 10, admits);
                let got = index.search(query, 10, 100, filter).unwrap();
                assert_eq!(got.len(), admit.count().min(10), "{name}, {share}");
                assert!(got.iter().all(|g| admits(g.row)), "{name}, {share}");
                let order = |a: &Neighbor, b: &Neighbor| {
                    a.similarity > b.similarity || (a.similarity == b.similarity && a.row < b.row)
                };
                assert!(got.windows(2).all(|w| order(&w[0], &w[1])), "{name}, {share}");
                sum += recall(&got, &want);
            }
            let mean = sum / 60.0;
            assert!(mean >= if name == "flat" { 1.0 } else { 0.99 }, "{name}, {share}: recall {mean}");
        }
        // More than there are, and none.
        assert_eq!(index.search(&queries[..dim], n + 5, 0, None).unwrap().len(), n, "{name}");
        assert!(index.search(&queries[..dim], 0, 0, None).unwrap().is_empty());
        assert!(index.search(&queries[..dim], 5, 0, Some(&RowSet::empty(10))).unwrap().is_empty());
        // A filter may speak of rows that are not there.
        let strangers: RowSet = [0, 1, 2, 9_000_000].into_iter().collect();
        let got = index.search(&queries[..dim], 5, 0, Some(&strangers)).unwrap();
        assert_eq!(got.iter().map(|g| g.row).collect::<Vec<_>>(), [1], "{name}");
    }
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    for (name, mut index, _) in backends(2) {
        index.insert(&[5], &[1.0, 0.0], 1).unwrap();
        let cases: [(&[u32], &[f32], Code); 6] = [
            (&[6], &[1.0], Code::InvalidShape),
            (&[6, 7], &[1.0, 0.0], Code::InvalidShape),
            (&[6, 7], &[0.0, 1.0, f32::NAN, 0.0], Code::NotFinite),
            (&[6], &[f32::INFINITY, 0.0], Code::NotFinite),
            (&[6, 5], &[0.0, 1.0, 0.0, 1.0], Code::DuplicateId),
            (&[6, 6], &[0.0, 1.0, 0.0, 1.0], Code::DuplicateId),
        ];
        for (rows, vectors, code) in cases {
            assert_eq!(index.insert(rows, vectors, 1).unwrap_err().code(), code, "{name}");
        }
        assert_eq!(index.insert(&[u32::MAX], &[0.0, 1.0], 1).unwrap_err().code(), Code::TooLarge);
        assert_eq!(index.insert(&[6], &[f32::MAX, f32::MAX], 1).unwrap_err().code(), Code::NotFinite);
        assert_eq!(index.search(&[1.0], 1, 0, None).unwrap_err().code(), Code::InvalidShape);
        assert_eq!(index.search(&[f32::NAN, 0.0], 1, 0, None).unwrap_err().code(), Code::NotFinite);
        assert_eq!(index.len(), 1, "{name}");
        index.insert(&[], &[], 1).unwrap();
        assert_eq!(index.search(&[1.0, 0.0], 9, 0, None).unwrap().len(), 1, "{name}");
    }
    assert_eq!(FlatIndex::new(0).err().map(|e| e.code()), Some(Code::InvalidArgument));
    let wild = HnswConfig { m: 1, ..HnswConfig::default() };
    assert_eq!(HnswIndex::new(2, wild).err().map(|e| e.code()), Some(Code::InvalidArgument));
}

#[test]
fn removed_rows_are_never_found() {
    let (n, dim) = (1200, 16);
    let vectors = clustered(n, dim, 20, 3);
    let rows: Vec<u32> = (0..n as u32).collect();
    for (name, mut index, removes) in backends(dim) {
        index.insert(&rows, &vectors, 1).unwrap();
        if !removes {
            assert_eq!(index.remove(3).unwrap_err().code(), Code::Unsupported, "{name}");
            continue;
        }
        for row in (0..n as u32).filter(|row| row % 3 != 0) {
            assert!(index.remove(row).unwrap(), "{name}");
            assert!(!index.remove(row).unwrap(), "{name}");
        }
        assert!(!index.remove(77_777).unwrap());
        assert_eq!(index.len(), n / 3);
        let mut sum = 0.0;
        for query in clustered(40, dim, 20, 3).chunks(dim) {
            let got = index.search(query, 10, 64, None).unwrap();
            assert!(got.len() == 10 && got.iter().all(|g| g.row % 3 == 0), "{name}");
            sum += recall(&got, &brute(&vectors, dim, &rows, query, 10, |row| row % 3 == 0));
        }
        assert!(sum / 40.0 >= 0.99, "{name}: {}", sum / 40.0);
        for row in (0..n as u32).filter(|row| row % 3 == 0) {
            index.remove(row).unwrap();
        }
        assert!(index.search(&vectors[..dim], 5, 0, None).unwrap().is_empty(), "{name}");
    }
}

#[test]
fn snapshots_come_back_whole_and_can_be_added_to() {
    let (n, dim) = (700, 12);
    let vectors = clustered(n + 200, dim, 9, 4);
    let rows: Vec<u32> = (0..n as u32 + 200).map(|i| i + 10).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dense");
    for (name, mut index, saves) in backends(dim) {
        index.insert(&rows[..n], &vectors[..n * dim], 1).unwrap();
        if !saves {
            assert_eq!(index.save(&path, 1).unwrap_err().code(), Code::Unsupported);
            continue;
        }
        index.remove(14).unwrap();
        // One more waits outside the graph.
        index.insert(&rows[n..n + 1], &vectors[n * dim..(n + 1) * dim], 1).unwrap();
        index.save(&path, 99).unwrap();
        let mut loaded: Box<dyn DenseIndex> = if name == "flat" {
            assert_eq!(HnswIndex::load(&path).err().map(|e| e.code()), Some(Code::FormatVersion));
            let (index, stamp) = FlatIndex::load(&path).unwrap();
            assert_eq!(stamp, 99);
            Box::new(index)
        } else {
            assert_eq!(FlatIndex::load(&path).err().map(|e| e.code()), Some(Code::FormatVersion));
            let (index, stamp) = HnswIndex::load(&path).unwrap();
            assert_eq!((stamp, index.config().m, index.removed(), index.is_connected()), (99, 8, 1, true));
            Box::new(index)
        };
        assert_eq!(loaded.len(), n);
        let queries = clustered(30, dim, 9, 4);
        for query in queries.chunks(dim) {
            let (a, b) =
                (index.search(query, 10, 0, None).unwrap(), loaded.search(query, 10, 0, None).unwrap());
            assert_eq!(a, b, "{name}");
        }
        // What was loaded goes on exactly as what was saved.
        for index in [&mut index, &mut loaded] {
            index.insert(&rows[n + 1..], &vectors[(n + 1) * dim..], 1).unwrap();
        }
        for query in queries.chunks(dim) {
            let (a, b) =
                (index.search(query, 10, 0, None).unwrap(), loaded.search(query, 10, 0, None).unwrap());
            assert_eq!(a, b, "{name}");
        }
        // Saving over the file that is mapped leaves both usable.
        loaded.save(&path, 100).unwrap();
        assert_eq!(loaded.search(&vectors[..dim], 1, 0, None).unwrap()[0].row, 10, "{name}");
        assert_eq!(index.search(&vectors[..dim], 1, 0, None).unwrap()[0].row, 10, "{name}");
    }
    assert_eq!(HnswIndex::load(&folder.path().join("none")).err().map(|e| e.code()), Some(Code::NotFound));
    let only: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(only, ["dense"], "no temporary file is left");
}

#[test]
fn an_empty_index_has_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dense");
    HnswIndex::new(3, HnswConfig::default()).unwrap().save(&path, 0).unwrap();
    let (mut index, _) = HnswIndex::load(&path).unwrap();
    assert!(index.is_empty());
    index.insert(&[0], &[1.0, 0.0, 0.0], 1).unwrap();
    index.link(1).unwrap();
    assert_eq!(index.search(&[1.0, 0.0, 0.0], 1, 0, None).unwrap()[0].row, 0);
}

/// An index of every kind of node: linked, twin, removed, waiting.
fn rich() -> HnswIndex {
    let dim = 8;
    let mut vectors = clustered(300, dim, 5, 6);
    vectors.extend_from_within(..40 * dim);
    vectors.extend_from_slice(&vec![0.0; 3 * dim]);
    let rows: Vec<u32> = (0..343).collect();
    let mut index = HnswIndex::new(dim, small()).unwrap();
    index.insert(&rows, &vectors, 1).unwrap();
    index.remove(17).unwrap();
    index.insert(&[400], &vectors[..dim], 1).unwrap();
    index
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_snapshots_are_corrupt_or_equal(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        sign in any::<bool>(),
        head in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dense");
        let index = rich();
        index.save(&path, 5).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        for (at, value) in flips {
            let len = if head { 96 } else { bytes.len() };
            let at = at.index(len);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if sign && bytes.len() > 32 {
            // An attacker can compute the checksum too.
            let end = bytes.len() - 32;
            let hash = blake3::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(hash.as_bytes());
        }
        std::fs::write(&path, &bytes).unwrap();
        match HnswIndex::load(&path) {
            Err(e) => prop_assert!(matches!(e.code(), Code::Corrupt | Code::FormatVersion), "{e}"),
            Ok((mut loaded, _)) => {
                // Only a file that was signed may differ; it must still be safe to use.
                prop_assert!(sign || bytes == whole);
                let query = [0.3; 8];
                if loaded.dim() == 8 {
                    let _ = loaded.search(&query, 10, 0, None);
                    let _ = loaded.search(&query, 10, 0, Some(&(0..200).collect()));
                    let _ = loaded.insert(&[90_000], &query, 1);
                    let _ = loaded.link(1);
                }
            }
        }
    }

    #[test]
    fn random_operations_agree_with_a_plain_list(
        operations in prop::collection::vec((0u8..10, any::<u16>()), 1..60),
        dim in 1usize..6,
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Few values, so that equal and zero vectors abound.
        let mut vector = || -> Vec<f32> { (0..dim).map(|_| rng.random_range(-1i32..=1) as f32).collect() };
        let mut all = backends(dim);
        let (mut rows, mut vectors, mut live): (Vec<u32>, Vec<f32>, BTreeSet<u32>) = Default::default();
        for (what, value) in operations {
            match what {
                0..=5 => {
                    let n = 1 + value % 30;
                    let fresh: Vec<u32> = (0..u32::from(n)).map(|i| rows.len() as u32 + i).collect();
                    let new: Vec<f32> = fresh.iter().flat_map(|_| vector()).collect();
                    all.iter_mut().for_each(|(_, index, _)| index.insert(&fresh, &new, 1 + usize::from(value % 2)).unwrap());
                    rows.extend(&fresh);
                    live.extend(&fresh);
                    vectors.extend(new);
                }
                6 if !rows.is_empty() => {
                    let row = rows[usize::from(value) % rows.len()];
                    let there = live.remove(&row);
                    for (_, index, removes) in &mut all {
                        if *removes {
                            assert_eq!(index.remove(row).unwrap(), there);
                        }
                    }
                }
                _ => {
                    let query = vector();
                    let k = usize::from(value % 13);
                    let admit: RowSet = rows.iter().copied().filter(|row| (row + u32::from(value)) % 3 > 0).collect();
                    for (name, index, removes) in &all {
                        if !removes && live.len() < rows.len() {
                            continue;
                        }
                        for filter in [None, Some(&admit)] {
                            let admits = |row: u32| live.contains(&row) && filter.is_none_or(|f| f.contains(row));
                            let want = brute(&vectors, dim, &rows, &query, k, admits);
                            let got = index.search(&query, k, 0, filter).unwrap();
                            if *name == "flat" {
                                prop_assert_eq!(&got, &want);
                                continue;
                            }
                            // Equal vectors abound and the graph is not exact: but what comes is right.
                            prop_assert_eq!(got.len(), want.len(), "{}", name);
                            let distinct: BTreeSet<u32> = got.iter().map(|g| g.row).collect();
                            prop_assert_eq!(distinct.len(), got.len(), "{}", name);
                            for g in got {
                                let own = &vectors[g.row as usize * dim..][..dim];
                                let product: f32 = own.iter().zip(&query).map(|(a, b)| a * b).sum();
                                prop_assert!(admits(g.row) && g.similarity == product, "{}", name);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn one_thread_builds_the_same_graph_every_time() {
    let dim = 16;
    let vectors = clustered(2000, dim, 10, 8);
    let rows: Vec<u32> = (0..2000).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let mut index = HnswIndex::new(dim, small()).unwrap();
        index.insert(&rows, &vectors, 1).unwrap();
        index.save(&folder.path().join(name), 1).unwrap();
        std::fs::read(folder.path().join(name)).unwrap()
    };
    assert!(file("a") == file("b"));
}

#[test]
fn a_thousand_equal_vectors_neither_hide_nor_get_lost() {
    let dim = 16;
    let mut vectors = clustered(2000, dim, 10, 9);
    let copy = vectors[..dim].to_vec();
    (0..1000).for_each(|_| vectors.extend(&copy));
    (0..50).for_each(|_| vectors.extend([0.0; 16]));
    let rows: Vec<u32> = (0..3050).collect();
    for threads in [1, 2] {
        let mut index = HnswIndex::new(dim, small()).unwrap();
        index.insert(&rows, &vectors, threads).unwrap();
        assert!(index.is_connected());
        let got = index.search(&copy, 1001, 0, None).unwrap();
        assert!(got.iter().all(|g| g.similarity > 0.999), "all copies come first");
        let got: Vec<u32> = index.search(&copy, 3, 1100, None).unwrap().iter().map(|g| g.row).collect();
        assert_eq!(got, [0, 2000, 2001], "ties by row");
        let zeros: RowSet = (3000..3050).collect();
        assert_eq!(index.search(&copy, 60, 0, Some(&zeros)).unwrap().len(), 50);
        for row in 1..2000usize {
            let own = &vectors[row * dim..(row + 1) * dim];
            let first = index.search(own, 1, 0, None).unwrap()[0];
            assert_eq!(first.row as usize, row, "{threads} threads");
        }
    }
}

#[test]
fn copies_are_not_touched_by_later_changes_and_adoption_loses_nothing() {
    let dim = 16;
    let vectors = clustered(3000, dim, 10, 10);
    let rows: Vec<u32> = (0..3000).collect();
    let part = |range: std::ops::Range<usize>| &vectors[range.start * dim..range.end * dim];
    let mut index = HnswIndex::new(dim, HnswConfig { max_pending: 5000, ..small() }).unwrap();
    index.insert(&rows[..1000], part(0..1000), 1).unwrap();
    index.link(1).unwrap();
    index.insert(&rows[1000..2000], part(1000..2000), 1).unwrap();
    index.remove(5).unwrap();
    let published = index.clone();
    let before: Vec<_> = (0..100).map(|i| published.search(part(i..i + 1), 5, 0, None).unwrap()).collect();
    for compact in [false, true] {
        let mut next = if compact { index.compacted(2).unwrap() } else { index.clone() };
        next.link(2).unwrap();
        let (row, seven) = if compact { (2500, 7) } else { (2000, 6) };
        index.insert(&rows[row..row + 500], part(row..row + 500), 1).unwrap();
        assert!(index.remove(seven).unwrap());
        index.adopt(next).unwrap();
        assert_eq!(index.len(), if compact { 2997 } else { 2498 });
        assert_eq!(index.pending(), 500);
        assert!(index.is_connected());
        assert!(index.search(part(seven as usize..seven as usize + 1), 1, 0, None).unwrap()[0].row != seven);
        for row in row..row + 500 {
            assert_eq!(index.search(part(row..row + 1), 1, 0, None).unwrap()[0].row, row as u32);
            assert_eq!(index.vector(row as u32), Some(part(row..row + 1)));
        }
    }
    assert_eq!(index.removed(), 1, "compaction forgot the others");
    let after: Vec<_> = (0..100).map(|i| published.search(part(i..i + 1), 5, 0, None).unwrap()).collect();
    assert_eq!(before, after);
    assert_eq!(published.len(), 1999);
}

/// The issue's own bar; half a minute on two cores.
#[test]
fn every_one_of_100k_vectors_finds_itself() {
    let (n, dim) = (100_000, 32);
    let vectors = clustered(n, dim, 400, 11);
    let rows: Vec<u32> = (0..n as u32).collect();
    for threads in [1, 2] {
        let mut index = HnswIndex::new(dim, HnswConfig::default()).unwrap();
        index.insert(&rows, &vectors, threads).unwrap();
        assert!(index.is_connected());
        let lost = (0..n)
            .filter(|&i| {
                index.search(&vectors[i * dim..(i + 1) * dim], 1, 0, None).unwrap()[0].row as usize != i
            })
            .count();
        assert_eq!(lost, 0, "{threads} threads");
    }
}

/// Copies of one vector must not fill the list that bounds a walk, or it would end in front of what is nearer. The
/// nearest by brute force decide.
#[test]
fn copies_do_not_hide_what_is_nearer() {
    let (n, dim, k) = (6000, 48, 10);
    for distinct in [3, 50, 500] {
        let unique = clustered(distinct, dim, distinct, 5);
        let vectors: Vec<f32> =
            (0..n).flat_map(|i| unique[i % distinct * dim..][..dim].iter().copied()).collect();
        let rows: Vec<u32> = (0..n as u32).collect();
        let queries = clustered(100, dim, 100, 7);
        for precision in [Precision::Int8, Precision::F32] {
            let mut index = HnswIndex::new(dim, HnswConfig { precision, ..HnswConfig::default() }).unwrap();
            index.insert(&rows, &vectors, 1).unwrap();
            index.link(1).unwrap();
            let even: RowSet = rows.iter().copied().filter(|row| row % 2 == 0).collect();
            for admit in [None, Some(&even)] {
                let mut sum = 0.0;
                for query in queries.chunks(dim) {
                    let got = index.search(query, k, 20, admit).unwrap();
                    let want = brute(&vectors, dim, &rows, query, k, |row| {
                        admit.is_none_or(|set| set.contains(row))
                    });
                    assert_eq!(got.len(), k);
                    assert!(got.iter().all(|g| admit.is_none_or(|set| set.contains(g.row))));
                    sum += recall(&got, &want);
                }
                assert!(sum >= 95.0, "{distinct} vectors, {precision:?}, filter {}: {sum}", admit.is_some());
            }
        }
    }
}

//! How are two vectors compared, as fast as this machine can?
//!
//! The first call looks at the processor and fills a table of functions: AVX-512 (with VNNI and VPOPCNTDQ where
//! they are), AVX2 with FMA, NEON, or plain Rust. Every entry computes what its twin in `scalar` computes:
//! integers exactly, floats up to the order of summation (a relative error of about 1e-6 of the sum of the
//! absolute products); NaN and infinities come out as IEEE 754 has them. On one machine the batch forms of f32
//! (`dot_rows`, `dot_subset`, `dot_matrix`) agree with each other bit for bit.

use std::sync::OnceLock;

use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

/// The inner product of two vectors of one length. Panics when the lengths differ.
///
/// ```
/// assert_eq!(quorate_core::vector::dot(&[1.0, 2.0], &[3.0, 4.0]), 11.0);
/// ```
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    same_length(a.len(), b.len());
    (kernels().dot)(a, b)
}

/// The squared Euclidean distance of two vectors of one length. Panics when the lengths differ.
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    same_length(a.len(), b.len());
    (kernels().squared_l2)(a, b)
}

/// The cosine of the angle between two vectors of one length; 0 when one of them is zero.
/// Panics when the lengths differ.
///
/// ```
/// use quorate_core::vector::cosine;
/// assert!((cosine(&[1.0, 1.0], &[2.0, 0.0]) - 0.5f32.sqrt()).abs() < 1e-6);
/// assert_eq!(cosine(&[0.0, 0.0], &[2.0, 0.0]), 0.0);
/// ```
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    same_length(a.len(), b.len());
    let [ab, aa, bb] = (kernels().cosine_parts)(a, b);
    if aa == 0.0 || bb == 0.0 { 0.0 } else { ab / (aa.sqrt() * bb.sqrt()) }
}

/// The inner product of an f32 vector with one stored as f16. Panics when the lengths differ.
pub fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    same_length(a.len(), b.len());
    (kernels().dot_f16)(a, b)
}

/// The inner product of an f32 vector with one stored as bf16. Panics when the lengths differ.
pub fn dot_bf16(a: &[f32], b: &[bf16]) -> f32 {
    same_length(a.len(), b.len());
    (kernels().dot_bf16)(a, b)
}

/// The inner product of two vectors of bytes, exact up to 131,071 components (beyond, the sum may wrap).
/// Panics when the lengths differ.
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    same_length(a.len(), b.len());
    (kernels().dot_i8)(a, b)
}

/// The number of bits in which two bit vectors of one length differ. Panics when the lengths differ.
pub fn hamming(a: &[u64], b: &[u64]) -> u32 {
    same_length(a.len(), b.len());
    (kernels().hamming)(a, b)
}

/// Inner products of `query` with each of the vectors in `rows`, one after the other.
/// Panics unless `rows.len() == query.len() * out.len()`.
pub fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
    let dim = query.len();
    same_length(rows.len(), dim * out.len());
    let kernel = kernels().dot_x4;
    let row = |i: usize| &rows[i * dim..(i + 1) * dim];
    // Four places far apart at once: the processor fetches ahead at each of them.
    let stream = out.len() / 4;
    let (whole, rest) = out.split_at_mut(4 * stream);
    let (first, second) = whole.split_at_mut(2 * stream);
    let (a, b) = first.split_at_mut(stream);
    let (c, d) = second.split_at_mut(stream);
    let places = [0, stream, 2 * stream, 3 * stream];
    for i in 0..stream {
        if i + STREAM_AHEAD < stream {
            places.iter().for_each(|place| prefetch(row(place + i + STREAM_AHEAD)));
        }
        [a[i], b[i], c[i], d[i]] = kernel(query, places.map(|place| row(place + i)));
    }
    by_four(rest, IN_ORDER, |rows| kernel(query, rows), |i| row(4 * stream + i));
}

/// Inner products of `query` with the vectors of `rows` that `ids` numbers.
/// Panics unless `out` is as long as `ids` and each id names a whole vector.
pub fn dot_subset(query: &[f32], rows: &[f32], ids: &[u32], out: &mut [f32]) {
    let dim = query.len();
    same_length(ids.len(), out.len());
    let kernel = kernels().dot_x4;
    by_four(out, AHEAD, |rows| kernel(query, rows), |i| &rows[ids[i] as usize * dim..][..dim]);
}

/// Inner products of a query of bytes with each of the vectors in `rows`, one after the other.
/// Panics unless `rows.len() == query.len() * out.len()`.
pub fn dot_rows_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    let dim = query.len();
    same_length(rows.len(), dim * out.len());
    let kernel = kernels().dot_i8_x4;
    by_four(out, AHEAD, |rows| kernel(query, rows), |i| &rows[i * dim..(i + 1) * dim]);
}

/// Inner products of a query of bytes with the vectors of `rows` that `ids` numbers.
/// Panics unless `out` is as long as `ids` and each id names a whole vector.
pub fn dot_subset_i8(query: &[i8], rows: &[i8], ids: &[u32], out: &mut [i32]) {
    let dim = query.len();
    same_length(ids.len(), out.len());
    let kernel = kernels().dot_i8_x4;
    by_four(out, AHEAD, |rows| kernel(query, rows), |i| &rows[ids[i] as usize * dim..][..dim]);
}

/// Inner products of vectors of bytes that carry scales: `out[i] = scale * scales[i] * (query . row i)`.
/// Panics unless `rows.len() == query.len() * out.len()` and there is a scale for each row.
pub fn dot_rows_scaled(query: &[i8], scale: f32, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    let dim = query.len();
    same_length(rows.len(), dim * out.len());
    let kernel = kernels().dot_i8_x4;
    by_four(out, AHEAD, |rows| kernel(query, rows).map(|sum| sum as f32), |i| &rows[i * dim..(i + 1) * dim]);
    for (product, row_scale) in out.iter_mut().zip(scales) {
        *product *= scale * row_scale;
    }
}

/// [`dot_rows_scaled`] for the vectors of `rows` that `ids` numbers.
/// Panics unless `out` is as long as `ids` and each id names a whole vector and a scale.
pub fn dot_subset_scaled(
    query: &[i8],
    scale: f32,
    rows: &[i8],
    scales: &[f32],
    ids: &[u32],
    out: &mut [f32],
) {
    let dim = query.len();
    same_length(ids.len(), out.len());
    let kernel = kernels().dot_i8_x4;
    let row = |i: usize| &rows[ids[i] as usize * dim..][..dim];
    by_four(out, AHEAD, |rows| kernel(query, rows).map(|sum| sum as f32), row);
    for (product, &id) in out.iter_mut().zip(ids) {
        *product *= scale * scales[id as usize];
    }
}

/// Inner products of every query with every row: `out[q * n + r]` for `n` rows. Both are row-major and hold
/// vectors of `dim` components. Panics when the lengths do not fit together.
pub fn dot_matrix(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    /// Rows that stay in the cache while all queries pass over them.
    const BLOCK: usize = 128;
    if dim == 0 {
        return out.fill(0.0);
    }
    let (q, n) = (queries.len() / dim, rows.len() / dim);
    same_length(queries.len(), q * dim);
    same_length(rows.len(), n * dim);
    same_length(out.len(), q * n);
    let table = kernels();
    let query = |i: usize| &queries[i * dim..(i + 1) * dim];
    for first in (0..n).step_by(BLOCK) {
        let block = &rows[first * dim..(first + BLOCK).min(n) * dim];
        let len = block.len() / dim;
        let row = |i: usize| &block[i * dim..(i + 1) * dim];
        for top in (0..q).step_by(4) {
            if top + 4 > q || len < 4 {
                for i in top..q.min(top + 4) {
                    by_four(
                        &mut out[i * n + first..][..len],
                        IN_ORDER,
                        |rows| (table.dot_x4)(query(i), rows),
                        row,
                    );
                }
                continue;
            }
            // The last four rows may overlap the four before them: the same numbers are written twice.
            for left in (0..len).step_by(4).map(|left| left.min(len - 4)) {
                let tile = (table.dot_4x4)(
                    [query(top), query(top + 1), query(top + 2), query(top + 3)],
                    [row(left), row(left + 1), row(left + 2), row(left + 3)],
                );
                for (i, products) in tile.iter().enumerate() {
                    out[(top + i) * n + first + left..][..4].copy_from_slice(products);
                }
            }
        }
    }
}

/// Asks for `bytes` to be brought into the cache; computes nothing.
#[inline]
pub fn prefetch<T>(data: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        /// Bytes of a cache line.
        const LINE: usize = 64;
        let start = data.as_ptr().cast::<i8>();
        for offset in (0..size_of_val(data)).step_by(LINE) {
            // SAFETY: the address lies inside `data`, and a prefetch reads nothing that the program can see.
            unsafe {
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(start.add(offset));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

/// The instruction set that the kernels use on this machine, as `"avx512+vnni"`, `"avx512"`, `"avx2"`,
/// `"neon"` or `"scalar"`.
pub fn instruction_set() -> &'static str {
    kernels().name
}

/// Four queries with four rows.
type Product4x4 = fn([&[f32]; 4], [&[f32]; 4]) -> [[f32; 4]; 4];

/// One function for each thing that is computed.
#[derive(Clone, Copy)]
struct Kernels {
    name: &'static str,
    dot: fn(&[f32], &[f32]) -> f32,
    squared_l2: fn(&[f32], &[f32]) -> f32,
    cosine_parts: fn(&[f32], &[f32]) -> [f32; 3],
    dot_f16: fn(&[f32], &[f16]) -> f32,
    dot_bf16: fn(&[f32], &[bf16]) -> f32,
    dot_i8: fn(&[i8], &[i8]) -> i32,
    hamming: fn(&[u64], &[u64]) -> u32,
    dot_x4: fn(&[f32], [&[f32]; 4]) -> [f32; 4],
    dot_i8_x4: fn(&[i8], [&[i8]; 4]) -> [i32; 4],
    dot_4x4: Product4x4,
}

const SCALAR: Kernels = Kernels {
    name: "scalar",
    dot: scalar::dot,
    squared_l2: scalar::squared_l2,
    cosine_parts: scalar::cosine_parts,
    dot_f16: scalar::dot_f16,
    dot_bf16: scalar::dot_bf16,
    dot_i8: scalar::dot_i8,
    hamming: scalar::hamming,
    dot_x4: scalar::dot_x4,
    dot_i8_x4: scalar::dot_i8_x4,
    dot_4x4: scalar::dot_4x4,
};

fn kernels() -> &'static Kernels {
    static BEST: OnceLock<Kernels> = OnceLock::new();
    BEST.get_or_init(|| available().pop().unwrap_or(SCALAR))
}

/// Every table that this machine can run, the best one last.
fn available() -> Vec<Kernels> {
    #[allow(unused_mut)]
    let mut tables = vec![SCALAR];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY (all below): a table enters only after its instruction sets were found on this machine.
            let mut table = Kernels {
                name: "avx2",
                dot: |a, b| unsafe { avx2::dot(a, b) },
                squared_l2: |a, b| unsafe { avx2::squared_l2(a, b) },
                cosine_parts: |a, b| unsafe { avx2::cosine_parts(a, b) },
                dot_bf16: |a, b| unsafe { avx2::dot_bf16(a, b) },
                dot_i8: |a, b| unsafe { avx2::dot_i8(a, b) },
                hamming: |a, b| unsafe { avx2::hamming(a, b) },
                dot_x4: |a, b| unsafe { avx2::dot_x4(a, b) },
                dot_i8_x4: |a, b| unsafe { avx2::dot_i8_x4(a, b) },
                dot_4x4: |a, b| unsafe { avx2::dot_4x4(a, b) },
                ..SCALAR
            };
            if is_x86_feature_detected!("f16c") {
                table.dot_f16 = |a, b| unsafe { avx2::dot_f16(a, b) };
            }
            tables.push(table);
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if wide {
                table = Kernels {
                    name: "avx512",
                    dot: |a, b| unsafe { avx512::dot(a, b) },
                    squared_l2: |a, b| unsafe { avx512::squared_l2(a, b) },
                    cosine_parts: |a, b| unsafe { avx512::cosine_parts(a, b) },
                    dot_f16: |a, b| unsafe { avx512::dot_f16(a, b) },
                    dot_bf16: |a, b| unsafe { avx512::dot_bf16(a, b) },
                    dot_x4: |a, b| unsafe { avx512::dot_x4(a, b) },
                    dot_4x4: |a, b| unsafe { avx512::dot_4x4(a, b) },
                    ..table
                };
                if is_x86_feature_detected!("avx512vpopcntdq") {
                    table.hamming = |a, b| unsafe { avx512::hamming(a, b) };
                }
                tables.push(table);
                if is_x86_feature_detected!("avx512vnni") {
                    table.name = "avx512+vnni";
                    table.dot_i8 = |a, b| unsafe { avx512::dot_i8(a, b) };
                    table.dot_i8_x4 = |a, b| unsafe { avx512::dot_i8_x4(a, b) };
                    tables.push(table);
                }
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        // SAFETY (all below): NEON was found on this machine.
        tables.push(Kernels {
            name: "neon",
            dot: |a, b| unsafe { neon::dot(a, b) },
            squared_l2: |a, b| unsafe { neon::squared_l2(a, b) },
            cosine_parts: |a, b| unsafe { neon::cosine_parts(a, b) },
            dot_bf16: |a, b| unsafe { neon::dot_bf16(a, b) },
            dot_i8: |a, b| unsafe { neon::dot_i8(a, b) },
            hamming: |a, b| unsafe { neon::hamming(a, b) },
            dot_x4: |a, b| unsafe { neon::dot_x4(a, b) },
            dot_i8_x4: |a, b| unsafe { neon::dot_i8_x4(a, b) },
            dot_4x4: |a, b| unsafe { neon::dot_4x4(a, b) },
            ..SCALAR
        });
    }
    tables
}

/// How many rows ahead of its use a row is asked for.
const AHEAD: usize = 4;
/// The same in each of four streams through rows of f32: about 3 KiB at 384 components.
const STREAM_AHEAD: usize = 2;
/// Rows of f32 in order are fetched by the processor without being asked.
const IN_ORDER: usize = usize::MAX;

/// Fills `out` four rows at a time, asking for rows `ahead` of their use; the last group repeats its last row.
#[inline]
fn by_four<'a, T: 'a, S: Copy>(
    out: &mut [S],
    ahead: usize,
    kernel: impl Fn([&'a [T]; 4]) -> [S; 4],
    row: impl Fn(usize) -> &'a [T],
) {
    let (whole, rest) = out.as_chunks_mut::<4>();
    let done = whole.len() * 4;
    let count = done + rest.len();
    for (i, four) in whole.iter_mut().enumerate() {
        let next = ahead.saturating_add(4 * i);
        for later in next..next.saturating_add(4).min(count) {
            prefetch(row(later));
        }
        *four = kernel([row(4 * i), row(4 * i + 1), row(4 * i + 2), row(4 * i + 3)]);
    }
    if !rest.is_empty() {
        let last = done + rest.len() - 1;
        let four = kernel([0, 1, 2, 3].map(|i| row((done + i).min(last))));
        rest.copy_from_slice(&four[..rest.len()]);
    }
}

#[inline]
#[track_caller]
fn same_length(a: usize, b: usize) {
    assert!(a == b, "vectors of {a} and {b} components do not go together");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that kernels get wrong: subnormal, huge, tiny, signed zero, NaN, infinite.
    fn hostile() -> impl Strategy<Value = f32> {
        prop_oneof![
            8 => -2.0f32..2.0,
            1 => prop::sample::select(vec![0.0, -0.0, 1e-40, -1e-42, 1e18, -1e18, 1e-20, f32::MIN_POSITIVE]),
            1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        ]
    }

    /// Equal up to the order of summation: both NaN, the same infinity, or within 1e-5 of the absolute sum.
    fn check(name: &str, got: f32, want: f32, scale: f32) {
        let ok = if want.is_nan() || want.is_infinite() {
            got.is_nan() == want.is_nan() && (want.is_nan() || got == want)
        } else {
            (got - want).abs() <= 1e-5 * scale + f32::MIN_POSITIVE
        };
        assert!(ok, "{name}: {got} instead of {want} (scale {scale})");
    }

    fn absolute(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| (x * y).abs()).filter(|v| v.is_finite()).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn floats_equal_the_scalar_twin(
            (a, b) in (0usize..300).prop_flat_map(|n| {
                (prop::collection::vec(hostile(), n + 3), prop::collection::vec(hostile(), n + 3))
            }),
            shift in 0usize..4,
        ) {
            // A shifted start makes the data unaligned.
            let (a, b) = (&a[shift.min(a.len())..], &b[shift.min(b.len())..]);
            let b16: Vec<f16> = b.iter().map(|&x| f16::from_f32(x)).collect();
            let bb16: Vec<bf16> = b.iter().map(|&x| bf16::from_f32(x)).collect();
            let (wide16, wideb16): (Vec<f32>, Vec<f32>) =
                (b16.iter().map(|x| x.to_f32()).collect(), bb16.iter().map(|x| x.to_f32()).collect());
            for table in available() {
                let name = table.name;
                check(name, (table.dot)(a, b), scalar::dot(a, b), absolute(a, b));
                let scale = 2.0 * (absolute(a, a) + absolute(b, b));
                check(name, (table.squared_l2)(a, b), scalar::squared_l2(a, b), scale);
                for (got, want) in (table.cosine_parts)(a, b).into_iter().zip(scalar::cosine_parts(a, b)) {
                    check(name, got, want, scale);
                }
                check(name, (table.dot_f16)(a, &b16), scalar::dot_f16(a, &b16), absolute(a, &wide16));
                check(name, (table.dot_bf16)(a, &bb16), scalar::dot_bf16(a, &bb16), absolute(a, &wideb16));
                let reversed: Vec<f32> = b.iter().rev().copied().collect();
                let rows = [b, a, &reversed, b];
                let want = scalar::dot_x4(a, rows);
                for (lane, got) in (table.dot_x4)(a, rows).into_iter().enumerate() {
                    check(name, got, want[lane], absolute(a, rows[lane]));
                }
                let queries = [a, b, &reversed, a];
                let want = scalar::dot_4x4(queries, rows);
                for (q, line) in (table.dot_4x4)(queries, rows).into_iter().enumerate() {
                    for (r, got) in line.into_iter().enumerate() {
                        check(name, got, want[q][r], absolute(queries[q], rows[r]));
                    }
                }
            }
        }

        #[test]
        fn integers_equal_the_scalar_twin_exactly(
            a in prop::collection::vec(any::<i8>(), 0..700),
            words in prop::collection::vec(any::<u64>(), 0..70),
            shift in 0usize..4,
        ) {
            let a = &a[shift.min(a.len())..];
            let b: Vec<i8> = a.iter().rev().map(|x| x.wrapping_mul(3).wrapping_sub(7)).collect();
            let other: Vec<u64> = words.iter().rev().map(|w| w.rotate_left(11)).collect();
            for table in available() {
                prop_assert_eq!((table.dot_i8)(a, &b), scalar::dot_i8(a, &b), "{}", table.name);
                let rows = [&b, a, a, &b];
                prop_assert_eq!((table.dot_i8_x4)(a, rows), scalar::dot_i8_x4(a, rows), "{}", table.name);
                prop_assert_eq!((table.hamming)(&words, &other), scalar::hamming(&words, &other));
            }
        }

        #[test]
        fn batches_equal_single_products(
            dim in 1usize..40, n in 0usize..140, q in 0usize..9, seed in any::<u32>(),
        ) {
            let value = |i: usize| ((i as u32).wrapping_mul(2654435761).wrapping_add(seed) >> 8) as f32 / 1e7 - 0.8;
            let rows: Vec<f32> = (0..n * dim).map(value).collect();
            let queries: Vec<f32> = (0..q * dim).map(|i| value(i + 77777)).collect();
            let mut out = vec![f32::NAN; q * n];
            dot_matrix(&queries, &rows, dim, &mut out);
            let ids: Vec<u32> = (0..n as u32).rev().collect();
            for (i, query) in queries.chunks(dim).enumerate() {
                let (mut all, mut some) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                dot_rows(query, &rows, &mut all);
                dot_subset(query, &rows, &ids, &mut some);
                for r in 0..n {
                    let want = scalar::dot(query, &rows[r * dim..(r + 1) * dim]);
                    prop_assert_eq!(out[i * n + r].to_bits(), all[r].to_bits());
                    prop_assert_eq!(some[n - 1 - r].to_bits(), all[r].to_bits());
                    for got in [out[i * n + r], all[r], some[n - 1 - r]] {
                        prop_assert!((got - want).abs() < 1e-3, "{got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn extreme_bytes_do_not_saturate() {
        let worst = vec![i8::MIN; 1024];
        for table in available() {
            assert_eq!((table.dot_i8)(&worst, &worst), 1024 * 128 * 128, "{}", table.name);
            assert_eq!((table.dot_i8_x4)(&worst, [&worst; 4]), [1024 * 128 * 128; 4], "{}", table.name);
        }
    }

    #[test]
    fn empty_vectors_have_product_zero() {
        assert_eq!(dot(&[], &[]), 0.0);
        assert_eq!(cosine(&[], &[]), 0.0);
        assert_eq!(dot_i8(&[], &[]), 0);
        dot_rows(&[], &[], &mut []);
        dot_matrix(&[], &[], 0, &mut []);
    }

    #[test]
    #[should_panic(expected = "do not go together")]
    fn lengths_must_agree() {
        dot(&[1.0], &[1.0, 2.0]);
    }
}

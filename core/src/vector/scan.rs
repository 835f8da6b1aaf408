//! Which stored vectors are nearest to a query, exactly?

use super::kernel;
use super::{Matrix, Scored, TopK};
use crate::parallel;
use crate::{Code, Error, Result};

/// Rows scored at a time: their scores stay in the first-level cache.
const BLOCK: usize = 512;

/// Vectors of one dimension that are counted.
pub trait Rows: Send + Sync {
    /// Components of each vector.
    fn dim(&self) -> usize;

    /// The number of vectors.
    fn rows(&self) -> usize;
}

/// Vectors that can be scored against a query; larger is better.
pub trait Scan: Rows {
    /// The query in the form in which it meets the rows.
    type Query: Send + Sync;

    /// Brings a finite query of [`dim`](Rows::dim) components into that form.
    fn prepare(&self, query: &[f32]) -> Result<Self::Query>;

    /// Scores of the rows from `first` on, as many as `out` holds.
    fn score_range(&self, query: &Self::Query, first: usize, out: &mut [f32]);

    /// Scores of the rows that `ids` numbers.
    fn score_subset(&self, query: &Self::Query, ids: &[u32], out: &mut [f32]);

    /// Scores of several queries on the rows from `first` to `first + n`: `out[q * n + r]`.
    fn score_block(&self, queries: &[Self::Query], first: usize, n: usize, out: &mut [f32]) {
        for (query, line) in queries.iter().zip(out.chunks_exact_mut(n)) {
            self.score_range(query, first, line);
        }
    }
}

/// The `k` rows with the highest scores, best first, ties by row number; fewer when there are fewer rows.
/// With `subset`, only those rows count. Errors: `invalid_shape`, `not_finite`, `invalid_argument` for a row
/// that is not there.
///
/// ```
/// use quorate_core::vector::{Matrix, nearest};
/// let rows = Matrix::new(vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8], 3, 2)?;
/// let best = nearest(&rows, &[0.0, 1.0], 2, None)?;
/// assert_eq!((best[0].index, best[1].index), (1, 2));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn nearest<S: Scan>(rows: &S, query: &[f32], k: usize, subset: Option<&[u32]>) -> Result<Vec<Scored>> {
    check_query(query, rows.dim())?;
    check_subset(subset, rows.rows())?;
    let query = rows.prepare(query)?;
    let mut top = TopK::new(k);
    let mut scores = [0f32; BLOCK];
    match subset {
        None => {
            for first in (0..rows.rows()).step_by(BLOCK) {
                let out = &mut scores[..BLOCK.min(rows.rows() - first)];
                rows.score_range(&query, first, out);
                top.push_all(first as u32, out);
            }
        }
        Some(ids) => {
            for ids in ids.chunks(BLOCK) {
                let out = &mut scores[..ids.len()];
                rows.score_subset(&query, ids, out);
                ids.iter().zip(out.iter()).for_each(|(&id, &score)| top.push(id, score));
            }
        }
    }
    Ok(top.into_sorted())
}

/// [`nearest`] for each row of `queries`, with all threads; the answers do not depend
/// on their number. Errors: as [`nearest`].
pub fn nearest_batch<S: Scan>(
    rows: &S,
    queries: &Matrix,
    k: usize,
    subset: Option<&[u32]>,
) -> Result<Vec<Vec<Scored>>> {
    /// Queries that pass over a block of rows together.
    const GROUP: usize = 16;
    if queries.rows() == 0 {
        return Ok(Vec::new());
    }
    check_query(queries.row(0), rows.dim())?;
    check_subset(subset, rows.rows())?;
    let starts: Vec<usize> = (0..queries.rows()).step_by(GROUP).collect();
    let groups: Vec<Vec<Vec<Scored>>> = parallel::try_map(&starts, |&start| {
        let group = start..queries.rows().min(start + GROUP);
        if subset.is_some() {
            return group.map(|i| nearest(rows, queries.row(i), k, subset)).collect();
        }
        let mut prepared = Vec::with_capacity(GROUP);
        for i in group {
            check_query(queries.row(i), rows.dim())?;
            prepared.push(rows.prepare(queries.row(i))?);
        }
        let mut tops: Vec<TopK> = prepared.iter().map(|_| TopK::new(k)).collect();
        let mut scores = vec![0f32; prepared.len() * BLOCK];
        for first in (0..rows.rows()).step_by(BLOCK) {
            let n = BLOCK.min(rows.rows() - first);
            let out = &mut scores[..prepared.len() * n];
            rows.score_block(&prepared, first, n, out);
            for (top, line) in tops.iter_mut().zip(out.chunks_exact(n)) {
                top.push_all(first as u32, line);
            }
        }
        Ok(tops.into_iter().map(TopK::into_sorted).collect())
    })?;
    Ok(groups.into_iter().flatten().collect())
}

/// The best `k * factor` rows by the scores of `rows`, of which the best `k` by the exact scores of `exact` are
/// returned with these. `exact` holds the same vectors in full. Errors: as [`nearest`], and `invalid_shape` when
/// the two do not hold the same number of vectors.
pub fn nearest_rescored<S: Scan, E: Scan>(
    rows: &S,
    exact: &E,
    query: &[f32],
    k: usize,
    factor: usize,
    subset: Option<&[u32]>,
) -> Result<Vec<Scored>> {
    if rows.rows() != exact.rows() {
        return Err(Error::new(
            Code::InvalidShape,
            format!("{} vectors to rank and {} to rescore with", rows.rows(), exact.rows()),
        ));
    }
    let first = nearest(rows, query, k.saturating_mul(factor.max(1)), subset)?;
    let ids: Vec<u32> = first.iter().map(|s| s.index).collect();
    nearest(exact, query, k, Some(&ids))
}

impl Rows for Matrix {
    fn dim(&self) -> usize {
        self.cols()
    }

    fn rows(&self) -> usize {
        Matrix::rows(self)
    }
}

/// Scores are inner products.
impl Scan for Matrix {
    type Query = Vec<f32>;

    fn prepare(&self, query: &[f32]) -> Result<Vec<f32>> {
        Ok(query.to_vec())
    }

    fn score_range(&self, query: &Vec<f32>, first: usize, out: &mut [f32]) {
        kernel::dot_rows(
            query,
            &self.as_slice()[first * self.cols()..(first + out.len()) * self.cols()],
            out,
        );
    }

    fn score_subset(&self, query: &Vec<f32>, ids: &[u32], out: &mut [f32]) {
        kernel::dot_subset(query, self.as_slice(), ids, out);
    }

    fn score_block(&self, queries: &[Vec<f32>], first: usize, n: usize, out: &mut [f32]) {
        let rows = &self.as_slice()[first * self.cols()..(first + n) * self.cols()];
        kernel::dot_matrix(&queries.concat(), rows, self.cols(), out);
    }
}

/// How two f32 vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The inner product.
    Dot,
    /// The cosine of the angle; 0 with a vector of zeros.
    Cosine,
    /// The squared Euclidean distance; its negative is the score, so that larger is better.
    SquaredL2,
}

/// f32 vectors compared by a metric of choice.
///
/// ```
/// use quorate_core::vector::{Matrix, Metric, MetricRows, nearest};
/// let rows = Matrix::new(vec![9.0, 0.0, 1.0, 1.0], 2, 2)?;
/// let rows = MetricRows { rows: &rows, metric: Metric::SquaredL2 };
/// assert_eq!(nearest(&rows, &[1.0, 0.0], 1, None)?[0].index, 1);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MetricRows<'a> {
    /// The vectors.
    pub rows: &'a Matrix,
    /// How they are compared.
    pub metric: Metric,
}

impl MetricRows<'_> {
    fn score(&self, query: &[f32], row: usize) -> f32 {
        match self.metric {
            Metric::Dot => kernel::dot(query, self.rows.row(row)),
            Metric::Cosine => kernel::cosine(query, self.rows.row(row)),
            Metric::SquaredL2 => -kernel::squared_l2(query, self.rows.row(row)),
        }
    }
}

impl Rows for MetricRows<'_> {
    fn dim(&self) -> usize {
        self.rows.cols()
    }

    fn rows(&self) -> usize {
        self.rows.rows()
    }
}

impl Scan for MetricRows<'_> {
    type Query = Vec<f32>;

    fn prepare(&self, query: &[f32]) -> Result<Vec<f32>> {
        Ok(query.to_vec())
    }

    fn score_range(&self, query: &Vec<f32>, first: usize, out: &mut [f32]) {
        for (i, score) in out.iter_mut().enumerate() {
            *score = self.score(query, first + i);
        }
    }

    fn score_subset(&self, query: &Vec<f32>, ids: &[u32], out: &mut [f32]) {
        for (&id, score) in ids.iter().zip(out) {
            *score = self.score(query, id as usize);
        }
    }
}

/// Whether a query has `dim` components, all finite. Errors: `invalid_shape`, `not_finite`.
pub fn check_query(query: &[f32], dim: usize) -> Result<()> {
    if query.len() != dim {
        return Err(Error::new(
            Code::InvalidShape,
            format!("a vector of {} components where {dim} are needed", query.len()),
        ));
    }
    // Non-finite floats have all exponent bits set; integers compare faster than floats do one by one.
    let worst = query.iter().fold(0i32, |max, x| max.max((x.to_bits() & 0x7fff_ffff) as i32));
    if worst >= f32::INFINITY.to_bits() as i32 {
        return Err(Error::new(Code::NotFinite, "a vector holds a component that is NaN or infinite"));
    }
    Ok(())
}

fn check_subset(subset: Option<&[u32]>, rows: usize) -> Result<()> {
    match subset.and_then(|ids| ids.iter().find(|&&id| id as usize >= rows)) {
        Some(id) => Err(Error::invalid(format!("row {id} of {rows} rows"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{BinaryMatrix, HalfMatrix, Int8Matrix};
    use rand::{RngExt, SeedableRng};

    fn random(rows: usize, dim: usize, seed: u64) -> Matrix {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut m = Matrix::zeros(rows, dim);
        for i in 0..rows {
            let row = m.row_mut(i);
            row.iter_mut().for_each(|x| *x = rng.random_range(-1.0..1.0));
            let norm = kernel::dot(row, row).sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        m
    }

    fn brute(rows: &Matrix, query: &[f32], k: usize, subset: Option<&[u32]>) -> Vec<u32> {
        let mut all: Vec<Scored> = (0..rows.rows() as u32)
            .filter(|i| subset.is_none_or(|s| s.contains(i)))
            .map(|i| Scored {
                index: i,
                score: rows.row(i as usize).iter().zip(query).map(|(x, y)| x * y).sum(),
            })
            .collect();
        all.sort_by(Scored::order);
        all.iter().take(k).map(|s| s.index).collect()
    }

    fn recall(got: &[Scored], want: &[u32]) -> f64 {
        got.iter().filter(|s| want.contains(&s.index)).count() as f64 / want.len() as f64
    }

    #[test]
    fn every_storage_finds_what_brute_force_finds() {
        let rows = random(1500, 100, 1);
        let queries = random(40, 100, 2);
        let subset: Vec<u32> = (0..1500).filter(|i| i % 7 == 3).rev().collect();
        let mut int8 = Int8Matrix::new(100);
        let mut f16 = HalfMatrix::<half::f16>::new(100);
        let mut bf16 = HalfMatrix::<half::bf16>::new(100);
        let mut bits = BinaryMatrix::new(100);
        for row in rows.iter() {
            int8.push(row).unwrap();
            f16.push(row).unwrap();
            bf16.push(row).unwrap();
            bits.push(row).unwrap();
        }
        for subset in [None, Some(&subset[..])] {
            let exact = nearest_batch(&rows, &queries, 10, subset).unwrap();
            let mut sums = [0.0; 5];
            for (i, query) in queries.iter().enumerate() {
                let want = brute(&rows, query, 10, subset);
                assert_eq!(exact[i].iter().map(|s| s.index).collect::<Vec<_>>(), want);
                let one = nearest(&rows, query, 10, subset).unwrap();
                assert_eq!(one.iter().map(|s| s.index).collect::<Vec<_>>(), want);
                sums[0] += recall(&nearest(&int8, query, 10, subset).unwrap(), &want);
                sums[1] += recall(&nearest(&f16, query, 10, subset).unwrap(), &want);
                sums[2] += recall(&nearest(&bf16, query, 10, subset).unwrap(), &want);
                sums[3] += recall(&nearest_rescored(&int8, &rows, query, 10, 3, subset).unwrap(), &want);
                sums[4] += recall(&nearest_rescored(&bits, &rows, query, 10, 20, subset).unwrap(), &want);
            }
            let mean = sums.map(|s| s / 40.0);
            let least = [0.93, 0.99, 0.97, 1.0, 0.85];
            assert!(mean.iter().zip(least).all(|(m, l)| *m >= l), "{mean:?} below {least:?}");
        }
    }

    #[test]
    fn ties_go_to_the_lower_row_and_k_may_exceed_the_rows() {
        let rows = Matrix::new([[1.0, 0.0]; 1100].concat(), 1100, 2).unwrap();
        let got: Vec<u32> = nearest(&rows, &[1.0, 0.0], 5, None).unwrap().iter().map(|s| s.index).collect();
        assert_eq!(got, [0, 1, 2, 3, 4]);
        let got = nearest(&rows, &[1.0, 0.0], 5, Some(&[900, 7, 900, 3])).unwrap();
        assert_eq!(got.iter().map(|s| s.index).collect::<Vec<_>>(), [3, 7, 900, 900]);
        assert_eq!(nearest(&rows, &[1.0, 0.0], 5000, None).unwrap().len(), 1100);
        assert!(nearest(&rows, &[1.0, 0.0], 0, None).unwrap().is_empty());
    }

    #[test]
    fn bad_queries_are_refused() {
        let rows = Matrix::zeros(3, 2);
        assert_eq!(nearest(&rows, &[1.0], 1, None).unwrap_err().code(), Code::InvalidShape);
        assert_eq!(nearest(&rows, &[1.0, f32::NAN], 1, None).unwrap_err().code(), Code::NotFinite);
        assert_eq!(nearest(&rows, &[1.0, 0.0], 1, Some(&[3])).unwrap_err().code(), Code::InvalidArgument);
        let queries = Matrix::new(vec![0.0, 0.0, 0.0, f32::INFINITY], 2, 2).unwrap();
        assert_eq!(nearest_batch(&rows, &queries, 1, None).unwrap_err().code(), Code::NotFinite);
        assert!(nearest(&Matrix::zeros(0, 2), &[0.0, 0.0], 3, None).unwrap().is_empty());
    }
}

//! What are the eigenvalues and eigenvectors of a small symmetric matrix?

use quorate_core::{Cancel, Result};

/// Sweeps after which the iteration stops in any case; convergence is quadratic and takes under ten.
const MAX_SWEEPS: usize = 60;

/// Eigenvalues (greatest first) and orthonormal eigenvectors (one row each) of a symmetric `n` x `n` matrix, by the
/// cyclic Jacobi method (Jacobi 1846; Golub and Van Loan 2013, section 8.5). `O(n^3)` a sweep. Error: `cancelled`.
pub(crate) fn symmetric_eigen(mut a: Vec<f64>, n: usize) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let cancel = Cancel::current();
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    let scale: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..MAX_SWEEPS {
        let off: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        if off <= 1e-34 * scale {
            break;
        }
        for p in 0..n {
            cancel.check()?;
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                    let (x, y) = (vectors[p * n + k], vectors[q * n + k]);
                    vectors[p * n + k] = c * x - s * y;
                    vectors[q * n + k] = s * x + c * y;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let vectors = order.iter().map(|&i| vectors[i * n..(i + 1) * n].to_vec()).collect();
    Ok((values, vectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconstructs_the_matrix() {
        let n = 6;
        let a: Vec<f64> = (0..n * n)
            .map(|x| {
                let (i, j) = ((x / n).min(x % n), (x / n).max(x % n));
                ((3 * i + 7 * j) as f64).sin() + if i == j { 2.0 } else { 0.0 }
            })
            .collect();
        let (values, vectors) = symmetric_eigen(a.clone(), n).unwrap();
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
        for i in 0..n {
            for j in 0..n {
                let back: f64 = (0..n).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                assert!((back - a[i * n + j]).abs() < 1e-12);
                let dot: f64 = (0..n).map(|k| vectors[i][k] * vectors[j][k]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn equal_diagonal_is_rotated_by_an_eighth_turn() {
        let (values, _) = symmetric_eigen(vec![1.0, 0.5, 0.5, 1.0], 2).unwrap();
        assert!((values[0] - 1.5).abs() < 1e-15 && (values[1] - 0.5).abs() < 1e-15);
    }
}

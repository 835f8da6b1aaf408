//! Do rankings, pools, Delphi rounds, density pools, swarms and panels give the answers that are known to be right?

#![allow(clippy::unwrap_used, clippy::panic)]

mod bad_input;
mod bounds;
mod laws;
mod minneapolis;
mod oracles;
mod panel;
mod peers;

/// Asserts that two slices are equal up to `tol` in each place.
#[track_caller]
fn close(got: &[f64], want: &[f64], tol: f64) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tol, "{got:?}\nis not\n{want:?}");
    }
}

//! Do intervals and tests cover what they say? The table of `examples/coverage.rs`, with fewer panels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../examples/coverage.rs"]
#[allow(dead_code)]
mod coverage;

#[test]
fn intervals_and_tests_cover_what_they_say() {
    let panels = 300;
    let mut wrong = Vec::new();
    for row in coverage::table(panels, &[25]).unwrap() {
        // Published as too narrow, and not the default.
        if row.name.contains("bootstrap of pairs") {
            if row.name.starts_with("alpha interval, 10 raters") {
                assert!(
                    row.found < 60.0,
                    "{}: {:.1}; its docs say that it is too narrow",
                    row.name,
                    row.found
                );
            }
            continue;
        }
        // Four standard errors of the simulation, and for the approximate intervals of small samples 4 points.
        let with = panels as f64 * (1.0 - row.without / 100.0);
        let error = 100.0 * (0.05 * 0.95 / with).sqrt() * 4.0;
        let fine =
            if row.nominal > 50.0 { row.found >= 95.0 - 4.0 - error } else { row.found <= 5.0 + 3.0 + error };
        if !fine || with < 0.5 * panels as f64 {
            wrong.push(format!("{}: {:.1} of 100, {:.1} without", row.name, row.found, row.without));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

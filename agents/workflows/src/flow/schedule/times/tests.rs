//! Do schedules come due when an oracle of another hand says so?

use super::*;

#[test]
fn due_times_are_those_that_an_oracle_found_by_looking_at_every_minute() {
    let text = include_str!("../../../../tests/data/due_times.json");
    let rows: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    assert!(rows.len() > 200);
    let mut seen = 0;
    for row in rows {
        let (zone, cron) = (row["zone"].as_str().unwrap(), row["cron"].as_str().unwrap());
        let (from, to) = (row["from"].as_f64().unwrap(), row["to"].as_f64().unwrap());
        let wanted: Vec<f64> =
            row["due"].as_array().unwrap().iter().map(|due| due.as_f64().unwrap()).collect();
        let times = Times::of(cron, zone).unwrap();
        let mut found = Vec::new();
        let mut time = from - 1.0;
        while let Ok(due) = times.after(time) {
            assert!(due > time, "{zone} {cron}: {due} is not after {time}");
            if due >= to {
                break;
            }
            found.push(due);
            time = due;
        }
        // What the clock left out before the first minute, the oracle does not see.
        assert_eq!(found, wanted, "{zone} {cron}");
        // From any moment between two, the next is the same.
        for pair in wanted.windows(2) {
            for between in [pair[0], pair[0] + 0.5, f64::midpoint(pair[0], pair[1]), pair[1] - 0.001] {
                assert_eq!(times.after(between).unwrap(), pair[1], "{zone} {cron} after {between}");
            }
        }
        for most in [1, 3, 7, 10_000] {
            let (newest, more) = times.newest(from, to - 1.0, most).unwrap();
            assert_eq!(
                newest,
                wanted[wanted.len().saturating_sub(most)..],
                "{zone} {cron}: the newest {most}"
            );
            assert!(more || wanted.len() <= most, "{zone} {cron}: there are more");
        }
        seen += wanted.len();
    }
    assert!(seen > 3_000, "{seen}");
}

#[test]
fn what_is_no_pattern_or_zone_is_refused() {
    for bad in [
        "",
        "*",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 25 * * *",
        "a b c d e",
        "0 0 30 2 *",
        "@reboot",
        "@daily x",
        "0 0 * * 9",
    ] {
        let error = Times::of(bad, "UTC").unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{bad}");
        assert!(error.message().starts_with("cron: "), "{bad}: {error}");
    }
    for bad in ["", "Mars/Olympus", "america/new_york ", "+02:00"] {
        let error = Times::of("0 6 * * 1", bad).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{bad}");
        assert!(error.message().starts_with("timezone: "), "{bad}: {error}");
    }
    for good in
        ["@daily", "@hourly", "@weekly", "0 6 * * MON-FRI", "0 0 29 2 *", "0 0 L * *", "5,10 */3 1-7 * 1"]
    {
        assert!(Times::of(good, "Europe/Zurich").is_ok(), "{good}");
    }
}

#[test]
fn times_beyond_the_calendar_are_refused_and_leap_days_are_found() {
    let times = Times::of("0 0 29 2 *", "UTC").unwrap();
    assert_eq!(times.after(1_772_323_200.0).unwrap(), 1_835_395_200.0);
    for beyond in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
        assert_eq!(times.after(beyond).unwrap_err().code(), Code::NotFinite);
    }
}

//! Which day is it then?

use chrono::{Datelike, Days, NaiveDate, Weekday};
use quorate_core::{Result, shorten};
use serde_json::{Value, json};

use super::given::{Given, wrong};

/// Most days that are counted.
const MOST_DAYS: i64 = 100_000;

/// A date so many days before or after another, which is day 0; working days are Monday to Friday (Gregorian calendar, ISO
/// 8601). Errors: `tool_arguments` for no date, more than 100,000 days.
pub(super) fn add_days(given: Given<'_>) -> Result<Value> {
    let (start, days) = (date(given, "start")?, given.whole("days", -MOST_DAYS, MOST_DAYS)?);
    let end = if given.flag("working_days")? {
        let (mut day, mut left) = (start, days.unsigned_abs());
        while left > 0 {
            day = moved(day, days.signum())?;
            left -= u64::from(!is_weekend(day));
        }
        day
    } else {
        moved(start, days)?
    };
    Ok(json!({"date": written(end), "weekday": name(end)}))
}

/// From how many people on the Secretary is told at once, and how many of one state are more than the media need not know.
const MANY: i64 = 500;

/// Days after discovery, and after the end of the year, that 45 CFR 164.404 to 164.408 give (HHS 2013).
const DAYS: i64 = 60;

/// By when people, the Secretary and the media must be told of a breach of unsecured health information (45 CFR 164.404 to
/// 164.408, HHS 2013): without unreasonable delay and at the latest 60 days from discovery; the media where more than 500
/// residents of a state are concerned; the Secretary with them for 500 people or more, else 60 days after the end of the year.
/// Errors: `tool_arguments` for no date, fewer than one person, more of one state than people.
pub(super) fn breach_deadlines(given: Given<'_>) -> Result<Value> {
    let discovered = date(given, "discovered")?;
    let people = given.whole("people", 1, 1 << 40)?;
    let residents = if given.has("most_in_one_state") {
        Some(given.whole("most_in_one_state", 0, people).map_err(|_| {
            wrong(format!(
                "most_in_one_state is expected to be whole, from 0 to the {people} people concerned"
            ))
        })?)
    } else {
        None
    };
    let latest = moved(discovered, DAYS)?;
    let year = NaiveDate::from_ymd_opt(discovered.year(), 12, 31)
        .ok_or_else(|| wrong("the year is too far away"))?;
    let secretary = if people >= MANY { latest } else { moved(year, DAYS)? };
    let media = match residents {
        Some(residents) if residents > MANY => json!(written(latest)),
        Some(_) => json!("need not be told"),
        None if people <= MANY => json!("need not be told"),
        None => json!("most_in_one_state decides it"),
    };
    Ok(json!({
        "people": written(latest),
        "secretary": written(secretary),
        "media": media,
        "says": "These are the latest days; all are to be told without unreasonable delay.",
    }))
}

/// Most visits.
const MOST_VISITS: usize = 10_000;

/// The dates of visits and their windows from the day of the first, which is day 1; there is no day 0, as in CDISC SDTM
/// (2013). Errors: `tool_arguments` for no date, no visit, a day 0, windows that are negative.
pub(super) fn visit_windows(given: Given<'_>) -> Result<Value> {
    let baseline = date(given, "baseline")?;
    let visits = given.objects("visits")?;
    if visits.is_empty() || visits.len() > MOST_VISITS {
        return Err(wrong(format!("there are {} visits, expected 1 to {MOST_VISITS}", visits.len())));
    }
    let mut planned = Vec::with_capacity(visits.len());
    for visit in visits {
        let (title, day) = (visit.text("name")?, visit.whole("day", -MOST_DAYS, MOST_DAYS)?);
        let window = if visit.has("window_days") { visit.whole("window_days", 0, MOST_DAYS)? } else { 0 };
        if day == 0 {
            return Err(wrong(format!(
                "visit '{}' is on day 0; the first day is 1, the one before it -1",
                shorten(title)
            )));
        }
        let on = moved(baseline, if day > 0 { day - 1 } else { day })?;
        planned.push(json!({
            "name": title, "day": day, "date": written(on), "weekday": name(on),
            "earliest": written(moved(on, -window)?), "latest": written(moved(on, window)?),
        }));
    }
    Ok(json!({"visits": planned}))
}

fn date(given: Given<'_>, member: &str) -> Result<NaiveDate> {
    let text = given.text(member)?;
    NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d")
        .ok()
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| wrong(format!("{member} is '{}', expected a date such as 2026-03-01", shorten(text))))
}

fn moved(from: NaiveDate, days: i64) -> Result<NaiveDate> {
    let by = Days::new(days.unsigned_abs());
    let to = if days < 0 { from.checked_sub_days(by) } else { from.checked_add_days(by) };
    to.filter(|to| (1..=9999).contains(&to.year()))
        .ok_or_else(|| wrong("the date is outside of the years 1 to 9999"))
}

fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

fn written(day: NaiveDate) -> String {
    format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
}

fn name(day: NaiveDate) -> &'static str {
    match day.weekday() {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{of, refused};
    use super::*;

    #[test]
    fn days_are_counted() {
        let day = |start: &str, days: i64, working: bool| {
            of(add_days, json!({"start": start, "days": days, "working_days": working}))["date"].clone()
        };
        assert_eq!(day("2024-02-28", 2, false), "2024-03-01");
        assert_eq!(day("2025-03-01", -1, false), "2025-02-28");
        // 1 January 2026 is a Thursday.
        assert_eq!(day("2026-01-01", 2, true), "2026-01-05");
        assert_eq!(day("2026-01-03", 1, true), "2026-01-05");
        assert_eq!(day("2026-01-05", -1, true), "2026-01-02");
        assert_eq!(of(add_days, json!({"start": "2026-01-01", "days": 0}))["weekday"], "Thursday");
        for start in ["2025-02-29", "01.02.2025", ""] {
            refused(add_days, json!({"start": start, "days": 1}));
        }
        refused(add_days, json!({"start": "9999-12-31", "days": 1}));
        refused(add_days, json!({"start": "2025-01-01", "days": 1e9}));
    }

    #[test]
    fn breaches_are_told_in_time() {
        let breach = |people: i64, most: Value| {
            of(
                breach_deadlines,
                json!({"discovered": "2025-01-15", "people": people, "most_in_one_state": most}),
            )
        };
        // 60 days after 15 January 2025, and after its 31 December.
        let few = breach(499, Value::Null);
        assert_eq!((&few["people"], &few["secretary"]), (&json!("2025-03-16"), &json!("2026-03-01")));
        assert_eq!(few["media"], "need not be told");
        let many = breach(500, json!(500));
        assert_eq!((&many["secretary"], &many["media"]), (&json!("2025-03-16"), &json!("need not be told")));
        assert_eq!(breach(600, json!(501))["media"], "2025-03-16");
        assert_eq!(breach(600, Value::Null)["media"], "most_in_one_state decides it");
        // Before a leap year's 1 March.
        let leap = of(breach_deadlines, json!({"discovered": "2023-07-01", "people": 3}));
        assert_eq!(leap["secretary"], "2024-02-29");
        refused(breach_deadlines, json!({"discovered": "2025-01-15", "people": 3, "most_in_one_state": 4}));
    }

    #[test]
    fn there_is_no_day_0() {
        let visits = json!([
            {"name": "screening", "day": -7, "window_days": 3}, {"name": "first", "day": 1}, {"name": "week 4", "day": 29, "window_days": 2},
        ]);
        let planned = of(visit_windows, json!({"baseline": "2026-03-10", "visits": visits}));
        let at = |i: usize| (planned["visits"][i]["date"].clone(), planned["visits"][i]["latest"].clone());
        assert_eq!(at(0), (json!("2026-03-03"), json!("2026-03-06")));
        assert_eq!(at(1), (json!("2026-03-10"), json!("2026-03-10")));
        assert_eq!(at(2), (json!("2026-04-07"), json!("2026-04-09")));
        refused(visit_windows, json!({"baseline": "2026-03-10", "visits": [{"name": "x", "day": 0}]}));
    }
}

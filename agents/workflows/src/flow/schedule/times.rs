//! When does a schedule come due, in which time zone, and what of hours that a day has twice or not at all?

use chrono::{DateTime, Duration, NaiveDateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use quorate_core::{Code, Error, Result, shorten};

/// Further than this no clock is put back or forward within a day or two, beside where a date is left out.
const SHIFT: i64 = 3 * 3_600;
/// Within so many seconds around a local time that was left out there is its instant.
const AROUND: i64 = 26 * 3_600;
/// How many due times are looked at at most to find one (a pattern whose times all fall into hours that are left out).
const MAX_LOOKS: usize = 100_000;

/// The due times of a schedule: a cron pattern (minute, hour, day of month, month, day of week, or `@daily`) by the clocks of a
/// time zone.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    cron: Cron,
    zone: Tz,
    /// Whether the minute or the hour is `*` or `*/n`: it follows the clock through every hour that there is. Any other pattern
    /// names times of the day, each of which comes once a day.
    flows: bool,
}

impl Times {
    /// Errors: `invalid_argument` for a pattern or a zone that there is not, and for a pattern that never holds.
    pub(crate) fn of(pattern: &str, zone: &str) -> Result<Times> {
        let bad = |why: String| {
            Error::invalid(format!(
                "cron: '{}' is no pattern of minute, hour, day of month, month and day of week, such as '0 6 * * 1', or a word such as '@daily': {why}",
                shorten(pattern)
            ))
        };
        if pattern.len() > 1_000 {
            return Err(bad("it is over 1,000 bytes long".to_owned()));
        }
        let fields: Vec<&str> = pattern.split_whitespace().collect();
        let word = fields.first().is_some_and(|first| first.starts_with('@'));
        if fields.len() != if word { 1 } else { 5 } {
            return Err(bad(format!("it has {} fields", fields.len())));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|e| bad(e.to_string()))?;
        let zone: Tz = zone.parse().map_err(|_| {
            let zone = shorten(zone);
            Error::invalid(format!(
                "timezone: '{zone}' is no time zone of the IANA database, such as 'America/New_York' or 'UTC'"
            ))
        })?;
        let flows = match word {
            true => pattern.trim().eq_ignore_ascii_case("@hourly"),
            false => fields.iter().take(2).any(|field| field.starts_with('*')),
        };
        let times = Times { cron, zone, flows };
        // Four hundred years have every date on every day of the week; a leap day comes within eight.
        let from = DateTime::<Utc>::from_timestamp(946_684_800, 0).unwrap_or_default();
        if times.cron.find_next_occurrence(&from, false).is_err() {
            return Err(bad("no date ever is like this".to_owned()));
        }
        Ok(times)
    }

    /// The next due time after `time`, both in seconds since 1970.
    ///
    /// Errors: `not_finite` for a time beyond the calendar; `invalid_argument` where none comes any more.
    pub(crate) fn after(&self, time: f64) -> Result<f64> {
        let beyond = || Error::new(Code::NotFinite, format!("{time} is no time of the calendar"));
        if !time.is_finite() || !(-2e10..2e11).contains(&time) {
            return Err(beyond());
        }
        let at = DateTime::<Utc>::from_timestamp(time.floor() as i64, 0).ok_or_else(beyond)?;
        let local = self.local(at);
        let offset = |shift: i64| self.seconds_east(at + Duration::seconds(shift));
        // Only around an hour that comes twice does an earlier time of the clock come later.
        let quiet = offset(-SHIFT) == offset(0) && offset(0) == offset(SHIFT);
        let mut clock = if quiet { local } else { local - Duration::seconds(SHIFT) };
        let mut best: Option<(DateTime<Utc>, NaiveDateTime)> = None;
        for look in 0..MAX_LOOKS {
            let none = |_| Error::invalid("no time of this pattern comes any more");
            let next = self.cron.find_next_occurrence(&clock.and_utc(), look == 0);
            clock = match (next, best) {
                (Ok(next), _) => next.naive_utc(),
                (Err(_), Some((best, _))) => return Ok(best.timestamp() as f64),
                (Err(error), None) => return Err(none(error)),
            };
            if let Some((instant, on)) = best
                && clock > on + Duration::seconds(SHIFT)
            {
                return Ok(instant.timestamp() as f64);
            }
            let (instants, twice) = self.instants(clock);
            for instant in instants.into_iter().flatten().filter(|instant| *instant > at) {
                if best.is_none_or(|(earlier, _)| instant < earlier) {
                    best = Some((instant, clock));
                }
            }
            if let (Some((instant, on)), false) = (best, twice)
                && on <= clock
                && self.zone.from_local_datetime(&on).single().is_some()
            {
                return Ok(instant.timestamp() as f64);
            }
        }
        match best {
            Some((instant, _)) => Ok(instant.timestamp() as f64),
            None => Err(Error::invalid("no time of this pattern comes any more")),
        }
    }

    /// The newest due times in `from..=to`, the oldest first, at most so many; and whether there are more before them.
    /// Errors: those of [`Times::after`].
    pub(crate) fn newest(&self, from: f64, to: f64, most: usize) -> Result<(Vec<f64>, bool)> {
        let mut found = std::collections::VecDeque::new();
        for hours in [1.0, 24.0, 768.0, 8_784.0, 87_840.0, f64::INFINITY] {
            let start = (to - hours * 3_600.0).max(from);
            found.clear();
            let mut more = start > from;
            let mut time = self.after(start - 1.0);
            while let Ok(due) = time
                && due <= to
            {
                found.push_back(due);
                if found.len() > most {
                    found.pop_front();
                    more = true;
                }
                time = self.after(due);
            }
            if start <= from || found.len() >= most {
                return Ok((found.into(), more));
            }
        }
        Ok((found.into(), false))
    }

    fn seconds_east(&self, at: DateTime<Utc>) -> i32 {
        self.zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
    }

    fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.zone).naive_local()
    }

    /// When the clocks show a time: for a pattern that flows each time that they do; for any other the first time, or, where they
    /// leave it out, as soon as they show a later one. And whether they show it twice.
    fn instants(&self, clock: NaiveDateTime) -> ([Option<DateTime<Utc>>; 2], bool) {
        use chrono::offset::LocalResult;
        match self.zone.from_local_datetime(&clock) {
            LocalResult::Single(at) => ([Some(at.to_utc()), None], false),
            LocalResult::Ambiguous(first, second) => {
                let (first, second) = (first.to_utc(), second.to_utc());
                let (first, second) = (first.min(second), first.max(second));
                ([Some(first), self.flows.then_some(second)], true)
            }
            LocalResult::None if self.flows => ([None, None], false),
            LocalResult::None => ([self.behind(clock), None], false),
        }
    }

    /// When the clocks first show a time that is not before one that they leave out.
    fn behind(&self, clock: NaiveDateTime) -> Option<DateTime<Utc>> {
        let middle = clock.and_utc().timestamp();
        let (mut before, mut after) = (middle - AROUND, middle + AROUND);
        while after - before > 1 {
            let half = before + (after - before) / 2;
            match self.local(DateTime::from_timestamp(half, 0)?) < clock {
                true => before = half,
                false => after = half,
            }
        }
        DateTime::from_timestamp(after, 0)
    }
}

#[cfg(test)]
mod tests;

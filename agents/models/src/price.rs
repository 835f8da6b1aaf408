//! What does an answer cost?
//!
//! From a dated file that ships (`prices.json`, made by `scripts/prices.py` and never fetched) or from what the caller
//! says. Where the price of a model is not known, the cost is `None`, never 0.

use std::sync::OnceLock;

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reply::Usage;

/// Prices of one model, in US dollars per million tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Tokens read.
    pub input: Rate,
    /// Tokens written.
    pub output: Rate,
    /// Tokens read from the service's cache; `None`: as others that are read.
    pub cached: Option<Rate>,
    /// Tokens written to the cache for minutes; `None`: as others that are read.
    pub cache_written: Option<Rate>,
    /// Tokens written to the cache for an hour; `None`: as those for minutes.
    pub cache_written_1h: Option<Rate>,
    /// Tokens of reasoning; `None`: as others that are written.
    pub reasoning: Option<Rate>,
}

/// A rate, which may rise with the length of what was read: for each step, from how many tokens read on all tokens cost
/// how much. The first step begins at 0, each later one above the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// The same at every length.
    Flat(f64),
    /// By length.
    Steps(Vec<(u64, f64)>),
}

impl Rate {
    /// Dollars per million tokens when `read` tokens were read.
    pub fn at(&self, read: u64) -> f64 {
        match self {
            Rate::Flat(rate) => *rate,
            Rate::Steps(steps) => {
                steps.iter().rev().find(|(from, _)| read > *from || *from == 0).map_or(0.0, |(_, rate)| *rate)
            }
        }
    }
}

impl Price {
    /// A price of input and output alone. Errors: `invalid_argument`, `not_finite`.
    ///
    /// ```
    /// use quorate_models::{Price, Usage};
    /// let price = Price::new(2.5, 10.0)?;
    /// assert_eq!(price.cost(&Usage { input: 1_000_000, output: 100_000, ..Usage::default() }), 3.5);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn new(input: f64, output: f64) -> Result<Self> {
        let price = Price {
            input: Rate::Flat(input),
            output: Rate::Flat(output),
            cached: None,
            cache_written: None,
            cache_written_1h: None,
            reasoning: None,
        };
        price.validate()?;
        Ok(price)
    }

    /// Reads `{"input": 2.5, "output": 10, "cached": 1.25, ...}`. Errors: `invalid_argument`, `not_finite`.
    pub fn from_json(value: &Value) -> Result<Self> {
        let fields = value.as_object().ok_or_else(|| {
            Error::invalid(format!(
                "a price is {}, expected an object with input and output",
                crate::message::kind(value)
            ))
        })?;
        let known = ["input", "output", "cached", "cache_written", "cache_written_1h", "reasoning"];
        if let Some(other) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Error::invalid(format!("a price has no '{other}'; there are {}", known.join(", "))));
        }
        let rate = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value::<Rate>(value.clone()).map(Some).map_err(|_| {
                Error::invalid(format!("the price '{name}' is no number of dollars per million tokens"))
            }),
        };
        let needed = |name: &str| {
            rate(name)?
                .ok_or_else(|| Error::invalid(format!("a price lacks '{name}', dollars per million tokens")))
        };
        let price = Price {
            input: needed("input")?,
            output: needed("output")?,
            cached: rate("cached")?,
            cache_written: rate("cache_written")?,
            cache_written_1h: rate("cache_written_1h")?,
            reasoning: rate("reasoning")?,
        };
        price.validate()?;
        Ok(price)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let all = [&self.cached, &self.cache_written, &self.cache_written_1h, &self.reasoning];
        for rate in all.into_iter().flatten().chain([&self.input, &self.output]) {
            let rates: Vec<f64> = match rate {
                Rate::Flat(rate) => vec![*rate],
                Rate::Steps(steps) => steps.iter().map(|(_, rate)| *rate).collect(),
            };
            if rates.iter().any(|rate| !rate.is_finite()) {
                return Err(Error::new(Code::NotFinite, "a price is not a finite number"));
            }
            if rates.is_empty() || rates.iter().any(|rate| *rate < 0.0) {
                return Err(Error::invalid("a price is below 0, or has no steps"));
            }
            // What lies below the first step would be free, and of steps in disorder a wrong one would hold.
            if let Rate::Steps(steps) = rate
                && (steps.first().is_some_and(|(from, _)| *from != 0)
                    || steps.windows(2).any(|pair| pair[0].0 >= pair[1].0))
            {
                return Err(Error::invalid("the steps of a price do not begin at 0 and rise from there"));
            }
        }
        Ok(())
    }

    /// Whether no token costs anything.
    pub(crate) fn is_free(&self) -> bool {
        let all = [&self.cached, &self.cache_written, &self.cache_written_1h, &self.reasoning];
        all.into_iter().flatten().chain([&self.input, &self.output]).all(|rate| match rate {
            Rate::Flat(rate) => *rate == 0.0,
            Rate::Steps(steps) => steps.iter().all(|(_, rate)| *rate == 0.0),
        })
    }

    /// US dollars for `usage`. Each kind of token is priced once.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let written = self.cache_written.as_ref().unwrap_or(&self.input);
        let written_1h = self.cache_written_1h.as_ref().unwrap_or(written);
        let apart = usage.cached.saturating_add(usage.cache_written).saturating_add(usage.cache_written_1h);
        let parts = [
            (usage.input.saturating_sub(apart), &self.input),
            (usage.cached, self.cached.as_ref().unwrap_or(&self.input)),
            (usage.cache_written, written),
            (usage.cache_written_1h, written_1h),
            (usage.output.saturating_sub(usage.reasoning), &self.output),
            (usage.reasoning, self.reasoning.as_ref().unwrap_or(&self.output)),
        ];
        parts.iter().map(|(tokens, rate)| *tokens as f64 * rate.at(usage.input)).sum::<f64>() / 1e6
    }
}

/// The day whose prices the file holds, as `YYYY-MM-DD`.
pub fn prices_as_of() -> &'static str {
    table()["date"].as_str().unwrap_or_default()
}

/// The price of a model (`WIRE:NAME`) in the file that ships; `None` when it is not there. The name alone decides, also
/// for a service at another address: give the price where that one differs.
pub fn known_price(id: &str) -> Option<Price> {
    let (wire, name) = id.split_once(':')?;
    let rows = table()[wire].as_array()?;
    let matches = |pattern: &str| {
        let (kind, rest) = pattern.split_at_checked(1).unwrap_or_default();
        match kind {
            "=" => name == rest,
            "^" => name.starts_with(rest),
            "*" => name.contains(rest),
            "@" => name.strip_prefix(rest).is_some_and(is_date),
            _ => false,
        }
    };
    let row = rows.iter().find(|row| {
        row["match"].as_array().is_some_and(|patterns| patterns.iter().filter_map(Value::as_str).any(matches))
    })?;
    let mut price = row.as_object()?.clone();
    price.remove("match");
    price.remove("model");
    Price::from_json(&Value::Object(price)).ok()
}

/// `-20250101` or `-2025-01-01`; `@` in the place of the first `-` too.
fn is_date(text: &str) -> bool {
    let Some(date) = text.strip_prefix(['-', '@']) else { return false };
    let digits = date.chars().filter(char::is_ascii_digit).count();
    digits == 8
        && (date.len() == 8
            || date.len() == 10 && date.bytes().enumerate().all(|(i, b)| (b == b'-') == (i == 4 || i == 7)))
}

fn table() -> &'static Value {
    static TABLE: OnceLock<Value> = OnceLock::new();
    TABLE.get_or_init(|| serde_json::from_str(include_str!("prices.json")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What genai-prices computes (`scripts/prices.py`).
    #[test]
    fn costs_are_those_of_genai_prices() {
        let checks: Vec<(String, u64, u64, u64, u64, f64)> =
            serde_json::from_str(include_str!("../tests/fixtures/prices.json")).unwrap();
        assert!(checks.len() > 200);
        for (id, input, cached, cache_written, output, expected) in checks {
            let usage = Usage { input, cached, cache_written, output, ..Usage::default() };
            let cost = known_price(&id).unwrap_or_else(|| panic!("{id}")).cost(&usage);
            assert!((cost - expected).abs() < 1e-9, "{id} {usage:?}: {cost}, expected {expected}");
        }
    }

    #[test]
    fn dates_and_unknown_names() {
        assert_eq!(known_price("openai:gpt-4o-2024-08-06"), known_price("openai:gpt-4o"));
        assert!(known_price("openai:no-such-model").is_none());
        assert!(known_price("local:gpt-4o").is_none());
        assert_eq!(prices_as_of().len(), 10);
    }

    #[test]
    fn cached_and_reasoning_tokens_are_priced_apart() {
        let value = serde_json::json!({"input": 2, "output": 8, "cached": 1, "reasoning": 4});
        let price = Price::from_json(&value).unwrap();
        let usage = Usage {
            input: 1_000_000,
            cached: 500_000,
            output: 1_000_000,
            reasoning: 250_000,
            ..Usage::default()
        };
        assert_eq!(price.cost(&usage), 1.0 + 0.5 + 6.0 + 1.0);
        assert!(Price::from_json(&serde_json::json!({"input": 2})).is_err());
        assert!(Price::from_json(&serde_json::json!({"input": -2, "output": 1})).is_err());
    }

    #[test]
    fn a_rate_has_no_free_tokens_below_its_first_step() {
        let price = Price::from_json(&serde_json::json!({"input": [[200_000, 5.0]], "output": 1.0}));
        let free = price.as_ref().map(|price| price.cost(&Usage { input: 100_000, ..Usage::default() }));
        assert!(price.is_err(), "100,000 tokens cost {free:?}");
        let unsorted =
            Price::from_json(&serde_json::json!({"input": [[200_000, 5.0], [0, 2.0]], "output": 1.0}));
        let cost = unsorted.as_ref().map(|price| price.cost(&Usage { input: 1_000_000, ..Usage::default() }));
        assert!(
            unsorted.is_err() || cost.as_ref().is_ok_and(|cost| *cost == 5.0),
            "1,000,000 tokens cost {cost:?}, expected 5"
        );
    }

    #[test]
    fn sums_of_counts_do_not_wrap_round() {
        let value = serde_json::json!({"input": 1, "output": 0, "cached": 0, "cache_written": 0});
        let price = Price::from_json(&value).unwrap();
        let usage = Usage { input: 1_000_000, cached: u64::MAX, cache_written: 1, ..Usage::default() };
        let cost = std::panic::catch_unwind(|| price.cost(&usage));
        assert_eq!(cost.ok(), Some(0.0), "all that was read came from the cache");
    }
}

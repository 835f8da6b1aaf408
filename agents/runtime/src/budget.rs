//! How much may a run spend, and what is left of it?
//!
//! One [`Ledger`] is shared by all that a run starts. What a step may cost at worst is reserved before it begins and
//! settled after it; what does not fit does not start. Of money, tokens and time [`HELD_BACK`] is kept for the final
//! answer, and of the steps one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quorate_core::{Code, Error, Result};
use quorate_models::Usage;
use serde::{Deserialize, Serialize};

/// The share of money, tokens and time that only the final answer may use.
pub const HELD_BACK: f64 = 0.15;

/// What a run may spend, with all that it starts. `None` is no limit.
///
/// ```
/// use quorate_runtime::Budget;
/// let budget = Budget { max_cost: Some(0.5), max_tool_calls: Some(3), ..Budget::default() };
/// assert!(budget.validate().is_ok());
/// assert_eq!(Budget { max_cost: Some(-1.0), ..budget }.validate().unwrap_err().code().as_str(), "invalid_argument");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// US dollars, above 0.
    pub max_cost: Option<f64>,
    /// Tokens that models read and write, 1 or more. What may be repeated (attempts that break off, repairs of a form) is
    /// reserved as far as it fits, and not repeated beyond; where a whole answer does not fit, a shorter one is asked for, of
    /// at least 64 tokens.
    pub max_tokens: Option<u64>,
    /// Seconds, above 0. Time in which a run waits for a decision does not count; but who is asked while it goes on is not
    /// waited for longer than it has left.
    pub max_seconds: Option<f64>,
    /// Requests to models, 1 or more. Default 20.
    pub max_steps: Option<u64>,
    /// Calls of tools.
    pub max_tool_calls: Option<u64>,
    /// What a budget of money does where the price of a model is unknown.
    pub unpriced: Unpriced,
}

/// What a budget of money does where a price is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It refuses.
    #[default]
    Refuse,
    /// It counts nothing for it.
    Allow,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            max_cost: None,
            max_tokens: None,
            max_seconds: None,
            max_steps: Some(20),
            max_tool_calls: None,
            unpriced: Unpriced::Refuse,
        }
    }
}

impl Budget {
    /// Errors: `invalid_argument`, `not_finite`.
    pub fn validate(&self) -> Result<()> {
        for (name, value) in [("max_cost", self.max_cost), ("max_seconds", self.max_seconds)] {
            match value {
                Some(value) if !value.is_finite() => {
                    return Err(Error::new(
                        Code::NotFinite,
                        format!("budget: {name} is not a finite number"),
                    ));
                }
                Some(value) if value <= 0.0 => {
                    return Err(Error::invalid(format!("budget: {name} is {value}, expected more than 0")));
                }
                _ => {}
            }
        }
        for (name, value) in [("max_tokens", self.max_tokens), ("max_steps", self.max_steps)] {
            if value == Some(0) {
                return Err(Error::invalid(format!("budget: {name} is 0, expected 1 or more")));
            }
        }
        Ok(())
    }
}

/// What was spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// Tokens.
    pub usage: Usage,
    /// US dollars; `None` once something of unknown price was used.
    pub cost: Option<f64>,
    /// US dollars that a budget counts: what is known, and the worst where it is not.
    pub counted: f64,
    /// Requests to models.
    pub steps: u64,
    /// Calls of tools.
    pub tool_calls: u64,
    /// Tokens that a budget counts beside those of `usage`: the worst of attempts of which nobody knows what they used.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Default for Spent {
    fn default() -> Self {
        Spent { usage: Usage::default(), cost: Some(0.0), counted: 0.0, steps: 0, tool_calls: 0, unknown: 0 }
    }
}

impl Spent {
    /// Adds what something else has spent.
    pub fn add(&mut self, other: &Spent) {
        self.usage += other.usage;
        self.cost = self.cost.zip(other.cost).map(|(before, more)| before + more);
        self.counted += other.counted;
        self.steps = self.steps.saturating_add(other.steps);
        self.tool_calls = self.tool_calls.saturating_add(other.tool_calls);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }

    /// What was spent since `before`.
    pub(crate) fn since(&self, before: &Spent) -> Spent {
        let (now, then) = (&self.usage, &before.usage);
        Spent {
            usage: Usage {
                input: now.input.saturating_sub(then.input),
                output: now.output.saturating_sub(then.output),
                cached: now.cached.saturating_sub(then.cached),
                cache_written: now.cache_written.saturating_sub(then.cache_written),
                cache_written_1h: now.cache_written_1h.saturating_sub(then.cache_written_1h),
                reasoning: now.reasoning.saturating_sub(then.reasoning),
            },
            cost: self.cost.zip(before.cost).map(|(now, then)| (now - then).max(0.0)),
            counted: (self.counted - before.counted).max(0.0),
            steps: self.steps.saturating_sub(before.steps),
            tool_calls: self.tool_calls.saturating_sub(before.tool_calls),
            unknown: self.unknown.saturating_sub(before.unknown),
        }
    }

    fn tokens(&self) -> u64 {
        self.usage.input.saturating_add(self.usage.output).saturating_add(self.unknown)
    }
}

/// What a request to a model may use at worst.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Worst {
    pub(crate) tokens: u64,
    /// US dollars; `None` where the price is unknown.
    pub(crate) cost: Option<f64>,
}

impl Worst {
    /// What may be used where one of the two is.
    pub(crate) fn or(self, other: Worst) -> Worst {
        let cost = self.cost.into_iter().chain(other.cost).reduce(f64::max);
        Worst { tokens: self.tokens.max(other.tokens), cost }
    }
}

/// The budget of a run and of all that it starts, with what they have spent and reserved.
#[derive(Clone)]
pub(crate) struct Ledger {
    shared: Arc<Shared>,
    /// Of a run that another one has started: the seconds that had passed then. What is held back is not for its answer.
    within: Option<f64>,
}

struct Shared {
    budget: Budget,
    account: Mutex<Account>,
    /// The ledger of what this run is one part of, which has to allow each step too.
    above: Option<Ledger>,
    /// When the time of the budget began, where that is not the run's own time.
    since: Option<Instant>,
}

#[derive(Default)]
struct Account {
    spent: Spent,
    /// Money, tokens, steps that are reserved.
    reserved: (f64, u64, u64),
    /// Which limit of the ledger above has refused a step.
    cut: Option<&'static str>,
}

/// A reservation; what was not settled when it is dropped is free again.
pub(crate) struct Reservation {
    ledger: Ledger,
    worst: Worst,
    above: Option<Box<Reservation>>,
}

impl Ledger {
    pub(crate) fn new(budget: Budget, spent: Spent) -> Self {
        let account = Account { spent, ..Account::default() };
        Ledger::of(Shared { budget, account: Mutex::new(account), above: None, since: None })
    }

    /// The ledger of many runs, whose time begins now.
    pub(crate) fn of_many(budget: Budget) -> Self {
        let (account, since) = (Mutex::default(), Some(Instant::now()));
        Ledger::of(Shared { budget, account, above: None, since })
    }

    /// The ledger of one run among those of `self`: a step has to fit into both, and nothing of `self` is held back.
    pub(crate) fn below(&self, budget: Budget) -> Self {
        let above = Some(self.clone());
        Ledger::of(Shared { budget, account: Mutex::default(), above, since: None })
    }

    fn of(shared: Shared) -> Self {
        Ledger { shared: Arc::new(shared), within: None }
    }

    /// The same ledger for a run that this one starts when `seconds` have passed.
    pub(crate) fn within(&self, seconds: f64) -> Self {
        Ledger { shared: Arc::clone(&self.shared), within: Some(self.within.unwrap_or(0.0) + seconds) }
    }

    /// Counts what was spent before.
    pub(crate) fn count(&self, spent: &Spent) {
        if let Some(above) = &self.shared.above {
            above.count(spent);
        }
        self.account().spent.add(spent);
    }

    /// Which limit of the ledger above has refused a step of this run.
    pub(crate) fn cut(&self) -> Option<&'static str> {
        self.account().cut
    }

    /// Whether tokens or money are limited, so that the worst case of a request matters.
    pub(crate) fn counts(&self) -> bool {
        let budget = self.budget();
        budget.max_tokens.is_some()
            || budget.max_cost.is_some()
            || self.shared.above.as_ref().is_some_and(Ledger::counts)
    }

    fn passed(&self, seconds: f64) -> f64 {
        let own = || self.within.unwrap_or(0.0) + seconds;
        self.shared.since.map_or_else(own, |since| since.elapsed().as_secs_f64())
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.shared.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether other runs may spend of it at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        self.within.is_some() || self.shared.above.is_some()
    }

    /// Whether a request would fit. Or says which limit it would break.
    pub(crate) fn fits(&self, worst: Worst, seconds: f64, last: bool) -> Result<(), &'static str> {
        // A limit above that is only looked at has refused nothing.
        let cut = self.account().cut;
        let fits = self.reserve(worst, seconds, last).map(drop);
        self.account().cut = cut;
        fits
    }

    /// Reserves a request to a model; `last` may use what is held back. `seconds` have passed. Or says which limit it
    /// would break.
    pub(crate) fn reserve(
        &self,
        worst: Worst,
        seconds: f64,
        last: bool,
    ) -> Result<Reservation, &'static str> {
        let budget = self.budget();
        let seconds = self.passed(seconds);
        let last = last && self.within.is_none();
        let share = if last { 1.0 } else { 1.0 - HELD_BACK };
        let mut account = self.account();
        let (money, tokens, steps) = account.reserved;
        if let Some(most) = budget.max_steps {
            // The last step is the final answer's, unless it is the only one.
            let most = if last || most == 1 { most } else { most - 1 };
            if account.spent.steps + steps + 1 > most {
                return Err("max_steps");
            }
        }
        if let Some(most) = budget.max_seconds
            && seconds >= most * share
        {
            return Err("max_seconds");
        }
        if let Some(most) = budget.max_tokens
            && (account.spent.tokens().saturating_add(tokens).saturating_add(worst.tokens)) as f64
                > most as f64 * share
        {
            return Err("max_tokens");
        }
        if let Some(most) = budget.max_cost
            && account.spent.counted + money + worst.cost.unwrap_or(0.0) > most * share
        {
            return Err("max_cost");
        }
        let above = match &self.shared.above {
            None => None,
            Some(above) => match above.reserve(worst, seconds, true) {
                Ok(reservation) => Some(Box::new(reservation)),
                Err(by) => {
                    account.cut = Some(by);
                    return Err(by);
                }
            },
        };
        account.reserved.0 += worst.cost.unwrap_or(0.0);
        account.reserved.1 = account.reserved.1.saturating_add(worst.tokens);
        account.reserved.2 += 1;
        Ok(Reservation { ledger: self.clone(), worst, above })
    }

    /// Counts a tool's call, or says which limit it would break.
    pub(crate) fn reserve_call(&self, seconds: f64) -> Result<(), &'static str> {
        let budget = self.budget();
        let seconds = self.passed(seconds);
        let share = if self.shared.since.is_some() { 1.0 } else { 1.0 - HELD_BACK };
        if budget.max_seconds.is_some_and(|most| seconds >= most * share) {
            return Err("max_seconds");
        }
        let mut account = self.account();
        if budget.max_tool_calls.is_some_and(|most| account.spent.tool_calls >= most) {
            return Err("max_tool_calls");
        }
        if let Some(Err(by)) = self.shared.above.as_ref().map(|above| above.reserve_call(seconds)) {
            account.cut = Some(by);
            return Err(by);
        }
        account.spent.tool_calls += 1;
        Ok(())
    }

    /// The seconds after which a request that begins when `seconds` have passed is ended.
    pub(crate) fn seconds_left(&self, seconds: f64, last: bool) -> Option<f64> {
        let share = if last && self.within.is_none() { 1.0 } else { 1.0 - HELD_BACK };
        let own = self.budget().max_seconds.map(|most| (most * share - self.passed(seconds)).max(0.0));
        let above = self.shared.above.as_ref().and_then(|above| above.seconds_left(seconds, true));
        match (own, above) {
            (Some(own), Some(above)) => Some(own.min(above)),
            (own, above) => own.or(above),
        }
    }
}

impl Reservation {
    /// What was used instead of the worst.
    pub(crate) fn book(mut self, spent: &Spent) {
        if let Some(above) = self.above.take() {
            above.book(spent);
        }
        self.ledger.account().spent.add(spent);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut account = self.ledger.account();
        account.reserved.0 = (account.reserved.0 - self.worst.cost.unwrap_or(0.0)).max(0.0);
        account.reserved.1 = account.reserved.1.saturating_sub(self.worst.tokens);
        account.reserved.2 = account.reserved.2.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(tokens: u64, cost: f64) -> Worst {
        Worst { tokens, cost: Some(cost) }
    }

    fn used(input: u64, cost: f64) -> Spent {
        let usage = Usage { input, ..Usage::default() };
        Spent { usage, cost: Some(cost), counted: cost, steps: 1, ..Spent::default() }
    }

    #[test]
    fn what_is_reserved_counts_until_it_is_settled() {
        let ledger = Ledger::new(Budget { max_cost: Some(1.0), ..Budget::default() }, Spent::default());
        let first = ledger.reserve(worst(1, 0.5), 0.0, false).ok().unwrap();
        assert_eq!(ledger.reserve(worst(1, 0.4), 0.0, false).err(), Some("max_cost"));
        assert!(ledger.reserve(worst(1, 0.4), 0.0, true).is_ok());
        first.book(&used(0, 0.1));
        assert!(ledger.reserve(worst(1, 0.4), 0.0, false).is_ok());
        assert_eq!(ledger.account().reserved, (0.0, 0, 0));
        // Of a request that failed nobody knows what it cost: what is counted counts.
        let failed = Spent { cost: None, counted: 0.4, ..used(0, 0.0) };
        ledger.reserve(worst(7, 0.4), 0.0, false).ok().unwrap().book(&failed);
        assert_eq!(ledger.reserve(worst(1, 0.4), 0.0, false).err(), Some("max_cost"));
        // A run that goes on counts the same.
        let again = Ledger::new(ledger.budget().clone(), ledger.account().spent.clone());
        assert_eq!(again.reserve(worst(1, 0.4), 0.0, false).err(), Some("max_cost"));
    }

    #[test]
    fn a_run_within_another_has_its_time_and_nothing_that_is_held_back() {
        let ledger = Ledger::new(Budget { max_seconds: Some(10.0), ..Budget::default() }, Spent::default());
        let inner = ledger.within(6.0).within(1.0);
        assert!(inner.reserve(worst(0, 0.0), 1.0, true).is_ok());
        assert_eq!(inner.reserve(worst(0, 0.0), 1.5, true).err(), Some("max_seconds"));
        assert_eq!((inner.seconds_left(1.0, true), inner.seconds_left(9.0, true)), (Some(0.5), Some(0.0)));
    }

    #[test]
    fn each_limit_stops_and_holds_back_for_the_last() {
        let of = |budget: Budget| Ledger::new(budget, Spent::default());
        let steps = of(Budget { max_steps: Some(2), ..Budget::default() });
        steps.reserve(worst(0, 0.0), 0.0, false).ok().unwrap().book(&used(0, 0.0));
        assert_eq!(steps.reserve(worst(0, 0.0), 0.0, false).err(), Some("max_steps"));
        assert!(steps.reserve(worst(0, 0.0), 0.0, true).is_ok());
        let tokens = of(Budget { max_tokens: Some(100), ..Budget::default() });
        assert_eq!(tokens.reserve(worst(86, 0.0), 0.0, false).err(), Some("max_tokens"));
        assert!(tokens.reserve(worst(85, 0.0), 0.0, false).is_ok());
        assert!(tokens.reserve(worst(100, 0.0), 0.0, true).is_ok());
        let seconds = of(Budget { max_seconds: Some(10.0), ..Budget::default() });
        assert_eq!(seconds.reserve(worst(0, 0.0), 8.5, false).err(), Some("max_seconds"));
        assert_eq!(seconds.seconds_left(8.0, true), Some(2.0));
        let calls = of(Budget { max_tool_calls: Some(1), ..Budget::default() });
        assert!(calls.reserve_call(0.0).is_ok());
        assert_eq!(calls.reserve_call(0.0), Err("max_tool_calls"));
    }

    #[test]
    fn a_step_of_one_of_many_runs_fits_into_both() {
        let many = Ledger::of_many(Budget { max_cost: Some(1.0), max_steps: None, ..Budget::default() });
        let (one, other) = (many.below(Budget::default()), many.below(Budget::default()));
        assert!(one.counts() && !Ledger::new(Budget::default(), Spent::default()).counts());
        let first = one.reserve(worst(10, 0.9), 0.0, false).ok().unwrap();
        assert_eq!(other.reserve(worst(10, 0.2), 0.0, false).err(), Some("max_cost"));
        assert_eq!((one.cut(), other.cut()), (None, Some("max_cost")));
        first.book(&used(3, 0.5));
        let (spent, reserved) = {
            let account = many.account();
            (account.spent.clone(), account.reserved)
        };
        assert_eq!((spent.cost, spent.steps, reserved.1), (Some(0.5), 1, 0));
        let second = other.reserve(worst(10, 0.4), 0.0, false).ok().unwrap();
        drop(second);
        assert_eq!(many.account().reserved.2, 0);
    }
}

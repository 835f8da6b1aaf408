//! What may a request to a model use at worst, and how is it made to fit into what is left of the budget?
//!
//! A call may send its request more than once: attempts that break off, other models, repairs of an answer that has not its
//! form. Each of them may have to be paid for, so each is reserved. What does not fit is left out in this order: repeats,
//! then length of the answer, down to [`LEAST_ANSWER`]; below that the call is not made.

use quorate_core::Result;
use quorate_models::{Model, Output, Price, Reply, Request, Usage};

use crate::budget::{Ledger, Reservation, Spent, Worst};
use crate::machine::ANSWER_TOKENS;

/// How often an answer is mended that has not its form.
const REPAIRS: u32 = 2;
/// Tokens by which a model is told what is wrong with its answer.
const COMPLAINT: u64 = 200;
/// An answer that could not be as long, in tokens, is not asked for.
const LEAST_ANSWER: u32 = 64;
/// Of what a ledger has left that several runs share, repeats of one call may reserve the half.
const SHARED: u64 = 2;

/// A request for which there is room.
pub(crate) struct Reserved {
    pub(crate) reservation: Reservation,
    /// As it may be sent.
    pub(crate) request: Request,
    /// The limit for which the answer has to be shorter than it might be.
    pub(crate) capped: Option<&'static str>,
    /// What it may use at worst where it is sent once.
    once: Worst,
}

impl Reserved {
    /// Counts what was used; of requests of which nobody knows that, the worst.
    pub(crate) fn settle(self, reply: &Reply) -> Spent {
        let unknown = self.once.tokens.saturating_mul(u64::from(reply.unknown));
        let sent = f64::from(reply.attempts.max(1));
        let counted = reply.cost.or_else(|| self.once.cost.map(|cost| cost * sent)).unwrap_or(0.0);
        let spent = Spent { usage: reply.usage, cost: reply.cost, counted, steps: 1, tool_calls: 0, unknown };
        self.reservation.book(&spent);
        spent
    }
}

/// Makes room for a request. Or says which limit it would break.
pub(crate) fn reserve(
    ledger: &Ledger,
    model: &Model,
    mut request: Request,
    seconds: f64,
    last: bool,
) -> Result<Result<Reserved, &'static str>> {
    if !ledger.counts() {
        let once = Worst { tokens: 0, cost: Some(0.0) };
        return Ok(ledger.reserve(once, seconds, last).map(|reservation| Reserved {
            reservation,
            request,
            capped: None,
            once,
        }));
    }
    let asked = Asked::of(model, &request);
    let form = request.output.clone();
    let repairs = if form.is_some() { REPAIRS } else { 0 };
    let written = request.max_tokens.unwrap_or(ANSWER_TOKENS);
    let mut room = |ledger: &Ledger, sent: u32, written: u32, capped| {
        let worst = asked.worst(sent, repairs.min(sent - 1), written);
        let often = Worst {
            tokens: worst.tokens.saturating_mul(SHARED),
            cost: worst.cost.map(|cost| cost * SHARED as f64),
        };
        if sent > 1 && ledger.is_shared() {
            ledger.fits(often, seconds, last)?;
        }
        let reservation = ledger.reserve(worst, seconds, last)?;
        request.most_billed = Some(sent);
        request.max_tokens = Some(written);
        let once = asked.worst(1, 0, written);
        Ok(Reserved { reservation, request: request.clone(), capped, once })
    };
    let most = asked.attempts.saturating_mul(repairs + 1).max(1);
    let mut by = "max_tokens";
    for sent in (1..=most).rev() {
        match room(ledger, sent, written, None) {
            Ok(reserved) => return with_repairs(reserved, form, repairs.min(sent - 1)).map(Ok),
            Err(limit) => by = limit,
        }
    }
    if !matches!(by, "max_tokens" | "max_cost") {
        return Ok(Err(by));
    }
    // The longest answer that fits; what is left may change meanwhile, since others spend too.
    let (mut fits, mut over) = (None, written);
    let mut least = LEAST_ANSWER;
    while least < over {
        let middle = if fits.is_none() { least } else { least + (over - least) / 2 };
        if ledger.fits(asked.worst(1, 0, middle), seconds, last).is_ok() {
            fits = Some(middle);
            least = middle + 1;
        } else {
            over = middle;
        }
    }
    let Some(written) = fits else { return Ok(Err(by)) };
    match room(ledger, 1, written, Some(by)) {
        Ok(reserved) => with_repairs(reserved, form, 0).map(Ok),
        Err(by) => Ok(Err(by)),
    }
}

fn with_repairs(mut reserved: Reserved, form: Option<Output>, repairs: u32) -> Result<Reserved> {
    reserved.request.output = form.map(|form| form.repairs(repairs)).transpose()?;
    Ok(reserved)
}

/// What each of the models reads that are asked one after the other, what it costs, and how often they may be asked.
struct Asked {
    models: Vec<(u64, Option<Price>)>,
    attempts: u32,
}

impl Asked {
    fn of(model: &Model, request: &Request) -> Self {
        let written = u64::from(request.max_tokens.unwrap_or(ANSWER_TOKENS));
        let all = [vec![model.clone()], model.fallbacks()].concat();
        let reads = |model: &Model| {
            let tokens = model.worst_tokens(request);
            (tokens - written.min(tokens), model.price().cloned())
        };
        let attempts = all.iter().fold(0_u32, |sum, model| sum.saturating_add(model.attempts()));
        Asked { models: all.iter().map(reads).collect(), attempts }
    }

    /// What `sent` requests may use at worst, whichever of the models answers, of which so many are repairs: each reads what
    /// was written before it too.
    fn worst(&self, sent: u32, repairs: u32, written: u32) -> Worst {
        let (sent, repairs, written) = (u64::from(sent), u64::from(repairs), u64::from(written));
        let again = repairs * (repairs + 1) / 2 + sent.saturating_sub(repairs + 1) * repairs;
        let again = (written + COMPLAINT).saturating_mul(again);
        let of = |(reads, price): &(u64, Option<Price>)| {
            let input = reads.saturating_mul(sent).saturating_add(again);
            let output = written.saturating_mul(sent);
            let usage = Usage { input, output, ..Usage::default() };
            Worst {
                tokens: input.saturating_add(output),
                cost: price.as_ref().map(|price| price.cost(&usage)),
            }
        };
        self.models.iter().map(of).reduce(Worst::or).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use quorate_models::{Message, ModelOptions, Resilience, ScriptedModel};

    use super::*;
    use crate::budget::Budget;

    fn model(attempts: u32) -> Model {
        let resilience = Resilience { attempts, ..Resilience::default() };
        let options =
            ModelOptions { price: Price::new(1.0, 1.0).ok(), resilience, ..ModelOptions::default() };
        Model::new(ScriptedModel::of_texts(["x"]), options).unwrap()
    }

    fn request() -> Request {
        Request { max_tokens: Some(2048), ..Request::new(vec![Message::user("Which dose?")]) }
    }

    fn ledger(max_tokens: u64) -> Ledger {
        Ledger::new(Budget { max_tokens: Some(max_tokens), ..Budget::default() }, Spent::default())
    }

    #[test]
    fn repeats_are_reserved_as_far_as_they_fit_and_then_the_answer_is_shorter() {
        let of = |most: u64, attempts: u32, form: bool| {
            let output = form.then(|| Output::new(serde_json::json!({"type": "integer"})).unwrap());
            let request = Request { output, ..request() };
            let reserved = reserve(&ledger(most), &model(attempts), request, 0.0, true).unwrap();
            reserved.map(|reserved| {
                let request = &reserved.request;
                assert!(reserved.once.tokens * u64::from(request.most_billed.unwrap()) <= most);
                (request.most_billed.unwrap(), request.max_tokens.unwrap(), reserved.capped)
            })
        };
        assert_eq!(of(1_000_000, 3, false).ok(), Some((3, 2048, None)));
        assert_eq!(of(1_000_000, 3, true).ok(), Some((9, 2048, None)));
        assert_eq!(of(5_000, 3, false).ok(), Some((2, 2048, None)));
        assert_eq!(of(2_100, 3, false).ok(), Some((1, 2048, None)));
        let (sent, written, capped) = of(500, 3, false).ok().unwrap();
        assert_eq!((sent, capped), (1, Some("max_tokens")));
        assert!((400..500).contains(&written), "{written}");
        assert!(of(60, 3, false).is_err());
        // The longest that fits, to the token.
        let reads = Asked::of(&model(1), &request()).models[0].0;
        assert_eq!(of(reads + 64, 1, false).ok(), Some((1, 64, Some("max_tokens"))));
        assert_eq!(of(reads + 300, 1, false).ok(), Some((1, 300, Some("max_tokens"))));
        assert!(of(reads + 63, 1, false).is_err());
    }

    #[test]
    fn what_nobody_knows_is_settled_at_its_worst_and_no_more() {
        let ledger = ledger(100_000);
        let reserved = reserve(&ledger, &model(3), request(), 0.0, true).unwrap().ok().unwrap();
        let once = reserved.once.tokens;
        let usage = Usage { input: 10, output: 5, ..Usage::default() };
        let reply = Reply { usage, cost: None, attempts: 2, unknown: 1, ..Reply::default() };
        let spent = reserved.settle(&reply);
        assert_eq!((spent.usage, spent.unknown, spent.cost), (usage, once, None));
        assert!((spent.counted - 2.0 * once as f64 / 1e6).abs() < 1e-12, "{}", spent.counted);
        let reserved = reserve(&ledger, &model(3), request(), 0.0, true).unwrap().ok().unwrap();
        let reply = Reply { usage, cost: Some(0.25), attempts: 1, ..Reply::default() };
        assert_eq!((reserved.settle(&reply).counted, spent.steps), (0.25, 1));
    }

    #[test]
    fn one_of_several_runs_leaves_room_for_the_others() {
        let shared = ledger(10_000);
        let (one, other) = (shared.within(0.0), shared.within(0.0));
        let first = reserve(&one, &model(3), request(), 0.0, false).unwrap().ok().unwrap();
        let second = reserve(&other, &model(3), request(), 0.0, false).unwrap().ok().unwrap();
        assert_eq!((first.request.max_tokens, second.request.max_tokens), (Some(2048), Some(2048)));
    }
}

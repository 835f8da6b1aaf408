//! How is somebody asked to decide while a run goes on?

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Code, Error, Result};
use serde_json::Value;

use super::Drive;
use super::aside::aside;
use crate::fact::{Decision, Fact};
use crate::machine::{PLAN_ID, Pending};

impl Drive {
    /// Asks about each of `pending`, and says whether the run goes on; if not, it waits for those that nobody has decided. An
    /// error of who is asked leaves its call undecided; whoever takes longer than the budget has is not waited for.
    #[inline(never)]
    pub(super) fn ask_for(&mut self, pending: &[Pending]) -> Result<bool> {
        let Some(approve) = self.approve.clone() else { return Ok(false) };
        let mut all = true;
        for one in pending {
            // Who is asked here was asked in the run that waits, too.
            if self.told.contains(&one.id) {
                all = false;
                continue;
            }
            // What was decided is durable before the next one is asked about.
            self.flush(None)?;
            let left = self.ledger.seconds_left(self.machine.seconds(), false);
            let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
            let (asked, about, flag) = (Arc::clone(&approve), one.clone(), self.cancel.child());
            let cancel = flag.clone();
            let Some(decided) = aside(&self.cancel, left, move || asked.decide(&about, &cancel))? else {
                flag.cancel();
                self.out_of_time(pending)?;
                return Ok(true);
            };
            let decided = decided.and_then(|decision| {
                decision.as_ref().map_or(Ok(()), |decision| self.validate(&one.id, decision))?;
                Ok(decision)
            });
            match decided {
                Ok(Some(decision)) => self.note(Fact::Decided { id: one.id.clone(), decision })?,
                Ok(None) => all = false,
                Err(error) if error.code() == Code::Cancelled && self.watched.cancelled()? => {
                    return Err(error);
                }
                Err(error) => {
                    all = false;
                    let message =
                        format!("nothing is decided about '{}': approve: {}", one.id, error.message());
                    self.note(Fact::Warned { code: Some(error.code().as_str().to_owned()), message })?;
                }
            }
        }
        Ok(all)
    }

    /// The budget's time is over while somebody is asked.
    fn out_of_time(&mut self, pending: &[Pending]) -> Result<()> {
        for one in pending {
            // Of a plan it is the step as a whole.
            let call = self.machine.asking_call(&one.id).unwrap_or_else(|| one.id.clone());
            let id = (one.id != PLAN_ID).then_some(call);
            self.note(Fact::Refused { id, by: "max_seconds".to_owned() })?;
        }
        Ok(())
    }

    /// Errors: `tool_arguments` for edited arguments that do not fit the tool, `invalid_argument` for a plan that is none.
    pub(crate) fn validate(&self, id: &str, decision: &Decision) -> Result<()> {
        let Decision::Arguments(arguments) = decision else { return Ok(()) };
        let below = self.machine.asked_below(id);
        let card = match below {
            // What it may call, this run may call too; where not, it is checked there.
            Some(below) => self.machine.spec.tools.iter().find(|card| card.name == below.name),
            None => self.machine.card_of(id),
        };
        match card {
            Some(card) => quorate_models::check_arguments(&card.spec(), &Value::Object(arguments.clone())),
            None if below.is_some() || arguments.get("steps").is_some_and(Value::is_array) => Ok(()),
            None => Err(Error::invalid("a plan is changed by {\"arguments\": {\"steps\": [...]}}")),
        }
    }
}

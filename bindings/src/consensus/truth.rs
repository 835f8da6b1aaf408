//! How is truth inferred for a host?

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_consensus::truth::{self, EmOptions, GladOptions, MaceOptions, OnlineDawidSkene, Truth};
use quorate_consensus::{Label, Ratings};
use quorate_core::{Error, Result};
use serde::de::DeserializeOwned;

use super::ratings::{self, Values, pairs};
use crate::read::{self, floats, label};
use crate::{Answer, Args, Given, Host};

/// What is true, how sure that is, and how far each rater can be trusted.
fn answer(truth: Truth) -> Answer {
    let (n, k, r) = (truth.items.len(), truth.classes.len(), truth.raters.len());
    let confusion = truth.confusion.map(|numbers| Answer::Array(numbers, vec![r, k, k]));
    let members = [
        ("method", truth.method.into()),
        ("items", Answer::labels(&truth.items)),
        ("item_labels", Answer::labels(&truth.labels)),
        ("classes", Answer::labels(&truth.classes)),
        ("probability_array", Answer::Array(truth.probabilities, vec![n, k])),
        ("raters", Answer::labels(&truth.raters)),
        ("rater_skills", truth.skills.into()),
        ("confusion_array", confusion.unwrap_or(Answer::from(()))),
        ("class_shares", truth.class_prior.into()),
        ("item_difficulty", truth.difficulty.into()),
        ("log_likelihood", truth.log_likelihood.into()),
        ("iterations", truth.iterations.into()),
        ("converged", truth.converged.into()),
        ("ties", Answer::labels(&truth.ties)),
    ];
    Answer::Members(members.map(|(name, answer)| (name.to_owned(), answer)).into())
}

fn data(args: &mut Args) -> Result<Arc<Ratings>> {
    ratings::take(args, Values::Named, true, "form")
}

fn present(given: Given, what: &str) -> Result<Label> {
    label(given, what)?.ok_or_else(|| Error::invalid(format!("{what} is missing")))
}

/// Items whose true label is known.
fn gold(args: &mut Args, data: &Ratings) -> Result<Vec<(Label, Label)>> {
    let known = if args.host() == Host::Node { data.items() } else { &[] };
    let gold = args.maybe("gold", |given, what| pairs(given, what, || known.to_vec(), present))?;
    Ok(gold.unwrap_or_default())
}

/// A method without options.
pub fn plain(mut args: Args, method: fn(&Ratings) -> Result<Truth>) -> Result<Answer> {
    let data = data(&mut args)?;
    args.done()?;
    method(&data).map(answer)
}

/// A method whose options are all by name.
pub fn with<O: DeserializeOwned>(
    mut args: Args,
    method: fn(&Ratings, &O) -> Result<Truth>,
) -> Result<Answer> {
    let data = data(&mut args)?;
    method(&data, &args.rest()?).map(answer)
}

/// Dawid and Skene's model, whole or with one coin.
pub fn em(mut args: Args, method: fn(&Ratings, &EmOptions) -> Result<Truth>) -> Result<Answer> {
    let data = data(&mut args)?;
    let gold = gold(&mut args, &data)?;
    method(&data, &EmOptions { gold, ..args.rest()? }).map(answer)
}

/// Abilities and difficulties.
pub fn glad(mut args: Args) -> Result<Answer> {
    let data = data(&mut args)?;
    let gold = gold(&mut args, &data)?;
    let class_prior = args.maybe("class_prior", |given, what| floats(given, what, false))?;
    truth::glad(&data, &GladOptions { gold, class_prior, ..args.rest()? }).map(answer)
}

/// Raters who know, or answer without looking.
pub fn mace(mut args: Args) -> Result<Answer> {
    let data = data(&mut args)?;
    let gold = gold(&mut args, &data)?;
    truth::mace(&data, &MaceOptions { gold, ..args.rest()? }).map(answer)
}

/// Dawid and Skene's model, kept up to date vote by vote.
pub struct Online(Mutex<OnlineDawidSkene>);

impl Online {
    /// An empty model of `classes`, with the options of [`EmOptions`]. Errors: those of [`OnlineDawidSkene::new`].
    pub fn new(host: Host, given: Given) -> Result<Self> {
        let mut args = Args::new(host, "the options", given)?;
        let classes = read::labels(args.take("classes"), "classes")?;
        let gold =
            args.maybe("gold", |given, what| pairs(given, what, Vec::new, present))?.unwrap_or_default();
        OnlineDawidSkene::new(classes, EmOptions { gold, ..args.rest()? })
            .map(|model| Online(Mutex::new(model)))
    }

    fn model(&self) -> MutexGuard<'_, OnlineDawidSkene> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a vote into account. Errors: those of [`OnlineDawidSkene::add`].
    pub fn add(&self, item: Given, rater: Given, value: Given) -> Result<()> {
        let (item, rater, value) =
            (present(item, "item")?, present(rater, "rater")?, present(value, "value")?);
        self.model().add(item, rater, value).map(|_| ())
    }

    /// The probability of each class for an item; null for one without votes.
    pub fn probabilities(&self, item: Given) -> Result<Answer> {
        let (item, model) = (present(item, "item")?, self.model());
        Ok(model
            .probabilities(&item)
            .map_or(Answer::from(()), |row| Answer::Array(row.to_vec(), vec![row.len()])))
    }

    /// The confusion matrix of a rater, true classes x given classes; null for one without votes.
    pub fn confusion(&self, rater: Given) -> Result<Answer> {
        let (rater, model) = (present(rater, "rater")?, self.model());
        Ok(model.confusion(&rater).map_or(Answer::from(()), |numbers| {
            let k = (numbers.len() as f64).sqrt() as usize;
            Answer::Array(numbers, vec![k, k])
        }))
    }

    /// How many votes there are.
    pub fn votes(&self) -> usize {
        self.model().len()
    }

    /// The batch estimate, to which the model is brought. Errors: those of [`OnlineDawidSkene::refit`].
    pub fn refit(&self) -> Result<Answer> {
        self.model().refit().map(answer)
    }
}

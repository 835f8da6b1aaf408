//! How are rankings aggregated for a host? Options are strings or numbers; results name them as they were given.

use std::collections::BTreeMap;

use quorate_consensus::Label;
use quorate_consensus::ranking::{
    self, Comparisons, KemenyConfig, Outcome, Profile, RunoffConfig, StrengthConfig, Strengths, TieBreak,
    Unranked, VoteConfig,
};
use quorate_core::{Error, Result};
use serde_json::Value;

use crate::read::{choose, count, floats, label, list, number, shape, text, whole};
use crate::{Answer, Args, Given};

/// Options of any kind as the names that the methods take, and back.
#[derive(Default)]
struct Names {
    of: BTreeMap<String, Label>,
    /// All options in their order, where they were listed.
    listed: Option<Vec<String>>,
}

impl Names {
    /// With the options that are listed among the arguments.
    fn new(args: &mut Args) -> Result<Names> {
        let mut names = Names::default();
        names.listed = args.maybe("options", |given, what| names.all(given, what))?;
        Ok(names)
    }

    fn name(&mut self, option: Given, what: &str) -> Result<String> {
        let expected = |what: &str, kind: String| {
            Error::invalid(format!("{what} is {kind}; a string or a number is expected"))
        };
        let option = match option {
            Given::Bool(_) => return Err(expected(what, option.kind())),
            // As texts, numbers are told apart however large they are.
            Given::Number(x) if !x.is_nan() => Label::from(x),
            option => {
                let kind = option.kind();
                label(option, what)?.ok_or_else(|| expected(what, kind))?
            }
        };
        let name = option.to_string();
        match self.of.get(&name) {
            Some(known) if known.as_str().is_some() != option.as_str().is_some() => {
                let shown = quorate_core::shorten(&name);
                Err(Error::invalid(format!(
                    "the options {shown} (a number) and '{shown}' have the same name"
                )))
            }
            Some(_) => Ok(name),
            None => {
                self.of.insert(name.clone(), option);
                Ok(name)
            }
        }
    }

    fn all(&mut self, options: Given, what: &str) -> Result<Vec<String>> {
        list(options, what)?
            .into_iter()
            .enumerate()
            .map(|(i, option)| self.name(option, &format!("{what}[{i}]")))
            .collect()
    }

    /// All options: as they were listed, or those that appear, numbers before texts.
    fn every(&self) -> Vec<String> {
        self.listed.clone().unwrap_or_else(|| {
            let mut every: Vec<(&String, &Label)> = self.of.iter().collect();
            every.sort_by(|a, b| a.1.cmp(b.1));
            every.into_iter().map(|(name, _)| name.clone()).collect()
        })
    }

    fn back(&self, name: &str) -> Label {
        self.of.get(name).cloned().unwrap_or_else(|| Label::from(name))
    }

    fn options(&self, names: &[String]) -> Answer {
        Answer::List(names.iter().map(|name| Answer::Label(self.back(name))).collect())
    }

    fn groups(&self, groups: &[Vec<String>]) -> Answer {
        Answer::List(groups.iter().map(|group| self.options(group)).collect())
    }

    fn table(&self, names: &[String], numbers: &[f64]) -> Answer {
        let row = |(name, number): (&String, &f64)| (self.back(name), Answer::from(*number));
        Answer::Labelled(names.iter().zip(numbers).map(row).collect())
    }

    /// The result of a voting method, with `more` members.
    fn outcome<const N: usize>(&self, found: &Outcome, more: [(&str, Answer); N]) -> Answer {
        let winner = match (&found.order, &found.winners[..]) {
            (Some(order), _) if !order.is_empty() => Answer::Label(self.back(&order[0])),
            (_, [only]) => Answer::Label(self.back(only)),
            _ => Answer::Value(Value::Null),
        };
        let ranking = found.order.clone().unwrap_or_else(|| found.tiers.concat());
        let members = [
            ("method", found.method.into()),
            ("options", self.options(&found.options)),
            ("scores", self.table(&found.options, &found.scores)),
            ("winners", self.options(&found.winners)),
            ("winner", winner),
            ("tiers", self.groups(&found.tiers)),
            ("ranking", self.options(&ranking)),
            ("order", found.order.as_ref().map_or(Answer::from(()), |order| self.options(order))),
            ("broken", self.groups(&found.broken)),
        ];
        let named = |(name, answer): (&str, Answer)| (name.to_owned(), answer);
        Answer::Members(members.into_iter().chain(more).map(named).collect())
    }

    fn strengths(&self, found: &Strengths) -> Answer {
        let options = &found.outcome.options;
        self.outcome(
            &found.outcome,
            [
                ("strengths", self.table(options, &found.log_strengths)),
                ("shares", self.table(options, &found.shares)),
                ("log_likelihood", found.log_likelihood.into()),
                ("iterations", found.iterations.into()),
                ("converged", found.converged.into()),
                ("alpha", found.alpha.into()),
                ("components", self.groups(&found.components)),
            ],
        )
    }
}

/// The rankings among the arguments: a list of them, with `weights`, or how many gave each.
fn profile(args: &mut Args, unranked: Unranked) -> Result<(Names, Profile)> {
    let mut names = Names::new(args)?;
    let (rankings, counts) = match args.take("rankings") {
        Given::Pairs(counted) => counted.into_iter().unzip(),
        Given::Object(none) if none.is_empty() => (Vec::new(), Vec::new()),
        given => (list(given, "rankings")?, Vec::new()),
    };
    let weights = match (counts.is_empty(), args.take("weights")) {
        (true, Given::Undefined | Given::Null) => vec![1.0; rankings.len()],
        (true, given) => floats(given, "weights", false)?,
        (false, Given::Undefined | Given::Null) => floats(Given::List(counts), "weights", false)?,
        (false, _) => return Err(Error::invalid("give counts of the rankings or weights, not both")),
    };
    if weights.len() != rankings.len() {
        return Err(shape(format!("there are {} rankings and {} weights", rankings.len(), weights.len())));
    }
    let mut tiers: Vec<Vec<Vec<String>>> = Vec::with_capacity(rankings.len());
    for (i, ranking) in rankings.into_iter().enumerate() {
        let read = list(ranking, &format!("rankings[{i}]"))?.into_iter().enumerate().map(|(j, tier)| {
            let what = format!("rankings[{i}][{j}]");
            let mut tier = match tier {
                tier @ (Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_)) => {
                    names.all(tier, &what)?
                }
                option => vec![names.name(option, &what)?],
            };
            // Options of one tier have no order of their own; a set has none at all.
            tier.sort();
            Ok(tier)
        });
        tiers.push(read.collect::<Result<_>>()?);
    }
    let mut profile = Profile::new(names.every())?.with_unranked(unranked);
    for (i, (ranking, weight)) in tiers.iter().zip(weights).enumerate() {
        profile.add_tiers(ranking, weight).map_err(|e| e.context(format_args!("rankings[{i}]")))?;
    }
    Ok((names, profile))
}

/// How ties are broken, and the seed of it.
fn tie_break(args: &mut Args) -> Result<(TieBreak, u64)> {
    let seed = args.or("seed", 0, whole)?;
    let ways = [("lexicographic", TieBreak::Lexicographic), ("random", TieBreak::Random { seed })];
    let named = args.maybe("tie_break", |given, what| match text(given, what)?.as_str() {
        "none" => Ok(TieBreak::None),
        name => choose(what, name, &ways),
    })?;
    Ok((named.unwrap_or_default(), seed))
}

/// A method of pairwise comparison or of points.
pub fn vote(mut args: Args, method: fn(&Profile, &VoteConfig) -> Result<Outcome>) -> Result<Answer> {
    let unranked = args.typed("unranked", Unranked::default())?;
    let (tie_break, _) = tie_break(&mut args)?;
    let (names, profile) = profile(&mut args, unranked)?;
    let config = VoteConfig { tie_break, ..args.rest()? };
    Ok(names.outcome(&method(&profile, &config)?, []))
}

/// Kemeny's method.
pub fn kemeny(mut args: Args) -> Result<Answer> {
    let unranked = args.typed("unranked", Unranked::default())?;
    let (tie_break, seed) = tie_break(&mut args)?;
    let (names, profile) = profile(&mut args, unranked)?;
    let defaults = KemenyConfig::default();
    let config = KemenyConfig {
        exact_options: args.maybe("exact_options", count)?.unwrap_or(defaults.exact_options),
        max_orders: args.maybe("max_orders", count)?.unwrap_or(defaults.max_orders),
        restarts: args.maybe("restarts", count)?.unwrap_or(defaults.restarts),
        seed,
        tie_break,
    };
    args.done()?;
    let found = ranking::kemeny(&profile, &config)?;
    Ok(names.outcome(
        &found.outcome,
        [
            ("orders", names.groups(&found.orders)),
            ("orders_complete", found.orders_complete.into()),
            ("agreement", found.agreement.into()),
            ("distance", found.distance.into()),
            ("lower_bound", found.lower_bound.into()),
            ("exact", found.exact.into()),
        ],
    ))
}

/// Instant runoff.
pub fn instant_runoff(mut args: Args) -> Result<Answer> {
    let unranked = args.typed("unranked", Unranked::default())?;
    let (tie_break, _) = tie_break(&mut args)?;
    let (names, profile) = profile(&mut args, unranked)?;
    let found = ranking::instant_runoff(&profile, &RunoffConfig { tie_break, ..args.rest()? })?;
    let rounds = found
        .rounds
        .iter()
        .map(|round| {
            let tallies = round.tallies.iter().map(|(name, votes)| (names.back(name), Answer::from(*votes)));
            Answer::with(
                round,
                [
                    ("tallies", Answer::Labelled(tallies.collect())),
                    ("eliminated", names.options(&round.eliminated)),
                ],
            )
        })
        .collect::<Result<_>>()?;
    Ok(names.outcome(
        &found.outcome,
        [("rounds", Answer::List(rounds)), ("majority_round", found.majority_round.into())],
    ))
}

/// Plackett and Luce's strengths.
pub fn plackett_luce(mut args: Args) -> Result<Answer> {
    let unranked = args.typed("unranked", Unranked::Silent)?;
    let (tie_break, _) = tie_break(&mut args)?;
    let (names, profile) = profile(&mut args, unranked)?;
    let config = StrengthConfig { tie_break, ..args.rest()? };
    Ok(names.strengths(&ranking::plackett_luce(&profile, unranked, &config)?))
}

/// Strengths from pairwise comparisons.
pub fn paired(
    mut args: Args,
    method: fn(&Comparisons, &StrengthConfig) -> Result<Strengths>,
) -> Result<Answer> {
    let (tie_break, _) = tie_break(&mut args)?;
    let mut names = Names::new(&mut args)?;
    let wins = comparisons(&mut names, args.take("comparisons"), "comparisons")?;
    let ties = match args.take("ties") {
        Given::Undefined | Given::Null => Vec::new(),
        given => comparisons(&mut names, given, "ties")?,
    };
    let mut comparisons = Comparisons::new(names.every())?;
    for (winner, loser, weight) in wins {
        comparisons.add(&winner, &loser, weight)?;
    }
    for (a, b, weight) in ties {
        comparisons.add_tie(&a, &b, weight)?;
    }
    let config = StrengthConfig { tie_break, ..args.rest()? };
    Ok(names.strengths(&method(&comparisons, &config)?))
}

/// Winner, loser, and how often, once unless given.
fn comparisons(names: &mut Names, given: Given, what: &str) -> Result<Vec<(String, String, f64)>> {
    list(given, what)?
        .into_iter()
        .enumerate()
        .map(|(i, one)| {
            let what = format!("{what}[{i}]");
            let wrong = || shape(format!("{what} is not (winner, loser) or (winner, loser, weight)"));
            let mut one = list(one, &what).map_err(|_| wrong())?.into_iter();
            let (Some(a), Some(b), weight, None) = (one.next(), one.next(), one.next(), one.next()) else {
                return Err(wrong());
            };
            let weight = weight.map_or(Ok(1.0), |given| number(given, &format!("{what}[2]")))?;
            Ok((names.name(a, &format!("{what}[0]"))?, names.name(b, &format!("{what}[1]"))?, weight))
        })
        .collect()
}

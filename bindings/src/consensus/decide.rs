//! How do panels, Delphi rounds, swarms, clusters and aligned texts answer a host?

use quorate_consensus::delphi::{self, DelphiConfig, DelphiItem};
use quorate_consensus::panel::{self, Ballot, PanelConfig, Position};
use quorate_consensus::swarm::{self, HoneybeeConfig, SwarmConfig};
use quorate_consensus::text::{self as meaning, ClusterConfig};
use quorate_core::{Error, Result, shorten};
use serde::Serialize;

use super::pooling::{opinions, weights};
use crate::read::{floats, is_flat, list, members, number, rows, text, texts};
use crate::{Answer, Args, Given};

/// Ratings experts x items, and whether there is one item only because they had one dimension.
fn ratings(given: Given, what: &str) -> Result<(Vec<Vec<f64>>, bool)> {
    if is_flat(&given) {
        return Ok((floats(given, what, true)?.into_iter().map(|x| vec![x]).collect(), true));
    }
    Ok((rows(given, what, true)?, false))
}

/// The verdict on a round. What each item has stands at the top too: one value for ratings of one dimension, otherwise a list.
pub fn delphi_round(mut args: Args) -> Result<Answer> {
    let (now, single) = ratings(args.take("ratings"), "ratings")?;
    let before = args.maybe("previous", ratings)?.map(|(rows, _)| rows);
    let config: DelphiConfig = args.rest()?;
    let round = delphi::delphi_round(&now, before.as_deref(), &config)?;
    fn each<T: Serialize>(items: &[DelphiItem], single: bool, of: fn(&DelphiItem) -> T) -> Result<Answer> {
        match items {
            [only] if single => Answer::report(&of(only)),
            items => Answer::report(&items.iter().map(of).collect::<Vec<_>>()),
        }
    }
    let items = &round.items;
    Answer::with(
        &round,
        [
            ("median", each(items, single, |item| item.median)?),
            ("iqr", each(items, single, |item| item.iqr)?),
            ("ipr", each(items, single, |item| item.ipr)?),
            ("ipras", each(items, single, |item| item.ipras)?),
            ("disagreement", each(items, single, |item| item.disagreement)?),
            ("stability", each(items, single, |item| item.stability.clone())?),
        ],
    )
}

/// The decision of a honeybee swarm.
pub fn honeybee(mut args: Args) -> Result<Answer> {
    let values = floats(args.take("values"), "values", false)?;
    let config: HoneybeeConfig = args.rest()?;
    Answer::report(&swarm::honeybee(&values, &config)?)
}

/// A pool found by a particle swarm.
pub fn swarm_pool(mut args: Args) -> Result<Answer> {
    let (opinions, _) = opinions(&mut args, "p")?;
    let weights = weights(&mut args)?;
    let config: SwarmConfig = args.rest()?;
    Answer::report(&swarm::swarm_pool(&opinions, weights.as_deref(), &config)?)
}

/// Answers grouped by meaning.
pub fn semantic_clusters(mut args: Args) -> Result<Answer> {
    let vectors = rows(args.take("vectors"), "vectors", false)?;
    let weights = weights(&mut args)?;
    let config: ClusterConfig = args.rest()?;
    Answer::report(&meaning::semantic_clusters(&vectors, weights.as_deref(), &config)?)
}

/// The one text that several texts vote for, word by word.
pub fn rover(mut args: Args) -> Result<Answer> {
    let word = |(i, given): (usize, Given)| match given {
        Given::Text(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        given => texts(given, &format!("texts[{i}]")),
    };
    let texts = list(args.take("texts"), "texts")?.into_iter().enumerate().map(word);
    let texts = texts.collect::<Result<Vec<Vec<String>>>>()?;
    let weights = weights(&mut args)?;
    args.done()?;
    let found = meaning::rover(&texts, weights.as_deref())?;
    Answer::with(&found, [("text", found.tokens.join(" ").into())])
}

/// What a ballot says, by the name of its kind.
fn position(kind: &str, given: Given, what: &str) -> Result<Position> {
    Ok(match kind {
        "choice" => Position::Choice(text(given, what)?),
        "ranking" => Position::Ranking(texts(given, what)?),
        "number" => Position::Number(number(given, what)?),
        "vector" => Position::Vector(floats(given, what, false)?),
        _ => {
            let shares = members(given, what)?.into_iter().map(|(option, p)| {
                let p = number(p, &format!("{what}.{option}"))?;
                Ok((option, p))
            });
            Position::Probability(shares.collect::<Result<_>>()?)
        }
    })
}

const KINDS: [&str; 5] = ["choice", "ranking", "probability", "number", "vector"];

/// The kind that the type of a position tells.
fn kind_of(position: &Given) -> &'static str {
    match position {
        Given::Text(_) => "choice",
        Given::Object(_) | Given::Pairs(_) => "probability",
        Given::List(items) if matches!(items.first(), Some(Given::Text(_))) => "ranking",
        Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_) => "vector",
        _ => "number",
    }
}

/// A ballot: the voter, one of the five kinds or `position` in their place, and how much it counts.
fn ballot(given: Given, what: &str) -> Result<Ballot> {
    let members = match given {
        Given::Object(members) => members,
        other => return Err(Error::invalid(format!("{what} is {}; a ballot is expected", other.kind()))),
    };
    let (mut positions, mut voter) = (Vec::new(), None);
    let (mut confidence, mut weight, mut rationale) = (1.0, 1.0, None);
    for (name, value) in members {
        match name.as_str() {
            "voter" => voter = Some(text(value, &format!("the voter of {what}"))?),
            _ if value.is_missing()
                && (FIELDS.contains(&name.as_str()) || KINDS.contains(&name.as_str())) => {}
            "position" => positions.push((kind_of(&value), value)),
            "confidence" => confidence = number(value, &format!("the confidence of {what}"))?,
            "weight" => weight = number(value, &format!("the weight of {what}"))?,
            "rationale" => rationale = Some(text(value, &format!("the rationale of {what}"))?),
            name => match KINDS.iter().find(|kind| **kind == name) {
                Some(kind) => positions.push((*kind, value)),
                None => {
                    let message = format!("{what} has the unknown field '{}'", shorten(name));
                    return Err(Error::invalid(message));
                }
            },
        }
    }
    let Some(voter) = voter else { return Err(Error::invalid(format!("{what} names no voter"))) };
    let count = positions.len();
    let (Some((kind, given)), 1) = (positions.pop(), count) else {
        return Err(Error::invalid(format!("{what} takes {count} positions; one is expected")));
    };
    Ok(Ballot { voter, position: position(kind, given, what)?, confidence, weight, rationale })
}

const FIELDS: [&str; 4] = ["position", "confidence", "weight", "rationale"];

/// The ballots: a list of them, or positions by voter.
fn ballots(given: Given) -> Result<Vec<Ballot>> {
    let what = |i| format!("ballots[{i}]");
    match given {
        Given::Object(members) => members
            .into_iter()
            .enumerate()
            .map(|(i, (voter, given))| {
                let position = position(kind_of(&given), given, &what(i))?;
                Ok(Ballot::new(voter, position))
            })
            .collect(),
        given => {
            list(given, "ballots")?.into_iter().enumerate().map(|(i, one)| ballot(one, &what(i))).collect()
        }
    }
}

/// What a panel decides, how firmly, and who differs; `lines` are the arithmetic.
pub fn score_panel(mut args: Args) -> Result<Answer> {
    let ballots = ballots(args.take("ballots"))?;
    let options = args.maybe("options", texts)?.unwrap_or_default();
    let config = PanelConfig { options, ..args.rest()? };
    Answer::report(&panel::score_panel_with(&ballots, &config)?)
}

//! How are rankings aggregated from Node?

use quorate::Result;
use quorate::consensus::ranking::{
    self, Comparisons, KemenyConfig, LastPlaceTies, Outcome, Profile, RunoffConfig, Strength, StrengthConfig,
    Strengths, TieBreak, Unranked, VoteConfig,
};

use crate::convert::{Args, Out, count, floats, list, number, report, text, texts, whole};
use crate::errors::shape;
use crate::value::Given;

const UNRANKED: [(&str, Unranked); 2] = [("last", Unranked::Last), ("silent", Unranked::Silent)];

/// Rankings as tiers of option names with a weight each, and all options in their order.
fn profile(args: &mut Args, unranked: Unranked) -> Result<Profile> {
    let options = texts(args.take("options"), "options")?;
    let weights = floats(args.take("weights"), "weights", false)?;
    let mut profile = Profile::new(options)?.with_unranked(unranked);
    for (i, ranking) in list(args.take("rankings"), "rankings")?.into_iter().enumerate() {
        let tiers = list(ranking, &format!("rankings[{i}]"))?
            .into_iter()
            .enumerate()
            .map(|(j, tier)| texts(tier, &format!("rankings[{i}][{j}]")))
            .collect::<Result<Vec<_>>>()?;
        let weight = weights.get(i).copied().unwrap_or(1.0);
        profile.add_tiers(&tiers, weight).map_err(|e| e.context(format_args!("rankings[{i}]")))?;
    }
    Ok(profile)
}

fn seed(args: &mut Args) -> Result<u64> {
    args.or("seed", 0, whole)
}

fn tie_break(args: &mut Args, seed: u64) -> Result<TieBreak> {
    args.choice(
        "tieBreak",
        &[
            ("none", TieBreak::None),
            ("lexicographic", TieBreak::Lexicographic),
            ("random", TieBreak::Random { seed }),
        ],
    )
}

/// A method of pairwise comparison or of points.
pub fn vote(mut args: Args, method: fn(&Profile, &VoteConfig) -> Result<Outcome>) -> Result<Out> {
    let seed = seed(&mut args)?;
    let config = VoteConfig {
        strength: args.choice(
            "strength",
            &[("margins", Strength::Margins), ("winning_votes", Strength::WinningVotes)],
        )?,
        tie_break: tie_break(&mut args, seed)?,
    };
    let unranked = args.choice("unranked", &UNRANKED)?;
    let profile = profile(&mut args, unranked)?;
    args.done()?;
    report(&method(&profile, &config)?)
}

/// Kemeny's method.
pub fn kemeny(mut args: Args) -> Result<Out> {
    let (defaults, seed) = (KemenyConfig::default(), seed(&mut args)?);
    let config = KemenyConfig {
        exact_options: args.or("exactOptions", defaults.exact_options, count)?,
        max_orders: args.or("maxOrders", defaults.max_orders, count)?,
        restarts: args.or("restarts", defaults.restarts, count)?,
        seed,
        tie_break: tie_break(&mut args, seed)?,
    };
    let unranked = args.choice("unranked", &UNRANKED)?;
    let profile = profile(&mut args, unranked)?;
    args.done()?;
    report(&ranking::kemeny(&profile, &config)?)
}

/// Instant runoff.
pub fn instant_runoff(mut args: Args) -> Result<Out> {
    let seed = seed(&mut args)?;
    let config = RunoffConfig {
        last_place_ties: args.choice(
            "lastPlaceTies",
            &[
                ("together", LastPlaceTies::Together),
                ("tie_break", LastPlaceTies::TieBreak),
                ("parallel_universes", LastPlaceTies::ParallelUniverses),
            ],
        )?,
        tie_break: tie_break(&mut args, seed)?,
    };
    let unranked = args.choice("unranked", &UNRANKED)?;
    let profile = profile(&mut args, unranked)?;
    args.done()?;
    report(&ranking::instant_runoff(&profile, &config)?)
}

fn strengths(args: &mut Args) -> Result<StrengthConfig> {
    let seed = seed(args)?;
    Ok(StrengthConfig {
        alpha: args.maybe("alpha", number)?,
        max_iter: args.or("maxIter", 100, count)?,
        tol: args.or("tol", 1e-9, number)?,
        tie_break: tie_break(args, seed)?,
    })
}

/// Plackett and Luce's strengths.
pub fn plackett_luce(mut args: Args) -> Result<Out> {
    let config = strengths(&mut args)?;
    let unranked = args.or("unranked", Unranked::Silent, |given, what| {
        crate::convert::choose(what, &text(given, what)?, &UNRANKED)
    })?;
    let profile = profile(&mut args, unranked)?;
    args.done()?;
    report(&ranking::plackett_luce(&profile, unranked, &config)?)
}

/// Strengths from pairwise comparisons.
pub fn paired(mut args: Args, method: fn(&Comparisons, &StrengthConfig) -> Result<Strengths>) -> Result<Out> {
    let config = strengths(&mut args)?;
    let mut comparisons = Comparisons::new(texts(args.take("options"), "options")?)?;
    for (winner, loser, weight) in outcomes(args.take("comparisons"), "comparisons")? {
        comparisons.add(&winner, &loser, weight)?;
    }
    for (a, b, weight) in outcomes(args.take("ties"), "ties")? {
        comparisons.add_tie(&a, &b, weight)?;
    }
    args.done()?;
    report(&method(&comparisons, &config)?)
}

fn outcomes(given: Given, what: &str) -> Result<Vec<(String, String, f64)>> {
    list(given, what)?
        .into_iter()
        .enumerate()
        .map(|(i, one)| {
            let what = format!("{what}[{i}]");
            let Ok([a, b, weight]) = <[Given; 3]>::try_from(list(one, &what)?) else {
                return Err(shape(format!("{what} is not (winner, loser, weight)")));
            };
            Ok((text(a, &what)?, text(b, &what)?, number(weight, &what)?))
        })
        .collect()
}

//! How do the methods of consensus answer the fixture?

use quorate::consensus::agreement::{self, AlphaOptions, IccForm, KappaOptions, Level, Weights};
use quorate::consensus::delphi::{self, DelphiConfig};
use quorate::consensus::panel::{self, Ballot, Decision, PanelConfig, Position};
use quorate::consensus::pooling::{self, Opinions};
use quorate::consensus::ranking::{self, KemenyConfig, Profile, RunoffConfig, VoteConfig};
use quorate::consensus::swarm::{self, HoneybeeConfig, Objective, SwarmConfig};
use quorate::consensus::text::{self, ClusterConfig};
use quorate::consensus::truth::{self, EmOptions, GladOptions, MaceOptions, Truth, ZeroBasedSkillOptions};
use quorate::consensus::{Column, Label, Ratings, RatingsOptions, density, minority};
use quorate::{Code, Error, Result};
use serde_json::{Map, Value, json};

use crate::Done;
use crate::args::Args;
use crate::knowledge::plain;

/// Calls of `quorate.consensus`. Answers have the names of its attributes.
pub fn call(call: &str, args: &Args<'_>) -> Result<Done> {
    let answer = match call {
        "krippendorff_alpha" => {
            let level = match args.or("level", "nominal".to_owned()).as_str() {
                "nominal" => Level::Nominal,
                "ordinal" => Level::Ordinal,
                "interval" => Level::Interval,
                other => panic!("the fixture's levels do not have {other}"),
            };
            let options = AlphaOptions {
                level,
                bootstrap: args.or("bootstrap", 0),
                seed: args.or("seed", 0),
                ..AlphaOptions::default()
            };
            let alpha = agreement::krippendorff_alpha(&ratings(args)?, &options)?;
            pick(&plain(&alpha), &["value", "low", "high", "observed", "expected", "items", "raters"])
        }
        "cohen_kappa" => {
            let (a, b) = (labels(args.raw("a")), labels(args.raw("b")));
            coefficient(&agreement::cohen_kappa(Column::from(&a), Column::from(&b), &kappa(args))?)
        }
        "fleiss_kappa" => coefficient(&agreement::fleiss_kappa(&ratings(args)?, &kappa(args))?),
        "gwet_ac" => coefficient(&agreement::gwet_ac(&ratings(args)?, &kappa(args))?),
        "percent_agreement" => coefficient(&agreement::percent_agreement(&ratings(args)?, &kappa(args))?),
        "kendall_w" => pick(&plain(&agreement::kendall_w(&ratings(args)?)?), &["value", "p_value"]),
        "icc" => {
            let form: IccForm = args.get::<String>("form").parse()?;
            let found = agreement::icc(&ratings(args)?, form, 0.95)?;
            pick(&plain(&found), &["value", "low", "high", "p_value"])
        }
        "majority_vote" => truth(truth::majority_vote(&ratings(args)?)?),
        "wawa" => truth(truth::wawa(&ratings(args)?)?),
        "dawid_skene" => truth(truth::dawid_skene(&ratings(args)?, &EmOptions::default())?),
        "one_coin" => truth(truth::one_coin(&ratings(args)?, &EmOptions::default())?),
        "glad" => truth(truth::glad(&ratings(args)?, &GladOptions::default())?),
        "mace" => {
            let options = MaceOptions { seed: args.or("seed", 0), ..MaceOptions::default() };
            truth(truth::mace(&ratings(args)?, &options)?)
        }
        "zero_based_skill" => {
            truth(truth::zero_based_skill(&ratings(args)?, &ZeroBasedSkillOptions::default())?)
        }
        "linear_pool" | "log_pool" | "extremized_pool" => {
            let (opinions, event) = opinions(args.raw("p"))?;
            let weights: Option<Vec<f64>> = args.maybe("weights");
            let pooled = match call {
                "linear_pool" => pooling::linear_pool(&opinions, weights.as_deref()),
                "log_pool" => pooling::log_pool(&opinions, weights.as_deref()),
                _ => pooling::extremized_pool(&opinions, weights.as_deref(), args.or("a", 2.5)),
            }?;
            if event { pooled[0].into() } else { pooled.into() }
        }
        "brier_score" => {
            let (p, outcomes): (Vec<f64>, Vec<bool>) = (args.get("p"), args.get("outcomes"));
            pooling::brier_score(&p, &outcomes)?.into()
        }
        "density_pool" => {
            let found = density::density_pool(&opinions(args.raw("p"))?.0, None)?;
            pick(&plain(&found), &["pooled", "eigenvalues", "purity", "entropy"])
        }
        "order_effect" => {
            pick(&plain(&density::order_effect(args.get("ab"), args.get("ba"))?), &["q", "effect"])
        }
        "surprisingly_popular" => {
            let votes: Vec<usize> = args.get("votes");
            let (predictions, _) = opinions(args.raw("predictions"))?;
            pick(
                &plain(&minority::surprisingly_popular(&votes, &predictions, None)?),
                &["answers", "popular", "surprise"],
            )
        }
        "borda" => outcome(&ranking::borda(&profile(args)?, &VoteConfig::default())?),
        "copeland" => outcome(&ranking::copeland(&profile(args)?, &VoteConfig::default())?),
        "schulze" => outcome(&ranking::schulze(&profile(args)?, &VoteConfig::default())?),
        "ranked_pairs" => outcome(&ranking::ranked_pairs(&profile(args)?, &VoteConfig::default())?),
        "minimax" => outcome(&ranking::minimax(&profile(args)?, &VoteConfig::default())?),
        "kemeny" => {
            let found = plain(&ranking::kemeny(&profile(args)?, &KemenyConfig::default())?);
            pick(&found, &["orders", "agreement", "distance", "exact"])
        }
        "instant_runoff" => {
            let found = plain(&ranking::instant_runoff(&profile(args)?, &RunoffConfig::default())?);
            pick(&found, &["majority_round"])
        }
        "delphi_round" => {
            let found =
                delphi::delphi_round(&args.get::<Vec<Vec<f64>>>("ratings"), None, &DelphiConfig::default())?;
            let items: Vec<Value> = found
                .items
                .iter()
                .map(|item| {
                    pick(&plain(item), &["median", "iqr", "ipr", "ipras", "disagreement", "consensus"])
                })
                .collect();
            let mut answer = pick(&plain(&found), &["stop", "reason"]);
            answer["items"] = items.into();
            answer
        }
        "honeybee" => {
            let config = HoneybeeConfig {
                sigma: args.get("sigma"),
                quorum: args.get("quorum"),
                seed: args.get("seed"),
                ..HoneybeeConfig::default()
            };
            let found = swarm::honeybee(&args.get::<Vec<f64>>("values"), &config)?;
            pick(&plain(&found), &["decision", "decided_at", "shares", "deadlock"])
        }
        "swarm_pool" => {
            assert_eq!(args.get::<String>("objective"), "kl_to_pool");
            let config = SwarmConfig {
                objective: Objective::KlToPool,
                seed: args.get("seed"),
                ..SwarmConfig::default()
            };
            let weights: Vec<f64> = args.get("weights");
            let found = swarm::swarm_pool(&opinions(args.raw("p"))?.0, Some(&weights), &config)?;
            pick(&plain(&found), &["pooled", "value", "converged"])
        }
        "semantic_clusters" => {
            let config = ClusterConfig { threshold: args.get("threshold"), ..ClusterConfig::default() };
            let found = text::semantic_clusters(&args.get::<Vec<Vec<f64>>>("vectors"), None, &config)?;
            pick(&plain(&found), &["clusters", "medoids", "entropy"])
        }
        "score_panel" => score_panel(args)?,
        other => panic!("the fixture's methods do not have {other}"),
    };
    Ok(Done::answer(answer))
}

/// The members of a report that the fixture compares.
fn pick(report: &Value, names: &[&str]) -> Value {
    let one = |name: &&str| {
        let value = report.get(name).unwrap_or_else(|| panic!("no '{name}' in {report}"));
        ((*name).to_owned(), value.clone())
    };
    Value::Object(names.iter().map(one).collect())
}

fn label(value: &Value) -> Option<Label> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Label::from(text.as_str())),
        Value::Number(n) if n.is_i64() => n.as_i64().map(Label::from),
        number => number.as_f64().map(Label::from),
    }
}

fn labels(given: &Value) -> Vec<Option<Label>> {
    given.as_array().expect("a list of labels").iter().map(label).collect()
}

fn ratings(args: &Args<'_>) -> Result<Ratings> {
    let weights = args.raw("weights").as_object().into_iter().flatten();
    let weights = weights.map(|(rater, w)| (Label::from(rater.as_str()), w.as_f64().unwrap_or(f64::NAN)));
    let options = RatingsOptions { weights: weights.collect(), ..RatingsOptions::default() };
    let [items, raters, values] = ["items", "raters", "values"].map(|name| labels(args.raw(name)));
    Ratings::with_options(Column::from(&items), Column::from(&raters), Column::from(&values), &options)
}

fn kappa(args: &Args<'_>) -> KappaOptions {
    let weights = match args.maybe::<String>("weights").as_deref() {
        None => Weights::Identity,
        Some("quadratic") => Weights::Quadratic,
        Some(other) => panic!("the fixture's weights do not have {other}"),
    };
    KappaOptions { weights, ..KappaOptions::default() }
}

fn coefficient(found: &agreement::Coefficient) -> Value {
    pick(&plain(found), &["value", "low", "high", "observed", "expected"])
}

/// Keys of objects are texts in JSON, whatever the labels are.
fn by(keys: &[Label], values: impl Iterator<Item = Value>) -> Value {
    Value::Object(keys.iter().map(ToString::to_string).zip(values).collect::<Map<_, _>>())
}

fn truth(found: Truth) -> Value {
    let label = |l: &Label| match l {
        Label::Int(i) => Value::from(*i),
        Label::Float(x) => Value::from(*x),
        Label::Text(t) => Value::from(&**t),
    };
    let probabilities = (0..found.items.len())
        .map(|i| by(&found.classes, found.probabilities_of(i).iter().map(|&p| Value::from(p))));
    json!({
        "labels": by(&found.items, found.labels.iter().map(label)),
        "probabilities": by(&found.items, probabilities),
        "skills": by(&found.raters, found.skills.iter().map(|&s| Value::from(s))),
        "log_likelihood": found.log_likelihood,
        "iterations": found.iterations,
        "converged": found.converged,
    })
}

/// Opinions, and whether they are probabilities of one event.
fn opinions(given: &Value) -> Result<(Opinions, bool)> {
    let read = |e: serde_json::Error| Error::new(Code::InvalidArgument, e.to_string());
    if given[0].is_number() {
        let p: Vec<f64> = serde_json::from_value(given.clone()).map_err(read)?;
        return Ok((Opinions::from_event(&p)?, true));
    }
    let rows: Vec<Vec<f64>> = serde_json::from_value(given.clone()).map_err(read)?;
    Ok((Opinions::from_rows(&rows)?, false))
}

fn profile(args: &Args<'_>) -> Result<Profile> {
    let rankings: Vec<Vec<String>> = args.get("rankings");
    let mut options: Vec<String> = rankings.iter().flatten().cloned().collect();
    options.sort();
    options.dedup();
    let mut profile = Profile::new(options)?;
    for ranking in rankings {
        let tiers: Vec<Vec<String>> = ranking.into_iter().map(|option| vec![option]).collect();
        profile.add_tiers(&tiers, 1.0)?;
    }
    Ok(profile)
}

fn outcome(found: &ranking::Outcome) -> Value {
    let report = plain(found);
    let mut answer = Map::new();
    for name in ["winners", "tiers"] {
        answer.insert(name.to_owned(), report[name].clone());
    }
    let scores = found.options.iter().cloned().zip(found.scores.iter().map(|&x| Value::from(x)));
    answer.insert("scores".to_owned(), Value::Object(scores.collect()));
    Value::Object(answer)
}

fn score_panel(args: &Args<'_>) -> Result<Value> {
    let ballots = args.raw("ballots").as_array().expect("ballots");
    let read = |given: &Value| Ballot {
        voter: given["voter"].as_str().unwrap_or_default().to_owned(),
        position: match (&given["choice"], &given["number"]) {
            (Value::String(option), _) => Position::Choice(option.clone()),
            (_, number) => Position::Number(number.as_f64().expect("a choice or a number")),
        },
        confidence: given["confidence"].as_f64().unwrap_or(1.0),
        weight: given["weight"].as_f64().unwrap_or(1.0),
        rationale: given["rationale"].as_str().map(str::to_owned),
    };
    let ballots: Vec<Ballot> = ballots.iter().map(read).collect();
    let config = PanelConfig {
        scale: args.maybe("scale"),
        tolerance: args.maybe("tolerance"),
        ..PanelConfig::default()
    };
    let score = panel::score_panel_with(&ballots, &config)?;
    let report = plain(&score);
    let mut answer = pick(&report, &["level", "support", "confidence", "minority", "intervals"]);
    answer["agreement"] = pick(&report["agreement"], &["value", "observed", "expected"]);
    answer["decision"] = match &score.decision {
        Decision::Option(text) | Decision::Medoid(text) => Value::from(text.as_str()),
        Decision::Number(x) => Value::from(*x),
        Decision::Tie(_) => Value::Null,
    };
    answer["explain"] = score.explain().join("\n").into();
    Ok(answer)
}

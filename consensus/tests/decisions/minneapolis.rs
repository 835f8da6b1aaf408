//! Does each voting method find the winner of a real election that an independent count finds?

use quorate_consensus::ranking::*;
use serde_json::Value;

fn profile() -> Profile {
    let lines = || include_str!("../fixtures/minneapolis_2013.tsv").lines().filter(|l| !l.starts_with('#'));
    let mut candidates: Vec<&str> = lines().flat_map(|l| l.split('\t').skip(1)).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let mut profile = Profile::new(candidates).unwrap();
    for line in lines() {
        let mut fields = line.split('\t');
        let count: f64 = fields.next().unwrap().parse().unwrap();
        profile.add(&fields.collect::<Vec<_>>(), count).unwrap();
    }
    profile
}

fn strings(v: &Value) -> Vec<String> {
    v.as_array().unwrap().iter().map(|x| x.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_method_agrees_with_the_independent_count() {
    let count: Value = serde_json::from_str(include_str!("../fixtures/minneapolis_2013.json")).unwrap();
    let p = profile();
    assert_eq!(p.options().len() as u64, count["candidates"].as_u64().unwrap());
    assert_eq!(p.total_weight() + p.abstained(), 80_101.0);
    assert_eq!(p.abstained(), count["abstained"].as_f64().unwrap());
    for strength in [Strength::Margins, Strength::WinningVotes] {
        let config = VoteConfig { strength, ..Default::default() };
        assert_eq!(copeland(&p, &config).unwrap().winners, strings(&count["copeland"]));
        assert_eq!(minimax(&p, &config).unwrap().winners, strings(&count["minimax"]));
        assert_eq!(schulze(&p, &config).unwrap().winners, strings(&count["schulze"]));
        assert_eq!(ranked_pairs(&p, &config).unwrap().winners, strings(&count["ranked_pairs"]));
    }
    let b = borda(&p, &VoteConfig::default()).unwrap();
    assert_eq!(b.winners, strings(&count["borda"]));
    for (name, score) in b.options.iter().zip(&b.scores) {
        assert_eq!(*score, count["borda_scores"][name].as_f64().unwrap(), "{name}");
    }
    let r = instant_runoff(&p, &RunoffConfig::default()).unwrap();
    assert_eq!(r.outcome.winners, strings(&count["instant_runoff"]));
    let out: Vec<Vec<String>> = count["eliminated"].as_array().unwrap().iter().map(strings).collect();
    for (round, want) in r.rounds.iter().zip(&out) {
        assert_eq!(round.eliminated, *want);
    }
    let last = &r.rounds[r.rounds.len() - 2];
    assert_eq!(last.exhausted + p.abstained(), count["last_round"]["exhausted"].as_f64().unwrap());
    for (name, votes) in &last.tallies {
        assert_eq!(*votes, count["last_round"]["votes"][name].as_f64().unwrap());
    }
    let k = kemeny(&p, &KemenyConfig::default()).unwrap();
    assert!(k.exact);
    assert_eq!(k.outcome.winners, strings(&count["condorcet"]));
    let order = &count["majority_order"];
    if !order.is_null() {
        assert_eq!(k.orders, [strings(order)]);
        assert_eq!(k.distance, count["majority_order_distance"].as_f64().unwrap());
    }
    let fit = plackett_luce(&p, Unranked::Last, &StrengthConfig::default()).unwrap();
    assert!(fit.converged);
    assert_eq!(fit.outcome.winners, strings(&count["condorcet"]));
}

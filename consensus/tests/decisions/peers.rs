//! Do peers (choix, pref_voting, numpy, scipy) give the same answers on random data? Fixtures: `fixtures/*.py`.

use std::collections::BTreeSet;

use quorate_consensus::density::density_pool;
use quorate_consensus::pooling::*;
use quorate_consensus::ranking::*;
use quorate_consensus::swarm::{HoneybeeConfig, honeybee};
use serde_json::Value;

use crate::close;

fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn ranking() -> Value {
    load(include_str!("../fixtures/ranking.json"))
}

fn pooling() -> Value {
    load(include_str!("../fixtures/pooling.json"))
}

pub(crate) fn floats(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn rows(v: &Value) -> Vec<Vec<f64>> {
    v.as_array().unwrap().iter().map(floats).collect()
}

fn codes(v: &Value) -> Vec<u32> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

fn cases<'a>(v: &'a Value, key: &str) -> &'a [Value] {
    v[key].as_array().unwrap()
}

fn names(n: u64) -> impl Iterator<Item = String> {
    (0..n).map(|i| i.to_string())
}

#[track_caller]
fn same_winners(outcome: &Outcome, case: &Value, key: &str) {
    let want: BTreeSet<String> = codes(&case[key]).iter().map(u32::to_string).collect();
    let got: BTreeSet<String> = outcome.winners.iter().cloned().collect();
    assert_eq!(got, want, "{key}: {case}");
}

#[test]
fn voting_methods_match_pref_voting() {
    for case in cases(&ranking(), "votes") {
        let mut p = Profile::new(names(case["options"].as_u64().unwrap())).unwrap();
        for (r, c) in cases(case, "rankings").iter().zip(floats(&case["counts"])) {
            p.add_codes(&codes(r), c).unwrap();
        }
        let config = VoteConfig::default();
        same_winners(&borda(&p, &config).unwrap(), case, "borda");
        same_winners(&copeland(&p, &config).unwrap(), case, "copeland");
        same_winners(&minimax(&p, &config).unwrap(), case, "minimax");
        same_winners(&schulze(&p, &config).unwrap(), case, "schulze");
        same_winners(&ranked_pairs(&p, &config).unwrap(), case, "ranked_pairs");
        same_winners(&instant_runoff(&p, &RunoffConfig::default()).unwrap().outcome, case, "instant_runoff");
        let put = RunoffConfig { last_place_ties: LastPlaceTies::ParallelUniverses, ..Default::default() };
        same_winners(&instant_runoff(&p, &put).unwrap().outcome, case, "instant_runoff_put");
        let k = kemeny(&p, &KemenyConfig { max_orders: 200, ..Default::default() }).unwrap();
        let want: BTreeSet<Vec<String>> =
            cases(case, "kemeny").iter().map(|o| codes(o).iter().map(u32::to_string).collect()).collect();
        let got: BTreeSet<Vec<String>> = k.orders.iter().cloned().collect();
        assert_eq!(got, want, "kemeny: {case}");
        assert!(k.orders_complete);
        assert_eq!(k.distance, case["kemeny_distance"].as_f64().unwrap());
        assert_winners_head_tiers(&k.outcome);
    }
}

fn assert_winners_head_tiers(outcome: &Outcome) {
    assert!(outcome.winners.iter().all(|w| outcome.tiers[0].contains(w)));
    assert_eq!(outcome.tiers.iter().map(Vec::len).sum::<usize>(), outcome.options.len());
}

#[test]
fn truncated_ballots_with_ties_match_pref_voting() {
    for case in cases(&ranking(), "truncated") {
        let n = case["options"].as_u64().unwrap();
        let mut p = Profile::new(names(n)).unwrap();
        for (r, c) in cases(case, "rankings").iter().zip(floats(&case["counts"])) {
            let mut tiers: Vec<Vec<String>> = vec![Vec::new(); n as usize];
            for mark in r.as_array().unwrap() {
                tiers[mark[1].as_u64().unwrap() as usize].push(mark[0].to_string());
            }
            p.add_tiers(&tiers, c).unwrap();
        }
        let pairs = p.pairwise();
        for (i, row) in rows(&case["support"]).iter().enumerate() {
            for (j, &want) in row.iter().enumerate() {
                assert_eq!(pairs.prefer(i, j), want);
            }
        }
        let margins = VoteConfig::default();
        let votes = VoteConfig { strength: Strength::WinningVotes, ..margins };
        same_winners(&copeland(&p, &margins).unwrap(), case, "copeland");
        same_winners(&minimax(&p, &margins).unwrap(), case, "minimax");
        same_winners(&minimax(&p, &votes).unwrap(), case, "minimax_votes");
        same_winners(&schulze(&p, &margins).unwrap(), case, "schulze");
        same_winners(&schulze(&p, &votes).unwrap(), case, "schulze_votes");
    }
}

#[test]
fn kemeny_matches_trying_every_order() {
    for case in cases(&ranking(), "kemeny") {
        let mut p = Profile::new(names(case["options"].as_u64().unwrap())).unwrap();
        for r in cases(case, "rankings") {
            p.add_codes(&codes(r), 1.0).unwrap();
        }
        let k = kemeny(&p, &KemenyConfig { max_orders: 10_000, ..Default::default() }).unwrap();
        assert_eq!(k.distance, case["distance"].as_f64().unwrap());
        let got: BTreeSet<Vec<String>> = k.orders.iter().cloned().collect();
        let want: BTreeSet<Vec<String>> =
            cases(case, "orders").iter().map(|o| codes(o).iter().map(u32::to_string).collect()).collect();
        assert_eq!(got, want);
    }
}

fn comparisons(case: &Value) -> Comparisons {
    let mut c = Comparisons::new(names(case["options"].as_u64().unwrap())).unwrap();
    for pair in cases(case, "data") {
        c.add(&pair[0].to_string(), &pair[1].to_string(), 1.0).unwrap();
    }
    c
}

#[test]
fn strengths_match_choix() {
    let fixture = ranking();
    for case in cases(&fixture, "comparisons") {
        let c = comparisons(case);
        let with = |alpha| StrengthConfig { alpha, ..Default::default() };
        let mle = bradley_terry(&c, &with(None)).unwrap();
        assert!(mle.converged && mle.components.len() == 1);
        close(&mle.log_strengths, &floats(&case["mle"]), 1e-8);
        close(&bradley_terry(&c, &with(Some(0.5))).unwrap().log_strengths, &floats(&case["ridge"]), 1e-6);
        close(
            &rank_centrality(&c, &with(None)).unwrap().log_strengths,
            &floats(&case["rank_centrality"]),
            1e-9,
        );
        let smooth = rank_centrality(&c, &with(Some(0.7))).unwrap();
        close(&smooth.log_strengths, &floats(&case["rank_centrality_alpha"]), 1e-9);
    }
    for case in cases(&fixture, "rankings") {
        let mut p = Profile::new(names(case["options"].as_u64().unwrap())).unwrap();
        for r in cases(case, "data") {
            p.add_codes(&codes(r), 1.0).unwrap();
        }
        let mle = plackett_luce(&p, Unranked::Silent, &StrengthConfig::default()).unwrap();
        close(&mle.log_strengths, &floats(&case["mle"]), 1e-8);
        let ridge = StrengthConfig { alpha: Some(0.5), ..Default::default() };
        close(
            &plackett_luce(&p, Unranked::Silent, &ridge).unwrap().log_strengths,
            &floats(&case["ridge"]),
            1e-6,
        );
    }
    let case = &fixture["disconnected"];
    let fit = bradley_terry(&comparisons(case), &StrengthConfig::default()).unwrap();
    assert_eq!((fit.alpha, fit.components.len()), (DEFAULT_ALPHA, 4));
    close(&fit.log_strengths, &floats(&case["ridge"]), 1e-6);
}

#[test]
fn pools_and_density_match_numpy() {
    for case in cases(&pooling(), "pools") {
        let p = Opinions::from_rows(&rows(&case["p"])).unwrap();
        let w = floats(&case["w"]);
        close(&linear_pool(&p, Some(&w)).unwrap(), &floats(&case["linear"]), 1e-12);
        close(&log_pool(&p, Some(&w)).unwrap(), &floats(&case["log"]), 1e-12);
        close(&extremized_pool(&p, Some(&w), 2.5).unwrap(), &floats(&case["extremized"]), 1e-12);
        let d = density_pool(&p, Some(&w)).unwrap();
        close(&d.pooled, &floats(&case["linear"]), 1e-12);
        close(&d.eigenvalues, &floats(&case["eigenvalues"]), 1e-9);
        close(&d.factions[0].opinion, &floats(&case["leading"]), 1e-9);
        for (got, key) in [(d.purity, "purity"), (d.entropy, "entropy"), (d.jensen_shannon, "jensen_shannon")]
        {
            assert!((got - case[key].as_f64().unwrap()).abs() < 1e-9, "{key}");
        }
    }
}

#[test]
fn scores_and_cooke_match_scipy() {
    let fixture = pooling();
    for case in cases(&fixture, "scores") {
        let p = floats(&case["p"]);
        let o: Vec<bool> = cases(case, "o").iter().map(|x| x.as_bool().unwrap()).collect();
        assert!((brier_score(&p, &o).unwrap() - case["brier"].as_f64().unwrap()).abs() < 1e-12);
        assert!((log_score(&p, &o, 0.0).unwrap() - case["log"].as_f64().unwrap()).abs() < 1e-12);
        let multi = Opinions::from_event(&p).unwrap();
        let index: Vec<usize> = o.iter().map(|&o| usize::from(!o)).collect();
        assert!(
            (brier_score_multi(&multi, &index).unwrap() - 2.0 * brier_score(&p, &o).unwrap()).abs() < 1e-12
        );
        assert!(
            (log_score_multi(&multi, &index, 0.0).unwrap() - log_score(&p, &o, 0.0).unwrap()).abs() < 1e-12
        );
    }
    for case in cases(&fixture, "cooke") {
        let seeds: Vec<Vec<Vec<f64>>> = cases(case, "seeds").iter().map(rows).collect();
        let c = cooke_weights(&seeds, &floats(&case["answers"]), &CookeConfig::default()).unwrap();
        close(&c.calibration, &floats(&case["calibration"]), 1e-9);
        close(&c.information, &floats(&case["information"]), 1e-9);
        close(&c.weights, &floats(&case["weights"]), 1e-9);
    }
    for case in cases(&fixture, "jury") {
        let n = case["n"].as_u64().unwrap() as usize;
        let j = condorcet_jury(&vec![case["p"].as_f64().unwrap(); n]).unwrap();
        close(
            &[j.majority_right, j.tie],
            &[case["right"].as_f64().unwrap(), case["tie"].as_f64().unwrap()],
            1e-12,
        );
    }
}

#[test]
fn honeybees_match_scipys_integrator() {
    for case in cases(&pooling(), "bees") {
        let config =
            HoneybeeConfig { sigma: case["sigma"].as_f64().unwrap(), noise: 0.0, ..Default::default() };
        let h = honeybee(&floats(&case["values"]), &config).unwrap();
        assert!(h.steady);
        close(&h.shares, &floats(&case["shares"]), 1e-7);
    }
}

//! Is bad input refused, and by the right code?

use quorate_consensus::delphi::{DelphiConfig, delphi_round};
use quorate_consensus::density::{density_pool, order_effect};
use quorate_consensus::minority::{Vote, bayesian_truth_serum, minority_report, surprisingly_popular};
use quorate_consensus::panel::{Ballot, PanelConfig, Position, score_panel, score_panel_with};
use quorate_consensus::pooling::*;
use quorate_consensus::ranking::*;
use quorate_consensus::swarm::{HoneybeeConfig, SwarmConfig, honeybee, swarm_pool};
use quorate_consensus::text::{ClusterConfig, rover, semantic_clusters};
use quorate_core::{Code, Result};

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, code: Code) {
    match result {
        Err(e) => {
            assert_eq!(e.code(), code, "{e}");
            assert!(!e.message().is_empty());
        }
        Ok(v) => panic!("accepted: {v:?}"),
    }
}

#[test]
fn profiles() {
    refused(Profile::new(Vec::<String>::new()), Code::EmptyInput);
    refused(Profile::new(["a", "a"]), Code::DuplicateId);
    let mut p = Profile::new(["a", "b"]).unwrap();
    refused(p.add(&["c"], 1.0), Code::UnknownId);
    refused(p.add_codes(&[7], 1.0), Code::UnknownId);
    refused(p.add(&["a", "a"], 1.0), Code::DuplicateEntry);
    refused(p.add(&["a"], -1.0), Code::InvalidArgument);
    refused(p.add(&["a"], f64::NAN), Code::NotFinite);
    refused(p.add(&["a"], f64::INFINITY), Code::NotFinite);
    p.add::<&str>(&[], 3.0).unwrap();
    assert_eq!((p.abstained(), p.total_weight()), (3.0, 0.0));
    let vote = VoteConfig::default();
    refused(borda(&p, &vote), Code::EmptyInput);
    refused(copeland(&p, &vote), Code::EmptyInput);
    refused(minimax(&p, &vote), Code::EmptyInput);
    refused(schulze(&p, &vote), Code::EmptyInput);
    refused(ranked_pairs(&p, &vote), Code::EmptyInput);
    refused(kemeny(&p, &KemenyConfig::default()), Code::EmptyInput);
    refused(instant_runoff(&p, &RunoffConfig::default()), Code::EmptyInput);
    refused(plackett_luce(&p, Unranked::Last, &StrengthConfig::default()), Code::EmptyInput);
    p.add(&["a"], 1.0).unwrap();
    refused(plackett_luce(&p, Unranked::Silent, &StrengthConfig::default()), Code::EmptyInput);
    refused(kemeny(&p, &KemenyConfig { exact_options: 30, ..Default::default() }), Code::InvalidArgument);
    refused(kemeny(&p, &KemenyConfig { max_orders: 0, ..Default::default() }), Code::InvalidArgument);
    let no_rule = RunoffConfig { last_place_ties: LastPlaceTies::TieBreak, tie_break: TieBreak::None };
    refused(instant_runoff(&p, &no_rule), Code::InvalidArgument);
}

#[test]
fn comparisons() {
    refused(Comparisons::new(["a", "a"]), Code::DuplicateId);
    let mut c = Comparisons::new(["a", "b", "c"]).unwrap();
    refused(bradley_terry(&c, &StrengthConfig::default()), Code::EmptyInput);
    refused(rank_centrality(&c, &StrengthConfig::default()), Code::EmptyInput);
    refused(c.add("a", "a", 1.0), Code::InvalidArgument);
    refused(c.add("a", "x", 1.0), Code::UnknownId);
    refused(c.add("a", "b", -1.0), Code::InvalidArgument);
    refused(c.add("a", "b", f64::NAN), Code::NotFinite);
    c.add("a", "b", 1.0).unwrap();
    let strict = StrengthConfig { alpha: Some(0.0), ..Default::default() };
    refused(bradley_terry(&c, &strict), Code::Undefined);
    refused(rank_centrality(&c, &strict), Code::Undefined);
    let fit = bradley_terry(&c, &StrengthConfig::default()).unwrap();
    assert!(fit.alpha > 0.0 && fit.components.len() == 3 && fit.log_strengths.iter().all(|x| x.is_finite()));
    refused(bradley_terry(&c, &StrengthConfig { alpha: Some(-1.0), ..strict }), Code::InvalidArgument);
    refused(bradley_terry(&c, &StrengthConfig { tol: f64::NAN, ..strict }), Code::NotFinite);
    refused(bradley_terry(&c, &StrengthConfig { tol: 0.0, ..strict }), Code::InvalidArgument);
}

#[test]
fn probabilities_and_weights() {
    let none: [[f64; 2]; 0] = [];
    refused(Opinions::from_rows(&none), Code::EmptyInput);
    refused(Opinions::from_rows(&[Vec::<f64>::new()]), Code::EmptyInput);
    refused(Opinions::from_rows(&[vec![0.5, 0.5], vec![1.0]]), Code::InvalidShape);
    refused(Opinions::from_rows(&[[0.5, 0.6]]), Code::InvalidArgument);
    refused(Opinions::from_rows(&[[1.5, -0.5]]), Code::InvalidArgument);
    refused(Opinions::from_rows(&[[f64::NAN, 0.5]]), Code::NotFinite);
    refused(Opinions::from_event(&[]), Code::EmptyInput);
    refused(Opinions::from_event(&[1.1]), Code::InvalidArgument);
    refused(Opinions::from_event(&[f64::INFINITY]), Code::NotFinite);
    // What went through f32 is accepted and made exact.
    let f32s = Opinions::from_rows(&[[f64::from(0.1f32), f64::from(0.9f32)]]).unwrap();
    assert!((f32s.row(0).iter().sum::<f64>() - 1.0).abs() < 1e-15);
    let p = Opinions::from_event(&[0.2, 0.7]).unwrap();
    refused(linear_pool(&p, Some(&[1.0])), Code::InvalidShape);
    refused(linear_pool(&p, Some(&[1.0, -1.0])), Code::InvalidArgument);
    refused(log_pool(&p, Some(&[f64::NAN, 1.0])), Code::NotFinite);
    refused(density_pool(&p, Some(&[0.0, 0.0])), Code::InvalidArgument);
    refused(linear_pool(&p, Some(&[f64::MAX, f64::MAX])), Code::NotFinite);
    refused(extremized_pool(&p, None, 0.0), Code::InvalidArgument);
    refused(extremized_pool(&p, None, f64::NAN), Code::NotFinite);
    let veto = Opinions::from_event(&[0.0, 1.0]).unwrap();
    refused(log_pool(&veto, None), Code::Undefined);
    refused(
        swarm_pool(
            &veto,
            None,
            &SwarmConfig { objective: quorate_consensus::swarm::Objective::KlFromPool, ..Default::default() },
        ),
        Code::Undefined,
    );
    refused(swarm_pool(&p, None, &SwarmConfig { particles: 1, ..Default::default() }), Code::InvalidArgument);
}

#[test]
fn scores() {
    refused(brier_score(&[], &[]), Code::EmptyInput);
    refused(brier_score(&[0.5], &[]), Code::InvalidShape);
    refused(brier_score(&[2.0], &[true]), Code::InvalidArgument);
    refused(brier_score(&[f64::NAN], &[true]), Code::NotFinite);
    refused(log_score(&[0.0], &[true], 0.0), Code::Undefined);
    assert!((log_score(&[0.0], &[true], 0.01).unwrap() + 0.01f64.ln()).abs() < 1e-12);
    refused(log_score(&[0.5], &[true], -0.1), Code::InvalidArgument);
    refused(calibration_table(&[0.5], &[true], 0), Code::InvalidArgument);
    let p = Opinions::from_event(&[0.2]).unwrap();
    refused(brier_score_multi(&p, &[2]), Code::UnknownId);
    refused(log_score_multi(&p, &[], 0.0), Code::InvalidShape);
    refused(condorcet_jury(&[]), Code::EmptyInput);
    refused(condorcet_jury(&[1.2]), Code::InvalidArgument);
}

#[test]
fn cooke() {
    let run =
        |seeds: &[Vec<Vec<f64>>], answers: &[f64]| cooke_weights(seeds, answers, &CookeConfig::default());
    refused(run(&[], &[1.0]), Code::EmptyInput);
    refused(run(&[vec![]], &[]), Code::EmptyInput);
    refused(run(&[vec![vec![1.0, 2.0, 3.0]]], &[1.0, 2.0]), Code::InvalidShape);
    refused(run(&[vec![vec![1.0, 2.0]]], &[1.0]), Code::InvalidShape);
    refused(run(&[vec![vec![1.0, 1.0, 3.0]]], &[1.0]), Code::InvalidArgument);
    refused(run(&[vec![vec![1.0, f64::NAN, 3.0]]], &[1.0]), Code::NotFinite);
    let log = CookeConfig { background: Background::LogUniform, ..Default::default() };
    refused(cooke_weights(&[[[-1.0, 1.0, 2.0]]], &[1.0], &log), Code::InvalidArgument);
    let strict = CookeConfig { cutoff: 1.0, ..Default::default() };
    refused(cooke_weights(&[[[0.0, 1.0, 2.0]]], &[5.0], &strict), Code::Undefined);
    let backwards = CookeConfig { probabilities: vec![0.5, 0.05], ..Default::default() };
    refused(cooke_weights(&[[[0.0, 1.0]]], &[5.0], &backwards), Code::InvalidArgument);
}

#[test]
fn delphi_minority_and_order() {
    let config = DelphiConfig::default();
    refused(delphi_round::<Vec<f64>>(&[], None, &config), Code::EmptyInput);
    refused(delphi_round(&[Vec::<f64>::new()], None, &config), Code::EmptyInput);
    refused(delphi_round(&[vec![1.0], vec![1.0, 2.0]], None, &config), Code::InvalidShape);
    refused(delphi_round(&[[10.0]], None, &config), Code::InvalidArgument);
    refused(delphi_round(&[[f64::INFINITY]], None, &config), Code::NotFinite);
    refused(delphi_round(&[[f64::NAN]], None, &config), Code::EmptyInput);
    refused(delphi_round(&[vec![1.0]], Some(&[vec![1.0, 2.0]]), &config), Code::InvalidShape);
    refused(
        delphi_round(&[[1.0]], None, &DelphiConfig { scale: (9.0, 1.0), ..config }),
        Code::InvalidArgument,
    );
    refused(minority_report(&[], 0.0), Code::EmptyInput);
    refused(minority_report(&[Vote::new("a", "x"), Vote::new("a", "y")], 0.0), Code::DuplicateEntry);
    refused(minority_report(&[Vote { weight: -1.0, ..Vote::new("a", "x") }], 0.0), Code::InvalidArgument);
    refused(minority_report(&[Vote { confidence: f64::NAN, ..Vote::new("a", "x") }], 0.0), Code::NotFinite);
    refused(minority_report(&[Vote { weight: 0.0, ..Vote::new("a", "x") }], 0.0), Code::EmptyInput);
    let p = Opinions::from_event(&[0.2, 1.0]).unwrap();
    refused(surprisingly_popular(&[0, 2], &p, None), Code::UnknownId);
    refused(surprisingly_popular(&[0], &p, None), Code::InvalidShape);
    refused(bayesian_truth_serum(&[0, 1], &p, 1.0, 0.0), Code::Undefined);
    refused(bayesian_truth_serum(&[0, 1], &p, -1.0, 0.0), Code::InvalidArgument);
    assert!(bayesian_truth_serum(&[0, 1], &p, 1.0, 0.01).is_ok());
    refused(order_effect([0.0; 4], [0.25; 4]), Code::InvalidArgument);
    refused(order_effect([0.5, 0.5, 0.5, 0.25], [0.25; 4]), Code::InvalidArgument);
    refused(order_effect([f64::NAN; 4], [0.25; 4]), Code::NotFinite);
    refused(order_effect([-1.0, 1.0, 1.0, 0.0], [0.25; 4]), Code::InvalidArgument);
}

#[test]
fn swarms_and_texts() {
    let bees = HoneybeeConfig::default();
    refused(honeybee(&[], &bees), Code::EmptyInput);
    refused(honeybee(&[0.0], &bees), Code::InvalidArgument);
    refused(honeybee(&[f64::NAN], &bees), Code::NotFinite);
    refused(honeybee(&[1.0], &HoneybeeConfig { sigma: -1.0, ..bees }), Code::InvalidArgument);
    refused(honeybee(&[1.0], &HoneybeeConfig { quorum: 0.0, ..bees }), Code::InvalidArgument);
    let config = ClusterConfig::default();
    refused(semantic_clusters::<Vec<f64>>(&[], None, &config), Code::EmptyInput);
    refused(semantic_clusters(&[vec![1.0], vec![1.0, 2.0]], None, &config), Code::InvalidShape);
    refused(semantic_clusters(&[[0.0, 0.0]], None, &config), Code::InvalidArgument);
    refused(semantic_clusters(&[[f64::NAN, 0.0]], None, &config), Code::NotFinite);
    refused(
        semantic_clusters(&[[1.0]], None, &ClusterConfig { threshold: 2.0, ..config }),
        Code::InvalidArgument,
    );
    refused(semantic_clusters(&vec![[1.0]; 20_001], None, &config), Code::TooLarge);
    refused(rover::<Vec<&str>, &str>(&[], None), Code::EmptyInput);
    refused(rover(&[["a"]], Some(&[-1.0])), Code::InvalidArgument);
}

#[test]
fn panels() {
    refused(score_panel(&[]), Code::EmptyInput);
    refused(score_panel(&[Ballot::choice("a", "x").weight(0.0)]), Code::EmptyInput);
    refused(score_panel(&[Ballot::choice("a", "x"), Ballot::choice("a", "y")]), Code::DuplicateEntry);
    refused(score_panel(&[Ballot::choice("a", "x").weight(-1.0)]), Code::InvalidArgument);
    refused(score_panel(&[Ballot::choice("a", "x").weight(f64::NAN)]), Code::NotFinite);
    refused(score_panel(&[Ballot::choice("a", "x").confidence(1.5)]), Code::InvalidArgument);
    let mixed = [Ballot::choice("a", "x"), Ballot::new("b", Position::Number(1.0))];
    refused(score_panel(&mixed), Code::InvalidArgument);
    let listed = PanelConfig { options: vec!["x".into()], ..Default::default() };
    refused(score_panel_with(&[Ballot::choice("a", "z")], &listed), Code::UnknownId);
    let twice = PanelConfig { options: vec!["x".into(), "x".into()], ..Default::default() };
    refused(score_panel_with(&[Ballot::choice("a", "x")], &twice), Code::DuplicateId);
    let p = |v: &[(&str, f64)]| {
        Ballot::new("a", Position::Probability(v.iter().map(|(o, x)| ((*o).into(), *x)).collect()))
    };
    refused(score_panel(&[p(&[("x", 0.5), ("y", 0.6)])]), Code::InvalidArgument);
    refused(score_panel(&[p(&[("x", 0.5), ("x", 0.5)])]), Code::DuplicateEntry);
    refused(score_panel(&[p(&[])]), Code::EmptyInput);
    refused(score_panel(&[p(&[("x", f64::NAN)])]), Code::NotFinite);
    refused(score_panel(&[Ballot::new("a", Position::Number(f64::NAN))]), Code::NotFinite);
    refused(score_panel(&[Ballot::new("a", Position::Ranking(vec![]))]), Code::EmptyInput);
    refused(
        score_panel(&[Ballot::new("a", Position::Ranking(vec!["x".into(), "x".into()]))]),
        Code::DuplicateEntry,
    );
    refused(score_panel(&[Ballot::new("a", Position::Vector(vec![0.0]))]), Code::InvalidArgument);
    let uneven =
        [Ballot::new("a", Position::Vector(vec![1.0])), Ballot::new("b", Position::Vector(vec![1.0, 2.0]))];
    refused(score_panel(&uneven), Code::InvalidShape);
    let scale = PanelConfig { scale: Some((0.0, 1.0)), ..Default::default() };
    refused(score_panel_with(&[Ballot::new("a", Position::Number(2.0))], &scale), Code::InvalidArgument);
}

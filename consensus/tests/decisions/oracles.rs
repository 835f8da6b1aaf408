//! Are published answers reproduced?

use quorate_consensus::delphi::{Appropriateness, DelphiConfig, DelphiReason, delphi_round};
use quorate_consensus::density::{density_pool, order_effect};
use quorate_consensus::pooling::{
    DEFAULT_EXTREMIZING, Opinions, condorcet_jury, extremized_pool, linear_pool, log_pool,
};
use quorate_consensus::ranking::*;
use quorate_consensus::swarm::{HoneybeeConfig, Objective, SwarmConfig, honeybee, swarm_pool};

use crate::close;

fn letters(votes: &[(&str, f64)]) -> Profile {
    let rankings: Vec<(Vec<String>, f64)> =
        votes.iter().map(|(r, w)| (r.chars().map(String::from).collect(), *w)).collect();
    Profile::from_rankings(&rankings).unwrap()
}

fn schulze_2011() -> Profile {
    letters(&[
        ("ACBED", 5.0),
        ("ADECB", 5.0),
        ("BEDAC", 8.0),
        ("CABED", 3.0),
        ("CAEBD", 7.0),
        ("CBADE", 2.0),
        ("DCEBA", 7.0),
        ("EBADC", 8.0),
    ])
}

fn tennessee() -> Profile {
    letters(&[("MNCK", 42.0), ("NCKM", 26.0), ("CKNM", 15.0), ("KCNM", 17.0)])
}

#[test]
fn bradley_terry_of_three() {
    let mut c = Comparisons::new(["0", "1", "2"]).unwrap();
    for (w, l) in [("0", "1"), ("0", "1"), ("1", "2"), ("2", "0")] {
        c.add(w, l, 1.0).unwrap();
    }
    let fit = bradley_terry(&c, &StrengthConfig::default()).unwrap();
    close(&fit.log_strengths, &[0.419617624, -0.419617624, 0.0], 1e-9);
    assert!(fit.converged && fit.alpha == 0.0);
    assert_eq!(fit.outcome.winner(), Some("0"));
}

#[test]
fn plackett_luce_of_three_partial_rankings() {
    let mut p = Profile::new(["0", "1", "2", "3"]).unwrap();
    for r in [&[0, 1, 2][..], &[3, 2, 0], &[1, 3]] {
        p.add_codes(r, 1.0).unwrap();
    }
    let fit = plackett_luce(&p, Unranked::Silent, &StrengthConfig::default()).unwrap();
    // The published digits are those of an optimiser that stopped early; see also the maximum itself below.
    close(&fit.log_strengths, &[-0.443281, 0.695062, -0.670614, 0.418833], 5e-5);
    close(&fit.log_strengths, &[-0.4433085, 0.69506787, -0.67060957, 0.4188502], 2e-8);
}

#[test]
fn schulze_2011_example() {
    let p = schulze_2011();
    let s = schulze(&p, &VoteConfig::default()).unwrap();
    assert_eq!(s.order.unwrap().concat(), "EACBD");
    let k = kemeny(&p, &KemenyConfig::default()).unwrap();
    assert_eq!(k.orders[0].concat(), "EBADC");
    assert_eq!((k.agreement, k.exact, k.orders_complete), (260.0, true, k.orders.len() == 1));
}

#[test]
fn tennessee_by_kemeny_and_borda() {
    let k = kemeny(&tennessee(), &KemenyConfig::default()).unwrap();
    assert_eq!(k.orders[0].concat(), "NCKM");
    assert_eq!((k.agreement, k.distance, k.lower_bound), (393.0, 600.0 - 393.0, 600.0 - 393.0));
    let b = borda(&tennessee(), &VoteConfig::default()).unwrap();
    assert_eq!(b.options, ["C", "K", "M", "N"]);
    assert_eq!(b.scores, [173.0, 107.0, 126.0, 194.0]);
    assert_eq!(instant_runoff(&tennessee(), &RunoffConfig::default()).unwrap().outcome.winner(), Some("K"));
}

#[test]
fn rand_ucla_disagreement() {
    // Fifteen ratings with P30 = 7 and P70 = 8.
    let mut ratings = vec![[7.0]; 7];
    ratings.extend([[8.0]; 8]);
    let round = delphi_round(&ratings, None, &DelphiConfig::default()).unwrap();
    let item = &round.items[0];
    assert_eq!((item.n, item.ipr), (15, 1.0));
    assert!((item.ipras - 6.1).abs() < 1e-12);
    assert!(!item.disagreement);
    assert_eq!(item.appropriateness, Appropriateness::Appropriate);
    assert_eq!((round.stop, round.reason), (true, DelphiReason::Consensus));
    // A panel at both ends disagrees: IPR = 8 > 2.35 + 1.5 * 0.
    let split =
        delphi_round(&[[1.0], [1.0], [1.0], [9.0], [9.0], [9.0]], None, &DelphiConfig::default()).unwrap();
    assert!(split.items[0].disagreement);
    assert_eq!(split.items[0].appropriateness, Appropriateness::Uncertain);
}

#[test]
fn delphi_stops_for_a_reason() {
    let split = [[1.0, 8.0], [1.0, 8.0], [9.0, 8.0], [9.0, 7.0]];
    let config = DelphiConfig::default();
    let first = delphi_round(&split, None, &config).unwrap();
    assert_eq!((first.stop, first.reason), (false, DelphiReason::FirstRound));
    let same = delphi_round(&split, Some(&split), &config).unwrap();
    assert_eq!((same.stop, same.reason), (true, DelphiReason::StableDissent));
    assert!(same.why.contains("[0]"), "{}", same.why);
    let before = [[5.0, 8.0], [1.0, 8.0], [9.0, 8.0], [2.0, 7.0]];
    let moved = delphi_round(&split, Some(&before), &config).unwrap();
    assert_eq!((moved.stop, moved.reason), (false, DelphiReason::StillMoving));
    let stability = moved.items[0].stability.as_ref().unwrap();
    assert_eq!((stability.change, stability.median_shift), (0.5, 1.5));
    // A scale other than 1 to 9 is mapped onto it.
    let percent = DelphiConfig { scale: (0.0, 100.0), ..config };
    let mapped = delphi_round(&[[75.0], [87.5], [87.5]], None, &percent).unwrap();
    let plain = delphi_round(&[[7.0], [8.0], [8.0]], None, &config).unwrap();
    assert!((mapped.items[0].ipras - plain.items[0].ipras).abs() < 1e-12);
}

#[test]
fn delphi_reports_kendalls_w() {
    // Siegel's rankings 163254, 156423, 632541.
    let ranks =
        [[1.0, 6.0, 3.0, 2.0, 5.0, 4.0], [1.0, 5.0, 6.0, 4.0, 2.0, 3.0], [6.0, 3.0, 2.0, 5.0, 4.0, 1.0]];
    let round = delphi_round(&ranks, None, &DelphiConfig::default()).unwrap();
    assert!((round.kendall_w.value.unwrap() - 0.161905).abs() < 1e-6);
    let alone = delphi_round(&ranks[..1], None, &DelphiConfig::default()).unwrap();
    assert!(alone.kendall_w.value.is_none() && alone.kendall_w.undefined.is_some());
}

#[test]
fn condorcet_jury_theorem() {
    for (n, want) in [(3, 0.648), (5, 0.68256), (11, 0.753498), (101, 0.979103)] {
        assert!((condorcet_jury(&vec![0.6; n]).unwrap().probability - want).abs() < 1e-6);
    }
}

#[test]
fn pools_of_three() {
    let p = Opinions::from_event(&[0.9, 0.7, 0.6]).unwrap();
    close(&linear_pool(&p, None).unwrap()[..1], &[0.733333], 1e-6);
    close(&log_pool(&p, None).unwrap()[..1], &[0.759510], 1e-6);
    close(&extremized_pool(&p, None, DEFAULT_EXTREMIZING).unwrap()[..1], &[0.946596], 1e-6);
}

#[test]
fn density_pools() {
    let p = density_pool(&Opinions::from_event(&[0.9, 0.7, 0.6]).unwrap(), None).unwrap();
    close(&p.eigenvalues, &[0.97702, 0.02298], 1e-5);
    assert!((p.entropy - 0.15789).abs() < 1e-5);
    let q = density_pool(&Opinions::from_event(&[0.95, 0.95, 0.05]).unwrap(), None).unwrap();
    assert!((q.purity - 0.64).abs() < 5e-3, "{}", q.purity);
    assert!((q.entropy - 0.78735).abs() < 1e-5);
    assert!((q.jensen_shannon - 0.64767).abs() < 1e-5);
}

#[test]
fn all_unsure_is_told_from_split() {
    let unsure = Opinions::from_rows(&[[0.5, 0.5], [0.5, 0.5]]).unwrap();
    let split = Opinions::from_rows(&[[1.0, 0.0], [0.0, 1.0]]).unwrap();
    assert_eq!(linear_pool(&unsure, None).unwrap(), linear_pool(&split, None).unwrap());
    let (u, s) = (density_pool(&unsure, None).unwrap(), density_pool(&split, None).unwrap());
    assert!((u.purity - 1.0).abs() < 1e-12 && u.entropy.abs() < 1e-12);
    assert!((s.purity - 0.5).abs() < 1e-12 && (s.entropy - 1.0).abs() < 1e-12);
    assert_eq!((u.factions.len(), s.factions.len()), (1, 2));
    assert!(s.factions[0].degenerate);
}

#[test]
fn qq_equality() {
    let ab = [0.579153, 0.410880, 0.004136, 0.005830];
    let ba = [0.283951, 0.201449, 0.213567, 0.301032];
    let sums = [1.0 / ab.iter().sum::<f64>(), 1.0 / ba.iter().sum::<f64>()];
    let o = order_effect(ab.map(|x| x * sums[0]), ba.map(|x| x * sums[1])).unwrap();
    assert!(o.q.abs() < 1e-6);
    // The same angles without rounding: A at .3, B at 1.0, the state at .2 rad.
    let (ab, ba) = crate::laws::projective(0.3, 1.0, 0.2);
    close(&ab, &[0.579153, 0.410880, 0.004136, 0.005830], 1e-6);
    close(&ba, &[0.283951, 0.201449, 0.213567, 0.301032], 1e-6);
    let o = order_effect(ab, ba).unwrap();
    assert!(o.q.abs() < 1e-12 && o.effect > 0.1);
    assert!(o.z.is_none());
    let counts = order_effect([40.0, 10.0, 10.0, 40.0], [20.0, 30.0, 30.0, 20.0]).unwrap();
    assert!((counts.q + 0.4).abs() < 1e-12);
    // The test of two shares, 20 and 60 of 100, with the pooled share 0.4: statsmodels 0.14, proportions_ztest([20, 60], [100, 100]).
    assert!((counts.z.unwrap() + 5.773502691896258).abs() < 1e-12);
}

#[test]
fn honeybees() {
    let run = |v: &[f64], sigma: f64| honeybee(v, &HoneybeeConfig { sigma, ..Default::default() }).unwrap();
    close(&run(&[5.0, 4.5], 2.0).shares, &[0.8795, 0.0857], 1e-4);
    close(&run(&[5.0, 4.5], 0.0).shares, &[0.5693, 0.4161], 1e-4);
    assert_eq!(run(&[5.0, 4.5], 2.0).decision, Some(0));
    // Deadlock of equal options breaks above 4 v^3 / (v^2 - 1)^2 = 1.6875.
    let below = run(&[3.0, 3.0], 1.65);
    assert!((below.shares[0] - below.shares[1]).abs() < 1e-6 && below.deadlock && below.steady);
    let above = run(&[3.0, 3.0], 1.75);
    assert!((above.shares[0] - above.shares[1]).abs() > 0.1 && above.steady, "{above:?}");
}

#[test]
fn particle_swarms_find_the_closed_forms() {
    let p = Opinions::from_rows(&[[0.5, 0.3, 0.15, 0.05], [0.1, 0.6, 0.2, 0.1], [0.25; 4]]).unwrap();
    let w = [0.5, 0.2, 0.3];
    let run = |objective| swarm_pool(&p, Some(&w), &SwarmConfig { objective, ..Default::default() }).unwrap();
    let linear = linear_pool(&p, Some(&w)).unwrap();
    close(&run(Objective::KlToPool).pooled, &linear, 1e-5);
    close(&run(Objective::SquaredDistance).pooled, &linear, 1e-5);
    close(&run(Objective::KlFromPool).pooled, &log_pool(&p, Some(&w)).unwrap(), 1e-5);
    let mut roots: Vec<f64> =
        (0..4).map(|k| (0..3).map(|i| w[i] * p.row(i)[k].sqrt()).sum::<f64>().powi(2)).collect();
    let sum: f64 = roots.iter().sum();
    roots.iter_mut().for_each(|x| *x /= sum);
    close(&run(Objective::Hellinger).pooled, &roots, 1e-5);
    assert_eq!(run(Objective::KlToPool), run(Objective::KlToPool));
    // An outcome that somebody rules out stays out of the logarithmic optimum.
    let veto = Opinions::from_rows(&[[0.5, 0.5, 0.0], [0.2, 0.4, 0.4]]).unwrap();
    let s = swarm_pool(&veto, None, &SwarmConfig { objective: Objective::KlFromPool, ..Default::default() })
        .unwrap();
    close(&s.pooled, &log_pool(&veto, None).unwrap(), 1e-5);
    assert_eq!(s.pooled[2], 0.0);
}

//! Do large numbers, many options and near ties neither mislead nor exhaust a method?

use quorate_consensus::delphi::{Appropriateness, DelphiConfig, delphi_round};
use quorate_consensus::density::density_pool;
use quorate_consensus::minority::{Vote, minority_report};
use quorate_consensus::pooling::*;
use quorate_consensus::ranking::*;
use quorate_consensus::swarm::{HoneybeeConfig, SwarmConfig, honeybee, swarm_pool};
use quorate_consensus::text::{ClusterConfig, Linkage, rover, semantic_clusters};
use quorate_core::{Code, Result};

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, code: Code) {
    assert_eq!(result.unwrap_err().code(), code);
}

/// One side of a circle is a voter ahead of millions. All six orders, in whole numbers, decide.
#[test]
fn a_majority_of_one_is_a_majority() {
    for n in [1_000_000i64, 300_000_000, 2_000_000_000_000] {
        let ballots = [("abc", n + 1), ("bca", n), ("cab", n)];
        let distance = |order: &str| -> i64 {
            let mut sum = 0;
            for (ballot, w) in ballots {
                for (x, a) in order.chars().enumerate() {
                    sum += order[x + 1..].chars().filter(|b| ballot.find(a) > ballot.find(*b)).count() as i64
                        * w;
                }
            }
            sum
        };
        let all = ["abc", "acb", "bac", "bca", "cab", "cba"];
        let least = all.map(distance).into_iter().min().unwrap();
        let best: Vec<Vec<String>> = all
            .iter()
            .filter(|o| distance(o) == least)
            .map(|o| o.chars().map(String::from).collect())
            .collect();
        let rankings: Vec<(Vec<String>, f64)> =
            ballots.iter().map(|(b, w)| (b.chars().map(String::from).collect(), *w as f64)).collect();
        let profile = Profile::from_rankings(&rankings).unwrap();
        let found = kemeny(&profile, &KemenyConfig::default()).unwrap();
        assert_eq!((found.orders, found.distance, found.exact), (best, least as f64, true), "{n}");
        let config = VoteConfig::default();
        for outcome in [
            schulze(&profile, &config).unwrap(),
            ranked_pairs(&profile, &config).unwrap(),
            minimax(&profile, &config).unwrap(),
            borda(&profile, &config).unwrap(),
            instant_runoff(&profile, &RunoffConfig::default()).unwrap().outcome,
        ] {
            assert_eq!(outcome.winner(), Some("a"), "{}", outcome.method);
        }
        let vote = |v: &str, p: &str, w: i64| Vote { weight: w as f64, ..Vote::new(v, p) };
        let report = minority_report(&[vote("1", "x", n + 1), vote("2", "y", n)], 0.0).unwrap();
        assert_eq!(report.leading.len(), 1);
    }
    // Weights that are no multiples of a power of two have rounding errors, and what differs by those is level.
    let mut profile = Profile::new(["a", "b"]).unwrap();
    profile.add(&["a", "b"], 0.1).unwrap();
    profile.add(&["a", "b"], 0.2).unwrap();
    profile.add(&["b", "a"], 0.3).unwrap();
    assert_eq!(profile.pairwise().margin(0, 1), 0.0);
    assert_eq!(borda(&profile, &VoteConfig::default()).unwrap().winners.len(), 2);
}

/// Each two of `n` options are compared once, all with one strength: as many circles as there can be.
#[test]
fn a_tournament_of_equal_victories_is_decided_or_refused() {
    for n in [5usize, 61, 181] {
        let mut profile =
            Profile::new((0..n).map(|i| format!("o{i:03}"))).unwrap().with_unranked(Unranked::Silent);
        for i in 0..n {
            for step in 1..=n / 2 {
                profile.add_codes(&[i as u32, ((i + step) % n) as u32], 1.0).unwrap();
            }
        }
        match ranked_pairs(&profile, &VoteConfig::default()) {
            // A circle has no beginning: everyone can win.
            Ok(outcome) => assert_eq!((n, outcome.winners.len()), (5, 5)),
            Err(error) => assert_eq!(error.code(), Code::TooLarge),
        }
        let broken = VoteConfig { tie_break: TieBreak::Lexicographic, ..VoteConfig::default() };
        assert_eq!(ranked_pairs(&profile, &broken).unwrap().winner(), Some("o000"));
    }
}

/// An overshoot that is lost beside the quantiles leaves no width of 0, and so no expert with information without bound.
#[test]
fn a_small_overshoot_makes_no_nan() {
    let seeds = [[[1.0, 2.0, 3.0]; 3], [[1.5, 2.0, 3.0]; 3]];
    for overshoot in [1e-6, 1e-18, 1e-300] {
        let config = CookeConfig { overshoot, ..CookeConfig::default() };
        let found = cooke_weights(&seeds, &[1.1, 2.1, 2.9], &config).unwrap();
        assert!(found.weights.iter().chain(&found.information).all(|x| x.is_finite()), "{found:?}");
        crate::close(&[found.weights.iter().sum()], &[1.0], 1e-12);
    }
}

/// 0.29 * 100 is 28.999999999999996; the bin from 0.29 on holds 0.29.
#[test]
fn forecasts_fall_into_the_bins_that_are_stated() {
    for bins in [1, 3, 7, 10, 100, 1_000] {
        for i in 0..=bins {
            let p = i as f64 / bins as f64;
            let table = calibration_table(&[p], &[true], bins).unwrap();
            let bin = table.bins.iter().find(|b| b.count == 1).unwrap();
            assert!(bin.low <= p && (p < bin.high || (p == 1.0 && bin.high == 1.0)), "{p} in {bin:?}");
        }
    }
}

/// A circle of two blocks and one option. From the top, going below both blocks is worth nothing, and so is the way back; with 1.1 as weight the sums of
/// either way round to a little more than that, so that a search which believes them never ends.
#[test]
fn the_search_for_an_order_ends_where_sums_round_up() {
    let block = |name: char| (0..60).map(|i| format!("{name}{i:02}")).collect::<Vec<_>>();
    let (first, second, alone) = (block('f'), block('n'), vec!["z".to_owned()]);
    let circle = |w: f64| {
        let orders = [[&first, &second, &alone], [&second, &alone, &first], [&alone, &first, &second]];
        let rankings: Vec<(Vec<String>, f64)> =
            orders.iter().map(|o| (o.iter().flat_map(|b| b.iter().cloned()).collect(), w)).collect();
        let config = KemenyConfig { restarts: 2, ..KemenyConfig::default() };
        kemeny(&Profile::from_rankings(&rankings).unwrap(), &config).unwrap()
    };
    let (decimal, whole) = (circle(1.1), circle(1.0));
    assert!(
        (decimal.distance - 1.1 * whole.distance).abs() < 1e-6,
        "{} {}",
        decimal.distance,
        whole.distance
    );
}

/// Two to the thirteenth orders of a thousand options: what is listed has a bound in all, whatever number is asked for.
#[test]
fn optimal_orders_of_many_options_are_listed_within_bounds() {
    let names: Vec<String> = (0..1_000).map(|i| format!("o{i:03}")).collect();
    let swapped: Vec<u32> = (0..1_000).map(|i| if i < 26 { i ^ 1 } else { i }).collect();
    let mut profile = Profile::new(names).unwrap();
    profile.add_codes(&(0..1_000).collect::<Vec<u32>>(), 1.0).unwrap();
    profile.add_codes(&swapped, 1.0).unwrap();
    let found = kemeny(&profile, &KemenyConfig { max_orders: 10_000, ..KemenyConfig::default() }).unwrap();
    assert!(found.exact && !found.orders_complete);
    assert_eq!(found.orders.len(), (1 << 22) / 1_000);
}

/// What waits to be followed counts as well as what was: 2,000 level options once took gigabytes.
#[test]
fn courses_of_many_level_options_are_refused_before_they_fill_the_memory() {
    let names: Vec<String> = (0..2_000).map(|i| format!("o{i}")).collect();
    let mut profile = Profile::new(names.iter().cloned()).unwrap();
    for name in &names {
        profile.add(&[name], 1.0).unwrap();
    }
    let config =
        RunoffConfig { last_place_ties: LastPlaceTies::ParallelUniverses, ..RunoffConfig::default() };
    refused(instant_runoff(&profile, &config), Code::TooLarge);
}

#[test]
fn weights_whose_sum_overflows_are_refused() {
    let rankings = [(["a", "b"], 1e308), (["a", "b"], 1e308), (["b", "a"], 1.0)];
    let profile = Profile::from_rankings(&rankings).unwrap();
    let vote = VoteConfig::default();
    refused(borda(&profile, &vote), Code::NotFinite);
    refused(copeland(&profile, &vote), Code::NotFinite);
    refused(minimax(&profile, &vote), Code::NotFinite);
    refused(schulze(&profile, &vote), Code::NotFinite);
    refused(ranked_pairs(&profile, &vote), Code::NotFinite);
    refused(kemeny(&profile, &KemenyConfig::default()), Code::NotFinite);
    refused(instant_runoff(&profile, &RunoffConfig::default()), Code::NotFinite);
    refused(plackett_luce(&profile, Unranked::Last, &StrengthConfig::default()), Code::NotFinite);
    let mut duels = Comparisons::new(["a", "b"]).unwrap();
    for (winner, loser, w) in [("a", "b", 1e308), ("a", "b", 1e308), ("b", "a", 1.0)] {
        duels.add(winner, loser, w).unwrap();
    }
    refused(bradley_terry(&duels, &StrengthConfig::default()), Code::NotFinite);
    refused(rank_centrality(&duels, &StrengthConfig::default()), Code::NotFinite);
    refused(
        minority_report(&["x", "y"].map(|v| Vote { weight: 1e308, ..Vote::new(v, v) }), 0.0),
        Code::NotFinite,
    );
}

/// The unit of the weights does not matter, however large or small it is.
#[test]
fn strengths_do_not_depend_on_the_unit_of_the_weights() {
    let fit = |unit: f64| {
        let mut duels = Comparisons::new(["a", "b", "c"]).unwrap();
        for (winner, loser, w) in [("a", "b", 3.0), ("b", "a", 1.0), ("b", "c", 2.0), ("c", "a", 1.0)] {
            duels.add(winner, loser, w * unit).unwrap();
        }
        let config = StrengthConfig::default();
        (bradley_terry(&duels, &config).unwrap(), rank_centrality(&duels, &config).unwrap())
    };
    let one = fit(1.0);
    for unit in [1e-300, 1e-9, 1e300] {
        let other = fit(unit);
        crate::close(&other.0.log_strengths, &one.0.log_strengths, 1e-9);
        crate::close(&other.1.shares, &one.1.shares, 1e-9);
        assert!(other.0.converged && other.1.shares.iter().all(|s| s.is_finite()));
    }
}

#[test]
fn counts_have_upper_limits() {
    let huge = usize::MAX;
    let mut profile = Profile::new(["a", "b"]).unwrap();
    profile.add(&["a", "b"], 1.0).unwrap();
    refused(kemeny(&profile, &KemenyConfig { restarts: huge, ..Default::default() }), Code::TooLarge);
    refused(kemeny(&profile, &KemenyConfig { max_orders: huge, ..Default::default() }), Code::TooLarge);
    let fit = StrengthConfig { max_iter: huge, ..Default::default() };
    refused(plackett_luce(&profile, Unranked::Last, &fit), Code::TooLarge);
    refused(Profile::new((0..100_000).map(|i| i.to_string())), Code::TooLarge);
    let p = Opinions::from_event(&[0.2, 0.8]).unwrap();
    refused(swarm_pool(&p, None, &SwarmConfig { particles: huge, ..Default::default() }), Code::TooLarge);
    refused(swarm_pool(&p, None, &SwarmConfig { max_iter: huge, ..Default::default() }), Code::TooLarge);
    refused(calibration_table(&[0.5], &[true], huge), Code::TooLarge);
    refused(condorcet_jury(&vec![0.6; 200_000]), Code::TooLarge);
    let square: Vec<Vec<f64>> =
        (0..3_000).map(|i| (0..3_000).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    refused(density_pool(&Opinions::from_rows(&square).unwrap(), None), Code::TooLarge);
    let words: Vec<String> = (0..20_000).map(|i| i.to_string()).collect();
    let other: Vec<String> = words.iter().rev().cloned().collect();
    refused(rover(&[&words[..6_000], &other[..6_000]], None), Code::TooLarge);
    for linkage in [Linkage::Complete, Linkage::Single] {
        let vectors: Vec<[f64; 2]> = (0..20_000).map(|i| [f64::from(i), 1.0]).collect();
        refused(
            semantic_clusters(&vectors, None, &ClusterConfig { linkage, ..Default::default() }),
            Code::TooLarge,
        );
    }
}

/// What comes out does not depend on how fast the fastest rate is; the equation itself says when the swarm is at rest.
#[test]
fn a_swarm_of_any_size_and_quality_comes_to_rest() {
    for (values, sigma) in [
        (vec![1e5, 2e5], 4.0),
        (vec![5.0, 4.5], 2f64.powi(31)),
        (vec![1e6, 1e6, 1e-6], 0.0),
        (vec![1e-6, 2e-6], 1.0),
        (vec![1.0; 100_000], 4.0),
    ] {
        let h = honeybee(&values, &HoneybeeConfig { sigma, ..Default::default() }).unwrap();
        assert!(h.shares.iter().all(|x| (-1e-6..=1.0 + 1e-6).contains(x)), "{values:?} {sigma}");
        let sum: f64 = h.shares.iter().sum();
        assert!((sum + h.uncommitted - 1.0).abs() < 1e-9);
        if values.len() < 10 && h.steady {
            for (x, v) in h.shares.iter().zip(&values) {
                let gross = v * (1.0 + x) + x / v + sigma * x;
                let rate = v * h.uncommitted * (1.0 + x) - x / v - sigma * x * (sum - x);
                assert!(rate.abs() <= 1e-9 * gross.max(1.0), "{values:?} {sigma}: {rate}");
            }
        }
    }
    let best = honeybee(&[1e5, 2e5], &HoneybeeConfig::default()).unwrap();
    assert_eq!(best.decision, Some(1));
    for bad in [1e-7, 1e7, 0.0, -1.0] {
        refused(honeybee(&[bad, 1.0], &HoneybeeConfig::default()), Code::InvalidArgument);
    }
    refused(honeybee(&[1.0], &HoneybeeConfig { sigma: 1e300, ..Default::default() }), Code::InvalidArgument);
}

#[test]
fn extremes_make_no_nan() {
    let sure = Opinions::from_rows(&[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]).unwrap();
    for a in [1e-300, 1e-9, 2.5, 1e9, 1e300, f64::MAX] {
        for weights in [[1.0, 1.0], [1e-300, 1.0], [1e300, 1e-300]] {
            assert_eq!(
                extremized_pool(&sure, Some(&weights), a).unwrap(),
                [1.0, 0.0, 0.0],
                "{a} {weights:?}"
            );
        }
    }
    let open = Opinions::from_event(&[0.9, 0.7, 0.6]).unwrap();
    assert_eq!(extremized_pool(&open, None, f64::MAX).unwrap(), [1.0, 0.0]);
    crate::close(&extremized_pool(&open, None, 1e-300).unwrap(), &[0.5, 0.5], 1e-12);
}

/// RAND/UCLA with 15 ratings whose interpercentile range equals the adjusted one: "greater", not "greater up to rounding".
#[test]
fn delphi_limits_are_compared_without_rounding_traps() {
    let one = |ratings: &[f64], config: &DelphiConfig| {
        let rows: Vec<[f64; 1]> = ratings.iter().map(|x| [*x]).collect();
        delphi_round(&rows, None, config).unwrap().items[0].clone()
    };
    // P30 = a and P70 = b with b - a = 2.35 + 1.5 |5 - (a + b) / 2|: b = (2.35 + 7.5 + 0.25 a) / 1.75 for a + b <= 10.
    for a in [1.0, 1.3, 2.0, 2.2, 3.1] {
        let b = (2.35 + 7.5 + a - 0.75 * a) / 1.75;
        let mut ratings = vec![a; 7];
        ratings.extend(vec![b; 8]);
        for (low, high) in [(1.0, 9.0), (0.0, 1.0), (-3.0, 0.7)] {
            let scaled: Vec<f64> = ratings.iter().map(|x| low + (x - 1.0) / 8.0 * (high - low)).collect();
            let item = one(&scaled, &DelphiConfig { scale: (low, high), ..Default::default() });
            assert!((item.ipr - item.ipras).abs() < 1e-9, "{item:?}");
            assert!(!item.disagreement, "{a} on {low} to {high}: {} and {}", item.ipr, item.ipras);
        }
    }
    // A median of 6.5 on any scale is in the upper third, one of 3.5 is not in the lower.
    for (low, high) in [(1.0, 9.0), (0.0, 1.0), (0.1, 0.7)] {
        let config = DelphiConfig { scale: (low, high), ..Default::default() };
        let at = |x: f64| one(&[low + (x - 1.0) / 8.0 * (high - low); 3], &config).appropriateness;
        assert_eq!(at(6.5), Appropriateness::Appropriate, "{low} {high}");
        assert_eq!(at(3.5), Appropriateness::Uncertain, "{low} {high}");
        assert_eq!(at(3.4), Appropriateness::Inappropriate);
    }
    // 3 of 20 ratings changed: exactly the limit of .15, which is not below it.
    let before: Vec<[f64; 1]> = (0..20).map(|i| [if i < 10 { 2.0 } else { 8.0 }]).collect();
    let mut now = before.clone();
    now[..3].iter_mut().for_each(|r| r[0] = 8.0);
    let round = delphi_round(&now, Some(&before), &DelphiConfig::default()).unwrap();
    assert!(!round.items[0].stability.as_ref().unwrap().stable);
}

#[test]
fn messages_are_no_longer_than_they_need_to_be() {
    let long = "x".repeat(200_000);
    let mut profile = Profile::new(["a"]).unwrap();
    let messages = [
        profile.add(&[long.as_str()], 1.0).unwrap_err(),
        Profile::new([long.as_str(), long.as_str()]).unwrap_err(),
        Comparisons::new(["a"]).unwrap().add(&long, "a", 1.0).unwrap_err(),
        quorate_consensus::Ratings::new(&[long.as_str(); 2], &[long.as_str(); 2], &[1, 2]).unwrap_err(),
        long.parse::<quorate_consensus::agreement::IccForm>().unwrap_err(),
    ];
    for error in messages {
        assert!(error.message().len() < 600, "{} characters", error.message().len());
    }
}

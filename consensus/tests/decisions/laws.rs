//! Do the laws hold that the methods promise?

use proptest::prelude::*;
use quorate_consensus::density::{density_pool, order_effect};
use quorate_consensus::minority::{Vote, bayesian_truth_serum, minority_report};
use quorate_consensus::panel::{Ballot, PanelConfig, score_panel, score_panel_with};
use quorate_consensus::pooling::*;
use quorate_consensus::ranking::*;
use quorate_consensus::text::{ClusterConfig, Linkage, rover, semantic_clusters};

use crate::close;

/// Joint answer probabilities for plane projectors: (AB, BA) in the order of `order_effect`.
pub(crate) fn projective(a: f64, b: f64, state: f64) -> ([f64; 4], [f64; 4]) {
    let asked = |first: f64, second: f64| {
        let (yes, no) = ((state - first).cos().powi(2), (state - first).sin().powi(2));
        let (same, other) = ((first - second).cos().powi(2), (first - second).sin().powi(2));
        [yes * same, yes * other, no * other, no * same]
    };
    (asked(a, b), asked(b, a))
}

type Ranked = (Vec<u32>, f64);

/// Ballots over `n` options: permutations, possibly cut short, with whole weights.
fn ballots(n: usize, full: bool) -> impl Strategy<Value = Vec<Ranked>> {
    let one = (Just((0..n as u32).collect::<Vec<_>>()).prop_shuffle(), 1..=n, 1u32..5).prop_map(
        move |(mut r, len, w)| {
            if !full {
                r.truncate(len);
            }
            (r, f64::from(w))
        },
    );
    prop::collection::vec(one, 1..9)
}

fn profile(n: usize, ballots: &[Ranked]) -> Profile {
    let mut p = Profile::new((0..n).map(|i| format!("{i}"))).unwrap();
    for (r, w) in ballots {
        p.add_codes(r, *w).unwrap();
    }
    p
}

const METHODS: [&str; 7] =
    ["borda", "copeland", "minimax", "schulze", "ranked_pairs", "kemeny", "instant_runoff"];
const CONDORCET: [&str; 5] = ["copeland", "minimax", "schulze", "ranked_pairs", "kemeny"];

fn elect(method: &str, p: &Profile) -> Outcome {
    let config = VoteConfig::default();
    match method {
        "borda" => borda(p, &config),
        "copeland" => copeland(p, &config),
        "minimax" => minimax(p, &config),
        "schulze" => schulze(p, &config),
        "ranked_pairs" => ranked_pairs(p, &config),
        "kemeny" => kemeny(p, &KemenyConfig::default()).map(|k| k.outcome),
        _ => instant_runoff(p, &RunoffConfig::default()).map(|r| r.outcome),
    }
    .unwrap()
}

fn opinions(n: usize, k: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(0.01f64..1.0, k), n).prop_map(|rows| {
        rows.into_iter()
            .map(|r| {
                let s: f64 = r.iter().sum();
                r.into_iter().map(|x| x / s).collect()
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn voters_are_alike_and_votes_may_be_doubled(votes in ballots(5, false)) {
        let p = profile(5, &votes);
        let mut reversed = votes.clone();
        reversed.reverse();
        let twice: Vec<Ranked> = votes.iter().chain(&votes).cloned().collect();
        let mut idle = votes.clone();
        idle.insert(0, (vec![4, 3, 2, 1, 0], 0.0));
        for m in METHODS {
            let outcome = elect(m, &p);
            prop_assert_eq!(&outcome, &elect(m, &profile(5, &reversed)), "{} is not anonymous", m);
            prop_assert_eq!(&outcome, &elect(m, &p.compacted()));
            prop_assert_eq!(&outcome, &elect(m, &profile(5, &idle)), "weight 0 counts in {}", m);
            let doubled = elect(m, &profile(5, &twice));
            prop_assert_eq!((&outcome.winners, &outcome.tiers), (&doubled.winners, &doubled.tiers), "{} by duplication", m);
        }
    }

    #[test]
    fn options_are_alike(votes in ballots(4, false), turn in Just(vec![0u32, 1, 2, 3]).prop_shuffle()) {
        let turned: Vec<Ranked> =
            votes.iter().map(|(r, w)| (r.iter().map(|&i| turn[i as usize]).collect(), *w)).collect();
        for m in METHODS {
            let mut want: Vec<String> = elect(m, &profile(4, &votes)).winners.iter()
                .map(|w| turn[w.parse::<usize>().unwrap()].to_string()).collect();
            want.sort();
            prop_assert_eq!(elect(m, &profile(4, &turned)).winners, want, "{} is not neutral", m);
        }
    }

    #[test]
    fn condorcet_and_majority_winners_win(votes in ballots(4, true)) {
        let p = profile(4, &votes);
        let pairs = p.pairwise();
        if let Some(c) = (0..4).find(|&i| (0..4).all(|j| j == i || pairs.margin(i, j) > 0.0)) {
            for m in CONDORCET {
                prop_assert_eq!(elect(m, &p).winners, vec![c.to_string()], "{}", m);
            }
        }
        let total = p.total_weight();
        if let Some(c) = (0..4u32).find(|&i| votes.iter().filter(|v| v.0[0] == i).map(|v| v.1).sum::<f64>() > total / 2.0) {
            for m in CONDORCET.iter().chain(&["instant_runoff"]) {
                prop_assert_eq!(elect(m, &p).winners, vec![c.to_string()], "{}", m);
            }
        }
    }

    #[test]
    fn what_nobody_prefers_does_not_win(votes in ballots(4, true)) {
        let p = profile(4, &votes);
        let pairs = p.pairwise();
        for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))).filter(|(a, b)| a != b) {
            if pairs.prefer(b, a) == 0.0 {
                for m in METHODS {
                    let order = elect(m, &p);
                    prop_assert!(!order.winners.contains(&b.to_string()), "{} elects {} below {}", m, b, a);
                }
            }
        }
        let unanimous = profile(4, &votes[..1]);
        let want: Vec<String> = votes[0].0.iter().map(u32::to_string).collect();
        // Minimax and instant runoff name the winner but leave the losers of a unanimous vote level.
        for m in METHODS.iter().filter(|m| !["minimax", "instant_runoff"].contains(m)) {
            prop_assert_eq!(elect(m, &unanimous).order, Some(want.clone()), "{}", m);
        }
    }

    #[test]
    fn support_does_not_harm_a_winner(votes in ballots(4, true), which in 0usize..8) {
        let p = profile(4, &votes);
        for m in ["borda", "copeland", "minimax", "schulze", "ranked_pairs", "kemeny"] {
            let outcome = elect(m, &p);
            let [winner] = &outcome.winners[..] else { continue };
            let w: u32 = winner.parse().unwrap();
            let mut raised = votes.clone();
            let ballot = &mut raised[which % votes.len()].0;
            let at = ballot.iter().position(|&i| i == w).unwrap();
            if at > 0 {
                ballot.swap(at, at - 1);
            }
            prop_assert!(elect(m, &profile(4, &raised)).winners.contains(winner), "{} is not monotonic", m);
        }
    }

    #[test]
    fn kemeny_search_and_bound_enclose_the_optimum(votes in ballots(6, false), seed in 0u64..99) {
        let p = profile(6, &votes);
        let exact = kemeny(&p, &KemenyConfig { max_orders: 1000, ..Default::default() }).unwrap();
        let search = kemeny(&p, &KemenyConfig { exact_options: 2, seed, ..Default::default() }).unwrap();
        prop_assert!(exact.exact);
        prop_assert!(search.lower_bound <= exact.distance + 1e-9);
        prop_assert!(search.distance >= exact.distance - 1e-9);
        if search.exact {
            prop_assert!((search.distance - exact.distance).abs() < 1e-9);
        }
        prop_assert_eq!(exact.orders.iter().map(|o| o[0].clone()).collect::<std::collections::BTreeSet<_>>(),
            exact.outcome.winners.iter().cloned().collect());
    }

    #[test]
    fn tie_breaks_are_reported_and_complete(votes in ballots(5, false), seed in 0u64..9) {
        let p = profile(5, &votes);
        for tie_break in [TieBreak::Lexicographic, TieBreak::Random { seed }] {
            let plain = borda(&p, &VoteConfig::default()).unwrap();
            let broken = borda(&p, &VoteConfig { tie_break, ..Default::default() }).unwrap();
            prop_assert_eq!(&plain.tiers, &broken.tiers);
            prop_assert_eq!(broken.order.as_ref().unwrap().len(), 5);
            let ties: Vec<_> = { let mut t: Vec<_> = plain.tiers.into_iter().filter(|t| t.len() > 1).collect(); t.sort(); t };
            prop_assert_eq!(&broken.broken, &ties);
            let pairs = ranked_pairs(&p, &VoteConfig { tie_break, ..Default::default() }).unwrap();
            let all = ranked_pairs(&p, &VoteConfig::default()).unwrap();
            prop_assert!(pairs.winners.iter().all(|w| all.winners.contains(w)));
        }
    }

    #[test]
    fn strengths_follow_the_votes_not_their_order(votes in ballots(4, true)) {
        let p = profile(4, &votes);
        let mut reversed = votes.clone();
        reversed.reverse();
        let a = plackett_luce(&p, Unranked::Silent, &StrengthConfig::default()).unwrap();
        let b = plackett_luce(&profile(4, &reversed), Unranked::Silent, &StrengthConfig::default()).unwrap();
        close(&a.log_strengths, &b.log_strengths, 1e-6);
        prop_assert!(a.log_strengths.iter().all(|x| x.is_finite()));
        prop_assert!((a.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let c = Comparisons::from_profile(&p).unwrap();
        for fit in [bradley_terry(&c, &StrengthConfig::default()), rank_centrality(&c, &StrengthConfig::default())] {
            let fit = fit.unwrap();
            prop_assert!(fit.converged && fit.log_strengths.iter().sum::<f64>().abs() < 1e-9);
        }
    }

    #[test]
    fn pools_keep_their_laws(rows in opinions(4, 3), w in prop::collection::vec(0.1f64..1.0, 4), likelihood in prop::collection::vec(0.1f64..1.0, 3)) {
        let p = Opinions::from_rows(&rows).unwrap();
        let mut zero = w.clone();
        zero[2] = 0.0;
        let fewer: Vec<Vec<f64>> = [0, 1, 3].iter().map(|&i| rows[i].clone()).collect();
        let (few, few_w) = (Opinions::from_rows(&fewer).unwrap(), [w[0], w[1], w[3]]);
        let back: Vec<Vec<f64>> = rows.iter().rev().cloned().collect();
        let (back, back_w) = (Opinions::from_rows(&back).unwrap(), w.iter().rev().copied().collect::<Vec<_>>());
        let same = Opinions::from_rows(&vec![rows[0].clone(); 4]).unwrap();
        for pool in [linear_pool, log_pool] {
            close(&pool(&p, Some(&zero)).unwrap(), &pool(&few, Some(&few_w)).unwrap(), 1e-12);
            close(&pool(&p, Some(&w)).unwrap(), &pool(&back, Some(&back_w)).unwrap(), 1e-12);
            close(&pool(&same, Some(&w)).unwrap(), &rows[0], 1e-12);
        }
        let density = density_pool(&p, Some(&zero)).unwrap();
        close(&density.pooled, &density_pool(&few, Some(&few_w)).unwrap().pooled, 1e-12);
        prop_assert!((density.entropy - density_pool(&few, Some(&few_w)).unwrap().entropy).abs() < 1e-9);
        close(&extremized_pool(&p, Some(&w), 1.0).unwrap(), &log_pool(&p, Some(&w)).unwrap(), 1e-12);
        // The logarithmic pool is externally Bayesian: update then pool = pool then update.
        let update = |r: &[f64]| -> Vec<f64> {
            let q: Vec<f64> = r.iter().zip(&likelihood).map(|(a, b)| a * b).collect();
            let s: f64 = q.iter().sum();
            q.iter().map(|x| x / s).collect()
        };
        let updated: Vec<Vec<f64>> = rows.iter().map(|r| update(r)).collect();
        close(&log_pool(&Opinions::from_rows(&updated).unwrap(), Some(&w)).unwrap(), &update(&log_pool(&p, Some(&w)).unwrap()), 1e-12);
    }

    #[test]
    fn holevo_bounds_the_divergence(rows in opinions(6, 4), w in prop::collection::vec(0.0f64..1.0, 6)) {
        prop_assume!(w.iter().sum::<f64>() > 0.1);
        for n in [2, 3, 6] {
            prop_assume!(w[..n].iter().sum::<f64>() > 0.01);
            let p = Opinions::from_rows(&rows[..n]).unwrap();
            let d = density_pool(&p, Some(&w[..n])).unwrap();
            prop_assert!(d.jensen_shannon <= d.entropy + 1e-9);
            prop_assert!((d.eigenvalues.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(d.purity <= 1.0 + 1e-9 && d.purity >= 1.0 / d.eigenvalues.len() as f64 - 1e-9);
            close(&d.pooled, &linear_pool(&p, Some(&w[..n])).unwrap(), 1e-12);
            // The spectral decomposition gives the diagonal back.
            let diagonal: Vec<f64> = (0..4).map(|k| d.factions.iter().map(|f| f.weight * f.opinion[k]).sum()).collect();
            close(&diagonal, &d.pooled, 1e-9);
        }
    }

    #[test]
    fn projective_models_have_q_zero(a in 0.0f64..3.1, b in 0.0f64..3.1, s in 0.0f64..3.1, basis in prop::collection::vec(-1.0f64..1.0, 25)) {
        let (ab, ba) = projective(a, b, s);
        prop_assert!(order_effect(ab, ba).unwrap().q.abs() < 1e-12);
        // Five dimensions: A projects on a random plane, B on another, the state is random.
        let v: Vec<&[f64]> = basis.chunks_exact(5).collect();
        let plane = |x: &[f64], y: &[f64]| -> Option<[Vec<f64>; 2]> {
            let unit = |z: Vec<f64>| { let n = z.iter().map(|t| t * t).sum::<f64>().sqrt(); (n > 1e-2).then(|| z.iter().map(|t| t / n).collect::<Vec<_>>()) };
            let x = unit(x.to_vec())?;
            let d: f64 = x.iter().zip(y).map(|(p, q)| p * q).sum();
            let y = unit(y.iter().zip(&x).map(|(q, p)| q - d * p).collect())?;
            Some([x, y])
        };
        let (Some(pa), Some(pb), Some([state, _])) = (plane(v[0], v[1]), plane(v[2], v[3]), plane(v[4], v[0])) else { return Ok(()) };
        let project = |p: &[Vec<f64>; 2], x: &[f64], yes: bool| -> Vec<f64> {
            let mut out = vec![0.0; 5];
            for e in p {
                let d: f64 = e.iter().zip(x).map(|(p, q)| p * q).sum();
                out.iter_mut().zip(e).for_each(|(o, e)| *o += d * e);
            }
            if yes { out } else { x.iter().zip(out).map(|(x, o)| x - o).collect() }
        };
        let joint = |p: &[Vec<f64>; 2], q: &[Vec<f64>; 2]| [(true, true), (true, false), (false, true), (false, false)]
            .map(|(f, s)| project(q, &project(p, &state, f), s).iter().map(|x| x * x).sum::<f64>());
        prop_assert!(order_effect(joint(&pa, &pb), joint(&pb, &pa)).unwrap().q.abs() < 1e-12);
    }

    #[test]
    fn truth_serum_is_a_zero_sum_game(rows in opinions(6, 3), votes in prop::collection::vec(0usize..3, 6)) {
        let bts = bayesian_truth_serum(&votes, &Opinions::from_rows(&rows).unwrap(), 1.0, 0.0).unwrap();
        prop_assert!(bts.scores.iter().sum::<f64>().abs() < 1e-9);
        prop_assert!(bts.prediction.iter().all(|p| *p <= 1e-12));
    }

    #[test]
    fn no_minority_is_lost(positions in prop::collection::vec((0u8..5, 0.0f64..2.0), 1..20), threshold in 0.0f64..0.5) {
        let votes: Vec<Vote> = positions.iter().enumerate()
            .map(|(i, (p, w))| Vote { weight: *w, ..Vote::new(format!("v{i}"), format!("p{p}")) }).collect();
        let total: f64 = positions.iter().map(|p| p.1).sum();
        prop_assume!(total > 0.01);
        let report = minority_report(&votes, threshold).unwrap();
        let listed: Vec<&str> = report.leading.iter().chain(&report.minorities).map(|f| f.position.as_str()).collect();
        for k in 0..5u8 {
            let w: f64 = positions.iter().filter(|p| p.0 == k).map(|p| p.1).sum();
            if w > 0.0 && w / total >= threshold {
                let found = listed.contains(&format!("p{k}").as_str());
                prop_assert!(found, "faction {} is missing", k);
            }
        }
        let shares: f64 = report.leading.iter().chain(&report.minorities).map(|f| f.share).sum();
        prop_assert!((shares + report.below_share - 1.0).abs() < 1e-9);
        let members: usize = report.leading.iter().chain(&report.minorities).map(|f| f.members.len()).sum();
        if report.below == 0 {
            prop_assert_eq!(members, positions.iter().filter(|p| p.1 > 0.0).count());
        }
    }

    #[test]
    fn clusters_do_not_depend_on_order(angles in prop::collection::vec(0.0f64..3.0, 1..12)) {
        let vectors: Vec<[f64; 2]> = angles.iter().map(|a| [a.cos(), a.sin()]).collect();
        let back: Vec<[f64; 2]> = vectors.iter().rev().copied().collect();
        for linkage in [Linkage::Complete, Linkage::Single] {
            let config = ClusterConfig { threshold: 0.9, linkage };
            let (a, b) = (semantic_clusters(&vectors, None, &config).unwrap(), semantic_clusters(&back, None, &config).unwrap());
            prop_assert!((a.entropy - b.entropy).abs() < 1e-9);
            if linkage == Linkage::Complete {
                for c in &a.clusters {
                    prop_assert!(c.iter().all(|&i| c.iter().all(|&j| (angles[i] - angles[j]).cos() >= 0.9 - 1e-9)));
                }
            }
            let twice: Vec<[f64; 2]> = vectors.iter().chain(&vectors).copied().collect();
            prop_assert!((semantic_clusters(&twice, None, &config).unwrap().entropy - a.entropy).abs() < 1e-9);
        }
    }

    #[test]
    fn rover_returns_what_all_say(text in prop::collection::vec("[a-c]", 0..6), other in prop::collection::vec("[a-c]", 0..6)) {
        let r = rover(&[&text, &text, &text], None).unwrap();
        prop_assert_eq!(&r.tokens, &text);
        prop_assert_eq!(r.support, 1.0);
        // Two of three equal texts outvote the third; weight 0 is absence.
        prop_assert_eq!(&rover(&[&other, &text, &text], None).unwrap().tokens, &text);
        prop_assert_eq!(&rover(&[&other, &text], Some(&[0.0, 2.0])).unwrap().tokens, &text);
    }

    #[test]
    fn panels_do_not_depend_on_order_or_absent_members(positions in prop::collection::vec((0u8..3, 1u32..4, 0.0f64..1.0), 1..9)) {
        let ballots: Vec<Ballot> = positions.iter().enumerate()
            .map(|(i, (p, w, c))| Ballot::choice(format!("v{i}"), format!("o{p}")).weight(f64::from(*w)).confidence(*c)).collect();
        let config = PanelConfig { options: (0..3).map(|i| format!("o{i}")).collect(), ..Default::default() };
        let a = score_panel_with(&ballots, &config).unwrap();
        let mut other: Vec<Ballot> = ballots.iter().rev().cloned().collect();
        other.push(Ballot::choice("absent", "o2").weight(0.0));
        let b = score_panel_with(&other, &config).unwrap();
        prop_assert_eq!((&a.decision, a.level, a.support, &a.minority), (&b.decision, b.level, b.support, &b.minority));
        let heavier: Vec<Ballot> = ballots.iter().map(|x| x.clone().weight(x.weight * 4.0)).collect();
        let c = score_panel(&heavier).unwrap();
        prop_assert_eq!((&a.decision, a.level, a.support), (&c.decision, c.level, c.support));
        let (lo, hi) = (a.intervals[0].low, a.intervals[0].high);
        prop_assert!(lo <= a.support && a.support <= hi);
    }
}

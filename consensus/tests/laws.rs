//! Do agreement and truth inference keep their laws on any data?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use quorate_consensus::agreement::*;
use quorate_consensus::truth::*;
use quorate_consensus::{Duplicates, Label, Ratings, RatingsOptions};

/// A vote: item, rater, value.
type Vote = (i64, i64, i64);

/// Votes without repetition, by at least two raters on most items.
fn votes() -> impl Strategy<Value = Vec<Vote>> {
    (2usize..9, 2usize..6, 2i64..5).prop_flat_map(|(items, raters, classes)| {
        proptest::collection::vec(proptest::option::weighted(0.8, 0..classes), items * raters).prop_map(
            move |cells| {
                let at = |n: usize| ((n / raters) as i64, (n % raters) as i64);
                let mut votes: Vec<Vote> =
                    cells.iter().enumerate().filter_map(|(n, v)| v.map(|v| (at(n).0, at(n).1, v))).collect();
                if votes.is_empty() {
                    votes.push((0, 0, 0));
                }
                votes
            },
        )
    })
}

fn build(votes: &[Vote]) -> Ratings {
    with(votes, RatingsOptions::default())
}

fn with(votes: &[Vote], options: RatingsOptions) -> Ratings {
    let column = |f: fn(&Vote) -> i64| votes.iter().map(f).collect::<Vec<i64>>();
    Ratings::with_options(&column(|v| v.0), &column(|v| v.1), &column(|v| v.2), &options).unwrap()
}

/// Every coefficient that does not depend on the order of the values, by name.
fn nominal(data: &Ratings) -> Vec<(&'static str, Option<f64>)> {
    let plain = KappaOptions::default();
    let coefficient = |c: quorate_core::Result<Coefficient>| {
        let c = c.unwrap();
        (c.method, c.value)
    };
    vec![
        coefficient(percent_agreement(data, &plain)),
        coefficient(fleiss_kappa(data, &plain)),
        coefficient(conger_kappa(data, &plain)),
        coefficient(light_kappa(data, &plain)),
        coefficient(brennan_prediger(data, &plain)),
        coefficient(gwet_ac(data, &plain)),
        ("alpha", krippendorff_alpha(data, &AlphaOptions::default()).unwrap().value),
    ]
}

fn ordered(data: &Ratings) -> Vec<(&'static str, Option<f64>)> {
    let mut out = nominal(data);
    for level in [Level::Ordinal, Level::Interval, Level::Ratio] {
        out.push(("alpha", krippendorff_alpha(data, &AlphaOptions::level(level)).unwrap().value));
    }
    out.push(("ac2", gwet_ac(data, &KappaOptions::weighted(Weights::Quadratic)).unwrap().value));
    out
}

fn same(a: &[(&str, Option<f64>)], b: &[(&str, Option<f64>)]) -> Result<(), TestCaseError> {
    for (x, y) in a.iter().zip(b) {
        match (x.1, y.1) {
            (Some(p), Some(q)) => prop_assert!((p - q).abs() < 1e-9, "{}: {p} and {q}", x.0),
            (p, q) => prop_assert_eq!(p, q, "{}", x.0),
        }
    }
    Ok(())
}

/// A probabilistic answer per method, few iterations each, so that rounding does not grow.
fn truths(data: &Ratings) -> Vec<Truth> {
    let em = EmOptions {
        max_iter: 6,
        tol: 0.0,
        prior_class: 0.5,
        prior_correct: 1.0,
        prior_wrong: 0.5,
        ..EmOptions::default()
    };
    vec![
        majority_vote(data).unwrap(),
        dawid_skene(data, &em).unwrap(),
        one_coin(data, &em).unwrap(),
        glad(data, &GladOptions { max_iter: 6, tol: 0.0, ..GladOptions::default() }).unwrap(),
    ]
}

/// The same items have the same probabilities, matching items by id and classes by `class`.
fn same_truth(
    a: &Truth,
    b: &Truth,
    class: impl Fn(&Label) -> Label,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    for (i, item) in a.items.iter().enumerate() {
        let j = b.items.iter().position(|x| x == item).unwrap();
        for (c, name) in a.classes.iter().enumerate() {
            let name = class(name);
            let Some(d) = b.classes.iter().position(|x| *x == name) else { continue };
            let (p, q) = (a.probabilities_of(i)[c], b.probabilities_of(j)[d]);
            prop_assert!((p - q).abs() < tolerance, "{} item {item} class {name}: {p} and {q}", a.method);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_order_of_votes_does_not_matter(votes in votes(), seed in any::<u64>()) {
        let mut shuffled = votes.clone();
        let n = shuffled.len() as u64;
        for i in 0..shuffled.len() {
            shuffled.swap(i, ((seed.wrapping_mul(i as u64 + 1).wrapping_add(seed >> 7)) % n) as usize);
        }
        let (a, b) = (build(&votes), build(&shuffled));
        same(&ordered(&a), &ordered(&b))?;
        for (x, y) in truths(&a).iter().zip(&truths(&b)) {
            same_truth(x, y, Label::clone, 1e-7)?;
        }
    }

    #[test]
    fn names_do_not_matter(votes in votes()) {
        // Items and raters get other numbers; values get texts in the opposite order.
        let renamed: Vec<Vote> = votes.iter().map(|v| (1000 - 3 * v.0, 7 * v.1 - 50, 9 - v.2)).collect();
        same(&nominal(&build(&votes)), &nominal(&build(&renamed)))?;
        let items: Vec<i64> = votes.iter().map(|v| v.0).collect();
        let raters: Vec<String> = votes.iter().map(|v| format!("rater {}", v.1)).collect();
        let texts: Vec<String> = votes.iter().map(|v| format!("value {}", 9 - v.2)).collect();
        let named = Ratings::new(&items, &raters, &texts).unwrap();
        same(&nominal(&build(&votes)), &nominal(&named))?;
        for (x, y) in truths(&build(&votes)).iter().zip(&truths(&named)) {
            same_truth(x, y, |c| Label::from(format!("value {}", 9 - c.as_f64().unwrap() as i64)), 1e-7)?;
        }
    }

    /// Names carry no information, for any method: other names of the labels, in another order, give the same numbers.
    #[test]
    fn names_of_labels_decide_nothing(votes in votes(), turn in 1i64..5) {
        let classes: std::collections::BTreeSet<i64> = votes.iter().map(|v| v.2).collect();
        let rename = |v: i64| format!("name {}", (v * 3 + turn) % 5);
        let items: Vec<i64> = votes.iter().map(|v| v.0).collect();
        let raters: Vec<i64> = votes.iter().map(|v| v.1).collect();
        let renamed: Vec<String> = votes.iter().map(|v| rename(v.2)).collect();
        let (data, other) = (build(&votes), Ratings::new(&items, &raters, &renamed).unwrap());
        let em = EmOptions { max_iter: 6, tol: 0.0, prior_class: 0.5, prior_correct: 1.0, prior_wrong: 0.5, ..EmOptions::default() };
        let all = |data: &Ratings| {
            let mut all = vec![
                majority_vote(data).unwrap(),
                wawa(data).unwrap(),
                zero_based_skill(data, &ZeroBasedSkillOptions::default()).unwrap(),
                dawid_skene(data, &em).unwrap(),
                one_coin(data, &em).unwrap(),
                glad(data, &GladOptions { max_iter: 6, tol: 0.0, ..GladOptions::default() }).unwrap(),
                m_msr(data, &MsrOptions { max_iter: 50, ..MsrOptions::default() }).unwrap(),
            ];
            for method in [MaceMethod::Variational, MaceMethod::Em] {
                let options = MaceOptions { method, max_iter: 4, tol: 0.0, restarts: 1, ..MaceOptions::default() };
                all.push(mace(data, &options).unwrap());
            }
            if classes.len() == 2 {
                all.push(kos(data, &KosOptions { max_iter: 6, ..KosOptions::default() }).unwrap());
            }
            all
        };
        for (x, y) in all(&data).iter().zip(&all(&other)) {
            same_truth(x, y, |c| Label::from(rename(c.as_f64().unwrap() as i64)), 1e-6)?;
            for (a, b) in x.skills.iter().zip(&y.skills) {
                prop_assert!((a - b).abs() < 1e-6, "{}: skills {a} and {b}", x.method);
            }
            prop_assert_eq!(&x.ties, &y.ties, "{}", x.method);
        }
    }

    #[test]
    fn an_interval_scale_may_be_shifted_and_stretched(votes in votes(), shift in -100i64..100, stretch in 1i64..9) {
        let moved: Vec<Vote> = votes.iter().map(|v| (v.0, v.1, shift + stretch * v.2)).collect();
        let interval = |v: &[Vote]| krippendorff_alpha(&build(v), &AlphaOptions::level(Level::Interval)).unwrap().value;
        let ordinal = |v: &[Vote]| krippendorff_alpha(&build(v), &AlphaOptions::level(Level::Ordinal)).unwrap().value;
        same(&[("interval", interval(&votes)), ("ordinal", ordinal(&votes))], &[("interval", interval(&moved)), ("ordinal", ordinal(&moved))])?;
    }

    #[test]
    fn doubling_the_items_leaves_kappas_alone(votes in votes()) {
        let mut twice = votes.clone();
        twice.extend(votes.iter().map(|v| (v.0 + 1000, v.1, v.2)));
        let keep = |data: &Ratings| -> Vec<(&'static str, Option<f64>)> {
            // Alpha corrects for the number of ratings, so it alone changes.
            nominal(data).into_iter().filter(|c| c.0 != "alpha").collect()
        };
        same(&keep(&build(&votes)), &keep(&build(&twice)))?;
    }

    #[test]
    fn weight_two_equals_two_votes(votes in votes()) {
        let twice: Vec<Vote> = votes.iter().flat_map(|v| [*v, *v]).collect();
        let raters: std::collections::BTreeSet<i64> = votes.iter().map(|v| v.1).collect();
        let doubled = with(&twice, RatingsOptions { duplicates: Duplicates::Keep, ..RatingsOptions::default() });
        let weights = raters.iter().map(|&r| (Label::from(r), 2.0)).collect();
        let weighted = with(&votes, RatingsOptions { weights, ..RatingsOptions::default() });
        for (x, y) in truths(&doubled).iter().zip(&truths(&weighted)) {
            same_truth(x, y, Label::clone, 1e-7)?;
        }
        let vb = MaceOptions { restarts: 1, max_iter: 6, tol: 0.0, ..MaceOptions::default() };
        same_truth(&mace(&doubled, &vb).unwrap(), &mace(&weighted, &vb).unwrap(), Label::clone, 1e-7)?;
    }

    #[test]
    fn duplicating_all_votes_leaves_the_majority_alone(votes in votes()) {
        let twice: Vec<Vote> = votes.iter().flat_map(|v| [*v, (v.0, v.1 + 1000, v.2)]).collect();
        let (a, b) = (majority_vote(&build(&votes)).unwrap(), majority_vote(&build(&twice)).unwrap());
        prop_assert_eq!(&a.labels, &b.labels);
        prop_assert_eq!(&a.ties, &b.ties);
        same_truth(&a, &b, Label::clone, 1e-12)?;
    }

    #[test]
    fn weight_zero_equals_absence(votes in votes(), out in 0i64..6) {
        let without: Vec<Vote> = votes.iter().filter(|v| v.1 != out).copied().collect();
        prop_assume!(!without.is_empty() && without.len() < votes.len());
        let options = RatingsOptions { weights: vec![(out.into(), 0.0)], ..RatingsOptions::default() };
        prop_assert_eq!(with(&votes, options), build(&without));
    }

    #[test]
    fn unanimity_is_certainty(items in 2i64..8, raters in 2i64..6) {
        let votes: Vec<Vote> = (0..items).flat_map(|i| (0..raters).map(move |r| (i, r, i % 3))).collect();
        let data = build(&votes);
        for (name, value) in ordered(&data) {
            let value = value.unwrap();
            prop_assert!((value - 1.0).abs() < 1e-12, "{name}: {value}");
        }
        let m_msr = m_msr(&data, &MsrOptions::default()).unwrap();
        let mace = mace(&data, &MaceOptions::default()).unwrap();
        for truth in truths(&data).into_iter().chain([m_msr, mace, wawa(&data).unwrap()]) {
            for (item, label) in truth.items.iter().zip(&truth.labels) {
                prop_assert_eq!(label.as_f64().unwrap() as i64, item.as_f64().unwrap() as i64 % 3, "{}", truth.method);
            }
        }
    }

    #[test]
    fn em_climbs(votes in votes(), gold in any::<bool>(), weight in 0.1f64..4.0) {
        let first = votes[0];
        let options = RatingsOptions { weights: vec![(first.1.into(), weight)], ..RatingsOptions::default() };
        let data = with(&votes, options);
        let gold: Vec<(Label, Label)> = if gold { vec![(first.0.into(), first.2.into())] } else { vec![] };
        let plain = EmOptions { tol: 0.0, gold: gold.clone(), ..EmOptions::default() };
        let map = EmOptions { prior_class: 0.3, prior_correct: 2.0, prior_wrong: 0.2, ..plain.clone() };
        let em = MaceOptions { method: MaceMethod::Em, tol: 0.0, gold: gold.clone(), ..MaceOptions::default() };
        for truth in [
            dawid_skene(&data, &plain).unwrap(),
            dawid_skene(&data, &map).unwrap(),
            one_coin(&data, &plain).unwrap(),
            one_coin(&data, &map).unwrap(),
            glad(&data, &GladOptions { tol: 0.0, gold, ..GladOptions::default() }).unwrap(),
            mace(&data, &MaceOptions { method: MaceMethod::Variational, ..em.clone() }).unwrap(),
            mace(&data, &em).unwrap(),
        ] {
            for pair in truth.log_likelihood.windows(2) {
                prop_assert!(pair[1] >= pair[0] - 1e-9 * (1.0 + pair[0].abs()), "{}: {pair:?}", truth.method);
            }
            for row in truth.probabilities.chunks(truth.classes.len()) {
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9 && row.iter().all(|p| (0.0..=1.0).contains(p)), "{}", truth.method);
            }
        }
    }

    #[test]
    fn coefficients_stay_in_their_range(votes in votes()) {
        for (name, value) in ordered(&build(&votes)) {
            prop_assert!(value.is_none_or(|v| v.is_finite() && v <= 1.0 + 1e-12), "{name}: {value:?}");
        }
    }
}

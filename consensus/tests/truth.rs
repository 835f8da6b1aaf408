//! Do the methods of truth inference give the published answers, and those of crowd-kit where it is right?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quorate_consensus::truth::*;
use quorate_consensus::{Duplicates, Label, Ratings, RatingsOptions};
use quorate_core::Code;
use serde_json::Value;

fn close(given: f64, expected: f64, tolerance: f64) {
    assert!((given - expected).abs() <= tolerance * expected.abs().max(1.0), "{given} is not {expected}");
}

fn all_close(given: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(given.len(), expected.len());
    let far = given.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far <= tolerance, "off by {far}");
}

fn never_falls(truth: &Truth) {
    for pair in truth.log_likelihood.windows(2) {
        assert!(pair[1] >= pair[0] - 1e-10 * pair[0].abs().max(1.0), "{}: {pair:?}", truth.method);
    }
}

/// Dawid and Skene (1979), table 1: 45 patients judged by 5 anaesthetists, the first of them three times (w1 to w3 in the file).
fn anaesthetist() -> Ratings {
    let rows: Vec<Vec<&str>> = include_str!("fixtures/dawid_skene_anaesthetist.csv")
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let column = |n: usize| rows.iter().map(|r| r[n]).collect::<Vec<&str>>();
    let labels: Vec<i64> = column(2).iter().map(|l| l.parse().unwrap()).collect();
    let observers: Vec<&str> =
        column(1).into_iter().map(|w| if matches!(w, "w2" | "w3") { "w1" } else { w }).collect();
    let options = RatingsOptions { duplicates: Duplicates::Keep, ..RatingsOptions::default() };
    Ratings::with_options(&column(0), &observers, &labels, &options).unwrap()
}

#[test]
fn oracle_dawid_skene_1979() {
    let options = EmOptions { tol: 1e-10, max_iter: 500, ..EmOptions::default() };
    let truth = dawid_skene(&anaesthetist(), &options).unwrap();
    let trace = &truth.log_likelihood;
    for (given, expected) in trace.iter().zip([-205.091138, -194.550952, -193.159445]) {
        close(*given, expected, 1e-8);
    }
    close(trace[trace.len() - 1], -192.890881, 1e-8);
    assert!(truth.converged);
    never_falls(&truth);
    all_close(truth.class_prior.as_ref().unwrap(), &[0.399555, 0.421983, 0.111795, 0.066667], 1e-6);
    let seven = truth.items.iter().position(|i| i == &Label::from("7")).unwrap();
    assert_eq!(truth.labels[seven], Label::from(1));
    close(truth.probabilities_of(seven)[0], 0.981, 5e-4);
    // The default tolerance comes as near as it says.
    let early = dawid_skene(&anaesthetist(), &EmOptions::default()).unwrap();
    close(*early.log_likelihood.last().unwrap(), -192.890881, 1e-5);
}

/// The likelihood by multiplying probabilities item by item, with no logarithm before the end.
fn likelihood_by_products(data: &Ratings, prior: &[f64], confusion: &[f64]) -> (f64, Vec<f64>) {
    let k = prior.len();
    let (mut log, mut posterior) = (0.0, Vec::new());
    for i in 0..data.n_items() {
        let joint: Vec<f64> = (0..k)
            .map(|t| {
                let votes = data.item_raters(i).iter().zip(data.item_codes(i));
                votes.fold(prior[t], |p, (&r, &c)| p * confusion[(r as usize * k + t) * k + c as usize])
            })
            .collect();
        let all: f64 = joint.iter().sum();
        log += all.ln();
        posterior.extend(joint.iter().map(|j| j / all));
    }
    (log, posterior)
}

#[test]
fn the_likelihood_is_that_of_the_model() {
    for data in cases().iter().map(ratings).chain([anaesthetist()]) {
        for truth in [
            dawid_skene(&data, &EmOptions { max_iter: 7, ..EmOptions::default() }).unwrap(),
            one_coin(&data, &EmOptions { max_iter: 7, ..EmOptions::default() }).unwrap(),
        ] {
            let (prior, confusion) = (truth.class_prior.as_ref().unwrap(), truth.confusion.as_ref().unwrap());
            let (log, posterior) = likelihood_by_products(&data, prior, confusion);
            close(*truth.log_likelihood.last().unwrap(), log, 1e-10);
            all_close(&truth.probabilities, &posterior, 1e-9);
        }
    }
}

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("fixtures/truth.json")).unwrap();
    all["cases"].as_array().unwrap().clone()
}

fn ints(v: &Value) -> Vec<i64> {
    v.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn ratings(case: &Value) -> Ratings {
    Ratings::new(&ints(&case["task"]), &ints(&case["worker"]), &ints(&case["label"])).unwrap()
}

/// The fixture numbers items and raters from 0; ours come in order of appearance.
fn same_probabilities(truth: &Truth, expected: &Value, tolerance: f64) {
    for (i, item) in truth.items.iter().enumerate() {
        all_close(truth.probabilities_of(i), &numbers(&expected[item.as_f64().unwrap() as usize]), tolerance);
    }
}

fn same_skills(truth: &Truth, expected: &Value, tolerance: f64) {
    let expected = numbers(expected);
    for (rater, skill) in truth.raters.iter().zip(&truth.skills) {
        close(*skill, expected[rater.as_f64().unwrap() as usize], tolerance);
    }
}

#[test]
fn peer_crowd_kit_votes() {
    let mut compared = 0;
    for case in cases() {
        let data = ratings(&case);
        for (name, truth) in [
            ("majority_vote", majority_vote(&data).unwrap()),
            ("wawa", wawa(&data).unwrap()),
            ("zero_based_skill", zero_based_skill(&data, &ZeroBasedSkillOptions::default()).unwrap()),
        ] {
            // On an item whose first place is shared the peer counts votes for the first of the tied labels as right, ours the share of each.
            let ties = majority_vote(&data).unwrap().ties;
            if ties.is_empty() || name == "majority_vote" {
                same_probabilities(&truth, &case[name]["p"], 1e-9);
            }
            if ties.is_empty() {
                same_skills(&truth, &case[name]["skills"], 1e-9);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3);
}

#[test]
fn peer_crowd_kit_dawid_skene_and_one_coin() {
    for case in cases() {
        let data = ratings(&case);
        let options = EmOptions { max_iter: 25, tol: 0.0, ..EmOptions::default() };
        let truth = dawid_skene(&data, &options).unwrap();
        same_probabilities(&truth, &case["dawid_skene"]["p"], 1e-6);
        let gold = case["dawid_skene_gold"]["gold"].as_array().unwrap();
        let gold = gold.iter().map(|g| (ints(g)[0].into(), ints(g)[1].into())).collect();
        let truth = dawid_skene(&data, &EmOptions { gold, ..options.clone() }).unwrap();
        same_probabilities(&truth, &case["dawid_skene_gold"]["p"], 1e-6);
        let truth = one_coin(&data, &options).unwrap();
        same_probabilities(&truth, &case["one_coin"]["p"], 1e-6);
    }
}

/// crowd-kit's loss adds the log-prior of the class to every label instead of once to every task. Ours is the likelihood of the model
/// (see `the_likelihood_is_that_of_the_model`); theirs is off by the expected log-prior of the surplus labels.
#[test]
fn the_class_prior_counts_once_per_item() {
    for case in cases() {
        let data = ratings(&case);
        let truth =
            dawid_skene(&data, &EmOptions { max_iter: 26, tol: 0.0, ..EmOptions::default() }).unwrap();
        let prior = numbers(&case["dawid_skene"]["prior"]);
        let surplus: f64 = (0..data.n_items())
            .map(|i| {
                let expected: f64 =
                    truth.probabilities_of(i).iter().zip(&prior).map(|(p, q)| p * q.ln()).sum();
                (data.item_codes(i).len() as f64 - 1.0) * expected
            })
            .sum();
        let theirs = numbers(&case["dawid_skene"]["loss"]).last().unwrap() * data.len() as f64;
        let ours = *truth.log_likelihood.last().unwrap();
        assert!((theirs - ours).abs() > 1.0, "the peer agrees now: {theirs}");
        close(theirs - surplus, ours, 1e-3);
    }
}

#[test]
fn peer_crowd_kit_glad_and_mace() {
    for case in cases() {
        let data = ratings(&case);
        let options = GladOptions { max_iter: 20_000, tol: 1e-13, ..GladOptions::default() };
        let truth = glad(&data, &options).unwrap();
        never_falls(&truth);
        same_probabilities(&truth, &case["glad"]["p"], 1e-6);
        same_skills(&truth, &case["glad"]["skills"], 1e-5);
        // Without priors the climb is very flat at the top, and both programs stop a little before it.
        for (name, method, tolerance) in
            [("mace_vb", MaceMethod::Variational, 1e-6), ("mace_em", MaceMethod::Em, 1e-5)]
        {
            let options = MaceOptions { method, max_iter: 20_000, tol: 1e-13, ..MaceOptions::default() };
            let truth = mace(&data, &options).unwrap();
            never_falls(&truth);
            same_probabilities(&truth, &case[name]["p"], tolerance);
        }
    }
}

#[test]
fn peer_crowd_kit_kos_and_m_msr() {
    for case in cases() {
        let data = ratings(&case);
        let same_labels = |truth: &Truth, expected: &Value| {
            let expected = ints(expected);
            for (item, label) in truth.items.iter().zip(&truth.labels) {
                assert_eq!(
                    label.as_f64().unwrap() as i64,
                    expected[item.as_f64().unwrap() as usize],
                    "item {item}"
                );
            }
        };
        if !case["kos"].is_null() {
            // The method determines the answer up to one sign for all. The peer's random start picked the other one here, against the
            // majority of votes on most items.
            let ours = kos(&data, &KosOptions::default()).unwrap();
            let peer = ints(&case["kos"]["labels"]);
            let opposite = |(item, label): (&Label, &Label)| {
                label.as_f64().unwrap() as i64 != peer[item.as_f64().unwrap() as usize]
            };
            let flipped = ours.items.iter().zip(&ours.labels).filter(|&pair| opposite(pair)).count();
            assert!(flipped == 0 || flipped == ours.items.len(), "{flipped}");
            let majority = majority_vote(&data).unwrap();
            let with_majority = ours.labels.iter().zip(&majority.labels).filter(|(a, b)| a == b).count();
            assert!(2 * with_majority > ours.items.len());
        }
        let truth = m_msr(&data, &MsrOptions::default()).unwrap();
        // The sizes of the reliabilities agree; in the second case the trimming has several fixed points, and the peer's own answer moves by
        // 0.013 with its seed. Where a sign differs, ours fits the agreement of the raters better.
        let k = data.n_categories() as f64;
        let tolerance = if data.n_categories() == 2 { 0.02 } else { 1e-6 };
        let reliability = |skill: f64| (k / (1.0 + (k - 1.0) * (-skill).exp()) - 1.0) / (k - 1.0);
        let peer = numbers(&case["m_msr"]["skills"]);
        let ours: Vec<f64> = truth.skills.iter().map(|&s| reliability(s)).collect();
        let theirs: Vec<f64> =
            truth.raters.iter().map(|r| reliability(peer[r.as_f64().unwrap() as usize])).collect();
        let least = -1.0 / (k - 1.0) + 1.0 / (data.n_items() as f64).sqrt();
        for (a, b) in ours.iter().zip(&theirs) {
            let clamped = *b < least + 1e-9 || *a < least + 1e-9;
            assert!((a.abs() - b.abs()).abs() < tolerance || clamped, "{a} and {b}");
        }
        if ours.iter().zip(&theirs).all(|(a, b)| a * b > 0.0) {
            same_labels(&truth, &case["m_msr"]["labels"]);
        } else {
            assert!(fit(&data, &ours) > fit(&data, &theirs));
        }
    }
}

/// How well the signs of the reliabilities fit the pairs of votes: agreement above chance times the product of the signs.
fn fit(data: &Ratings, reliabilities: &[f64]) -> f64 {
    let (k, n) = (data.n_categories() as f64, data.n_raters());
    let mut pairs = vec![(0.0, 0.0); n * n];
    for i in 0..data.n_items() {
        let votes: Vec<(u32, u32)> =
            data.item_raters(i).iter().copied().zip(data.item_codes(i).iter().copied()).collect();
        for a in &votes {
            for b in votes.iter().filter(|b| b.0 != a.0) {
                let pair = &mut pairs[a.0 as usize * n + b.0 as usize];
                pair.0 += f64::from(u8::from(a.1 == b.1));
                pair.1 += 1.0;
            }
        }
    }
    let sign = |r: usize| reliabilities[r].signum();
    (0..n * n)
        .filter(|&p| pairs[p].1 > 0.0)
        .map(|p| sign(p / n) * sign(p % n) * (k * pairs[p].0 / pairs[p].1 - 1.0) / (k - 1.0))
        .sum()
}

#[test]
fn threads_do_not_change_a_bit() {
    let (items, raters, classes) = (4000i64, 50i64, 4i64);
    let (mut i, mut r, mut l) = (Vec::new(), Vec::new(), Vec::new());
    let mut state = 1u64;
    let mut draw = |n: i64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) % n as u64) as i64
    };
    for item in 0..items {
        let first = draw(raters);
        for n in 0..5 {
            i.push(item);
            r.push((first + n * 7) % raters);
            l.push(if draw(10) < 6 { item % classes } else { draw(classes) });
        }
    }
    let data = Ratings::new(&i, &r, &l).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let em = EmOptions { max_iter: 10, ..EmOptions::default() };
            (
                dawid_skene(&data, &em).unwrap(),
                one_coin(&data, &em).unwrap(),
                glad(&data, &GladOptions { max_iter: 10, ..GladOptions::default() }).unwrap(),
                mace(&data, &MaceOptions { max_iter: 5, restarts: 3, ..MaceOptions::default() }).unwrap(),
            )
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn gold_labels_hold() {
    let data =
        Ratings::new(&[1, 1, 1, 2, 2, 2], &["a", "b", "c", "a", "b", "c"], &["x", "x", "y", "x", "x", "y"])
            .unwrap();
    let gold: Vec<(Label, Label)> = vec![(1.into(), "y".into()), (2.into(), "y".into())];
    let em = EmOptions { gold: gold.clone(), ..EmOptions::default() };
    let all = [
        dawid_skene(&data, &em).unwrap(),
        one_coin(&data, &em).unwrap(),
        glad(&data, &GladOptions { gold: gold.clone(), ..GladOptions::default() }).unwrap(),
        mace(&data, &MaceOptions { gold, ..MaceOptions::default() }).unwrap(),
    ];
    for truth in all {
        assert_eq!(truth.labels, vec!["y".into(), "y".into()], "{}", truth.method);
        assert_eq!(truth.probabilities, vec![0.0, 1.0, 0.0, 1.0]);
        assert!(truth.skills[2] > truth.skills[0]);
    }
}

#[test]
fn online_votes_lead_to_the_batch_estimate() {
    let data = anaesthetist();
    let options = EmOptions {
        max_iter: 2000,
        tol: 1e-12,
        prior_class: 1.0,
        prior_correct: 2.0,
        prior_wrong: 0.5,
        ..EmOptions::default()
    };
    let mut online = OnlineDawidSkene::new(data.categories().to_vec(), options.clone()).unwrap();
    let (mut items, mut raters, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..data.n_items() {
        for (n, (&r, &c)) in data.item_raters(i).iter().zip(data.item_codes(i)).enumerate() {
            // The three judgements of one observer become those of three raters.
            items.push(data.items()[i].clone());
            raters.push(Label::from(format!("{}/{n}", data.raters()[r as usize])));
            labels.push(data.categories()[c as usize].clone());
            let (item, rater, label) =
                (items.last().unwrap(), raters.last().unwrap(), labels.last().unwrap());
            online.add(item.clone(), rater.clone(), label.clone()).unwrap();
        }
    }
    let ratings = RatingsOptions { domain: Some(data.categories().to_vec()), ..RatingsOptions::default() };
    let batch =
        dawid_skene(&Ratings::with_options(&items, &raters, &labels, &ratings).unwrap(), &options).unwrap();
    let winner = |p: &[f64]| (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
    let same = (0..batch.items.len())
        .filter(|&i| {
            winner(online.probabilities(&batch.items[i]).unwrap()) == winner(batch.probabilities_of(i))
        })
        .count();
    assert!(same >= batch.items.len() - 3, "{same} of {}", batch.items.len());
    let refit = online.refit().unwrap();
    all_close(&refit.probabilities, &batch.probabilities, 1e-9);
    for (r, rater) in batch.raters.iter().enumerate() {
        all_close(&online.confusion(rater).unwrap(), batch.confusion_of(r).unwrap(), 1e-5);
    }
    assert_eq!(online.len(), 315);
}

#[test]
fn bad_input_has_a_code() {
    let data = Ratings::new(&[1, 1, 2, 2], &["a", "b", "a", "b"], &["x", "y", "y", "z"]).unwrap();
    let code = |r: quorate_core::Result<Truth>| r.unwrap_err().code();
    let em = EmOptions::default();
    assert_eq!(code(dawid_skene(&data, &EmOptions { max_iter: 0, ..em.clone() })), Code::InvalidArgument);
    assert_eq!(code(dawid_skene(&data, &EmOptions { tol: f64::NAN, ..em.clone() })), Code::InvalidArgument);
    assert_eq!(
        code(one_coin(&data, &EmOptions { prior_correct: -1.0, ..em.clone() })),
        Code::InvalidArgument
    );
    assert_eq!(
        code(one_coin(&data, &EmOptions { prior_wrong: f64::INFINITY, ..em.clone() })),
        Code::NotFinite
    );
    let gold = |item: i64, label: &str| EmOptions {
        gold: vec![(item.into(), label.into())],
        ..EmOptions::default()
    };
    assert_eq!(code(dawid_skene(&data, &gold(9, "x"))), Code::UnknownId);
    assert_eq!(code(dawid_skene(&data, &gold(1, "?"))), Code::InvalidArgument);
    let twice = EmOptions { gold: vec![(1.into(), "x".into()), (1.into(), "y".into())], ..em.clone() };
    assert_eq!(code(dawid_skene(&data, &twice)), Code::DuplicateEntry);
    assert_eq!(code(kos(&data, &KosOptions::default())), Code::InvalidArgument);
    let glad_prior = |p: Vec<f64>| GladOptions { class_prior: Some(p), ..GladOptions::default() };
    assert_eq!(code(glad(&data, &glad_prior(vec![0.5, 0.5]))), Code::InvalidShape);
    assert_eq!(code(glad(&data, &glad_prior(vec![0.5, 0.5, 0.5]))), Code::InvalidArgument);
    assert_eq!(
        code(mace(&data, &MaceOptions { restarts: 0, ..MaceOptions::default() })),
        Code::InvalidArgument
    );
    assert_eq!(
        code(mace(&data, &MaceOptions { prior_know: 0.0, ..MaceOptions::default() })),
        Code::InvalidArgument
    );
    let rate = ZeroBasedSkillOptions { learning_rate: 2.0, ..ZeroBasedSkillOptions::default() };
    assert_eq!(code(zero_based_skill(&data, &rate)), Code::InvalidArgument);
    let counts = Ratings::from_counts(&[vec![1, 1]], &["x".into(), "y".into()]).unwrap();
    assert_eq!(code(majority_vote(&counts)), Code::Unsupported);
    assert_eq!(code(m_msr(&counts, &MsrOptions::default())), Code::Unsupported);
    let options = RatingsOptions { weights: vec![("a".into(), 2.0)], ..RatingsOptions::default() };
    let weighted = Ratings::with_options(&[1, 1], &["a", "b"], &["x", "y"], &options).unwrap();
    assert_eq!(code(kos(&weighted, &KosOptions::default())), Code::Unsupported);
    assert_eq!(code(m_msr(&weighted, &MsrOptions::default())), Code::Unsupported);
    let online = |classes: Vec<Label>| OnlineDawidSkene::new(classes, EmOptions::default());
    assert_eq!(online(vec![]).unwrap_err().code(), Code::EmptyInput);
    assert_eq!(online(vec!["x".into(), "x".into()]).unwrap_err().code(), Code::InvalidArgument);
    let mut one = online(vec!["x".into(), "y".into()]).unwrap();
    assert_eq!(one.refit().unwrap_err().code(), Code::EmptyInput);
    one.add(1, "a", "x").unwrap();
    assert_eq!(one.add(1, "a", "y").unwrap_err().code(), Code::DuplicateEntry);
    assert_eq!(one.add(1, "b", "?").unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn one_rater_or_one_category_is_no_trouble() {
    let one_rater = Ratings::new(&[1, 2, 3], &["a", "a", "a"], &["x", "y", "x"]).unwrap();
    let one_category = Ratings::new(&[1, 1, 2], &["a", "b", "a"], &["x", "x", "x"]).unwrap();
    for data in [&one_rater, &one_category] {
        for truth in [
            majority_vote(data),
            wawa(data),
            zero_based_skill(data, &ZeroBasedSkillOptions::default()),
            dawid_skene(data, &EmOptions::default()),
            one_coin(data, &EmOptions::default()),
            glad(data, &GladOptions::default()),
            mace(data, &MaceOptions::default()),
            m_msr(data, &MsrOptions::default()),
        ] {
            let truth = truth.unwrap();
            assert!(truth.probabilities.iter().all(|p| p.is_finite()), "{truth:?}");
            assert!(truth.skills.iter().all(|s| s.is_finite()), "{truth:?}");
            assert_eq!(truth.labels[0], "x".into());
        }
    }
    assert!(kos(&one_rater, &KosOptions::default()).unwrap().probabilities.iter().all(|p| p.is_finite()));
}

/// Votes of a group of raters who are right with these probabilities on items of their own; `lcg` is a small generator.
fn group(name: &str, right: &[f64], items: usize, seed: u64) -> Vec<(String, String, i64)> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut rows = Vec::new();
    for i in 0..items {
        let truth = i64::from(draw() < 0.5);
        for (r, p) in right.iter().enumerate() {
            rows.push((
                format!("{name}{i}"),
                format!("{name}{r}"),
                if draw() < *p { truth } else { 1 - truth },
            ));
        }
    }
    rows
}

fn of(rows: &[(String, String, i64)]) -> Ratings {
    let items: Vec<&str> = rows.iter().map(|r| r.0.as_str()).collect();
    let raters: Vec<&str> = rows.iter().map(|r| r.1.as_str()).collect();
    let values: Vec<i64> = rows.iter().map(|r| r.2).collect();
    Ratings::new(&items, &raters, &values).unwrap()
}

fn skill(truth: &Truth, rater: &Label) -> f64 {
    truth.skills[truth.raters.iter().position(|r| r == rater).unwrap()]
}

/// What others do elsewhere says nothing: the answer about a connected part is that of the part alone, for every seed.
#[test]
fn groups_that_share_nothing_are_judged_alone() {
    let a = group("a", &[0.9, 0.8, 0.7, 0.75, 0.65], 300, 1);
    let b = group("b", &[0.6, 0.95, 0.85], 50, 2);
    let pair = group("c", &[0.9, 0.7], 80, 3);
    let lone = group("d", &[0.8], 5, 4);
    let all: Vec<_> = [&a, &b, &pair, &lone].into_iter().flatten().cloned().collect();
    for seed in 0..4 {
        let methods: [(&str, &dyn Fn(&Ratings) -> Truth); 2] = [
            ("m_msr", &|d| m_msr(d, &MsrOptions { seed, ..MsrOptions::default() }).unwrap()),
            ("kos", &|d| kos(d, &KosOptions { seed, ..KosOptions::default() }).unwrap()),
        ];
        for (name, method) in methods {
            let together = method(&of(&all));
            for part in [&a, &b, &pair, &lone] {
                if part.iter().all(|r| r.2 == part[0].2) {
                    continue;
                }
                let alone = method(&of(part));
                for rater in &alone.raters {
                    let (x, y) = (skill(&alone, rater), skill(&together, rater));
                    assert!(
                        (x - y).abs() < 1e-9,
                        "{name}, seed {seed}, {rater}: {x} alone, {y} beside others"
                    );
                }
                for (i, item) in alone.items.iter().enumerate() {
                    let j = together.items.iter().position(|x| x == item).unwrap();
                    all_close(alone.probabilities_of(i), together.probabilities_of(j), 1e-9);
                }
            }
        }
    }
    // Two raters: the votes fix the product of their reliabilities; the seed no longer picks the rest.
    let skills = |seed| m_msr(&of(&pair), &MsrOptions { seed, ..MsrOptions::default() }).unwrap().skills;
    let (one, other) = (skills(0), skills(7));
    assert!((one[0] - one[1]).abs() < 1e-6);
    all_close(&one, &other, 1e-6);
    // A rater without a partner: the vote decides.
    let alone = m_msr(&of(&lone), &MsrOptions::default()).unwrap();
    for (row, label) in lone.iter().zip(&alone.labels) {
        assert_eq!(label, &Label::from(row.2));
    }
    assert!(alone.skills[0] > 0.0);
}

#[test]
fn a_unanimous_item_of_its_own_raters_keeps_its_label() {
    let mut rows = group("i", &[0.85; 5], 30, 5);
    rows.extend(["x", "y", "z"].map(|r| ("lone".to_owned(), r.to_owned(), 1)));
    for truth in
        [kos(&of(&rows), &KosOptions::default()).unwrap(), m_msr(&of(&rows), &MsrOptions::default()).unwrap()]
    {
        let lone = truth.items.iter().position(|i| i.as_str() == Some("lone")).unwrap();
        assert_eq!(truth.labels[lone], 1.into(), "{}", truth.method);
        assert!(truth.probabilities_of(lone)[1] > 0.8, "{}", truth.method);
    }
}

/// Free-text answers: as many categories as items. Refused before anything is allocated.
/// Designs in which labels are level: iteration after iteration would make something of a rounding error that depends on their names.
#[test]
fn other_names_give_the_same_numbers_in_level_designs_too() {
    let mut compared = 0;
    for (k, items, raters) in [(3, 8, 5), (3, 5, 5), (4, 7, 3), (5, 6, 2), (5, 7, 4), (5, 9, 4)] {
        for design in 0..2 * k * k {
            let (a, b, both) = (design % k, design / k % k, design / k / k);
            let cells =
                || (0..raters).flat_map(move |r| (0..items).map(move |i| (a * i + b * r + both * i * r) % k));
            if (0..k).any(|label| !cells().any(|c| c == label)) {
                continue;
            }
            let plain: Vec<f64> = cells().map(|c| c as f64).collect();
            let other: Vec<f64> = cells().map(|c| (k - 1 - c) as f64).collect();
            let [plain, other] = [plain, other].map(|v| Ratings::from_matrix(&v, raters, items).unwrap());
            for method in [dawid_skene, one_coin] {
                let [x, y] = [&plain, &other].map(|data| method(data, &EmOptions::default()).unwrap());
                for i in 0..items {
                    let back: Vec<f64> = y.probabilities_of(i).iter().rev().copied().collect();
                    assert_eq!(x.probabilities_of(i), back, "{} of {k}: {a} {b} {both}", x.method);
                }
                assert_eq!(x.ties, y.ties);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

/// Two sides whose every pair agrees on half of its two items: nobody is known to be better than anybody, whichever side has which names.
#[test]
fn where_all_agree_as_by_chance_no_side_is_believed() {
    let mut votes: Vec<(i64, &str, &str)> = Vec::new();
    for (pair, (a, b)) in [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")].into_iter().enumerate() {
        let item = 2 * pair as i64;
        votes.extend([(item, a, "p"), (item, b, "p"), (item + 1, a, "p"), (item + 1, b, "q")]);
    }
    let items: Vec<i64> = votes.iter().map(|v| v.0).collect();
    let raters: Vec<&str> = votes.iter().map(|v| v.1).collect();
    let values: Vec<&str> = votes.iter().map(|v| v.2).collect();
    let truth = m_msr(&Ratings::new(&items, &raters, &values).unwrap(), &MsrOptions::default()).unwrap();
    all_close(&truth.skills, &[truth.skills[0]; 4], 1e-12);
    assert!(truth.skills[0] > 0.0);
    assert_eq!(truth.ties, [1, 3, 5, 7].map(Label::from));
    // The same for three who meet all round: there are votes enough to decide.
    let three = Ratings::from_matrix(&[1., 1., 1., 1., 1., 1., 2., 2., 1., 2., 1., 2.], 3, 4).unwrap();
    let truth = m_msr(&three, &MsrOptions::default()).unwrap();
    assert!(truth.skills.iter().all(|s| *s > 0.0 && *s == truth.skills[0]), "{:?}", truth.skills);
    assert_eq!(truth.labels, majority_vote(&three).unwrap().labels);
}

/// Priors so small that `1 - skill` and guesses have no digits left.
#[test]
fn small_priors_make_neither_nan_nor_infinity() {
    let data = Ratings::from_matrix(&[1., 1., 2., 2., 1., 1., 2., 2., 1., 1., 2., 2.], 3, 4).unwrap();
    for prior in [1e-3, 1e-17, 1e-300] {
        let coin = one_coin(&data, &EmOptions { prior_wrong: prior, ..EmOptions::default() }).unwrap();
        assert!(coin.converged, "{prior}: {:?}", coin.log_likelihood);
        let variational = MaceOptions {
            prior_guess: prior,
            prior_know: prior,
            prior_strategy: prior,
            ..MaceOptions::default()
        };
        let em = MaceOptions { method: MaceMethod::Em, smoothing: Some(prior), ..MaceOptions::default() };
        for truth in [coin, mace(&data, &variational).unwrap(), mace(&data, &em).unwrap()] {
            let numbers = || truth.probabilities.iter().chain(&truth.skills).chain(&truth.log_likelihood);
            assert!(numbers().all(|x| x.is_finite()), "{} {prior}", truth.method);
            assert_eq!(truth.labels, [1, 1, 2, 2].map(Label::from), "{} {prior}", truth.method);
        }
    }
}

#[test]
fn tables_without_bound_are_refused() {
    let n = 20_000i64;
    let items: Vec<i64> = (0..n).chain(0..n).collect();
    let raters: Vec<i64> = (0..2 * n).map(|x| x / n).collect();
    let data = Ratings::new(&items, &raters, &items).unwrap();
    let em = EmOptions::default();
    for found in [
        majority_vote(&data),
        wawa(&data),
        zero_based_skill(&data, &ZeroBasedSkillOptions::default()),
        dawid_skene(&data, &em),
        one_coin(&data, &em),
        glad(&data, &GladOptions::default()),
        mace(&data, &MaceOptions::default()),
        m_msr(&data, &MsrOptions::default()),
    ] {
        assert_eq!(found.unwrap_err().code(), Code::TooLarge);
    }
    let data = Ratings::new(&[1, 1], &["a", "b"], &["x", "y"]).unwrap();
    let huge = usize::MAX;
    for found in [
        mace(&data, &MaceOptions { restarts: huge, ..MaceOptions::default() }),
        mace(&data, &MaceOptions { max_iter: huge, ..MaceOptions::default() }),
        dawid_skene(&data, &EmOptions { max_iter: huge, ..em.clone() }),
        glad(&data, &GladOptions { max_iter: huge, ..GladOptions::default() }),
        kos(&data, &KosOptions { max_iter: huge, ..KosOptions::default() }),
        m_msr(&data, &MsrOptions { max_iter: huge, ..MsrOptions::default() }),
        zero_based_skill(
            &data,
            &ZeroBasedSkillOptions { max_iter: huge, ..ZeroBasedSkillOptions::default() },
        ),
    ] {
        assert_eq!(found.unwrap_err().code(), Code::TooLarge);
    }
    let heavy = RatingsOptions {
        weights: vec![("a".into(), 1e308), ("b".into(), 1e308)],
        ..RatingsOptions::default()
    };
    let heavy = Ratings::with_options(&[1, 1], &["a", "b"], &["x", "x"], &heavy);
    assert_eq!(heavy.unwrap_err().code(), Code::NotFinite);
    let prior = EmOptions { prior_class: 1e300, ..em.clone() };
    assert_eq!(dawid_skene(&data, &prior).unwrap_err().code(), Code::InvalidArgument);
    let easy = GladOptions { easiness_mean: 1e4, ..GladOptions::default() };
    assert_eq!(glad(&data, &easy).unwrap_err().code(), Code::InvalidArgument);
}

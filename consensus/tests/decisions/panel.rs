//! Does a panel's score recompute by hand?

use quorate_consensus::panel::*;

fn choices(votes: &[(&str, f64)]) -> Vec<Ballot> {
    votes.iter().enumerate().map(|(i, (o, w))| Ballot::choice(format!("v{i}"), *o).weight(*w)).collect()
}

#[test]
fn levels_are_half_open() {
    for (share, want) in [
        (1.0, "unanimous"),
        (0.999, "strong"),
        (0.8, "strong"),
        (0.799, "moderate"),
        (0.6, "moderate"),
        (0.599, "weak"),
        (0.4, "weak"),
        (0.399, "no_consensus"),
        (0.0, "no_consensus"),
    ] {
        assert_eq!(Level::of(share).as_str(), want, "{share}");
    }
    // Shares on a bound, whatever the rounding of the weights.
    for (votes, want) in [
        (vec![("a", 0.1), ("a", 0.7), ("b", 0.2)], Level::Strong),
        (vec![("a", 0.1), ("a", 0.2), ("a", 0.3), ("b", 0.4)], Level::Moderate),
        (vec![("a", 0.4), ("b", 0.1), ("c", 0.2), ("d", 0.3)], Level::Weak),
        (vec![("a", 0.1), ("a", 0.2), ("a", 0.3), ("a", 0.1)], Level::Unanimous),
        (vec![("a", 1.0), ("b", 1.0), ("c", 1.0)], Level::NoConsensus),
    ] {
        assert_eq!(score_panel(&choices(&votes)).unwrap().level, want, "{votes:?}");
    }
}

#[test]
fn seven_choices() {
    let mut ballots = choices(&[
        ("yes", 1.0),
        ("yes", 1.0),
        ("yes", 1.0),
        ("yes", 1.0),
        ("yes", 1.0),
        ("no", 1.0),
        ("no", 1.0),
    ]);
    ballots[5].confidence = 0.5;
    ballots[6].rationale = Some("r7".into());
    ballots[0].confidence = 0.3;
    let s = score_panel(&ballots).unwrap();
    assert_eq!(s.decision.option(), Some("yes"));
    assert_eq!((s.support, s.level), (5.0 / 7.0, Level::Moderate));
    // Agreeing pairs 10 + 1 of 21, chance 1/2.
    assert!((s.agreement.value.unwrap() - (11.0 / 21.0 - 0.5) / 0.5).abs() < 1e-12);
    assert!((s.confidence - 4.3 / 7.0).abs() < 1e-12);
    let no = &s.minority.minorities[0];
    assert_eq!((no.position.as_str(), no.weight), ("no", 2.0));
    assert_eq!((no.members[0].voter.as_str(), no.members[0].rationale.as_deref()), ("v6", Some("r7")));
    // Wilson's interval of 5 of 7.
    assert!(
        (s.intervals[0].low - 0.358934).abs() < 1e-6 && (s.intervals[0].high - 0.917781).abs() < 1e-6,
        "{:?}",
        s.intervals[0]
    );
    assert_eq!(serde_json::to_value(&s).unwrap()["level"], "moderate");
}

#[test]
fn ties_are_declared() {
    let s = score_panel(&choices(&[("a", 0.3), ("b", 0.1), ("b", 0.2), ("c", 0.1)])).unwrap();
    assert_eq!(s.decision, Decision::Tie(vec!["a".into(), "b".into()]));
    assert_eq!((s.minority.leading.len(), s.confidence, s.level), (2, 0.0, Level::Weak));
    assert!(s.explain().iter().any(|l| l.contains("nothing is decided")));
}

#[test]
fn one_option_leaves_chance_undefined() {
    let s = score_panel(&choices(&[("a", 1.0), ("a", 1.0)])).unwrap();
    assert_eq!((s.level, s.agreement.value, s.agreement.observed), (Level::Unanimous, None, Some(1.0)));
    assert!(s.agreement.undefined.is_some());
    let config = PanelConfig { options: vec!["a".into(), "b".into()], ..Default::default() };
    assert_eq!(
        score_panel_with(&choices(&[("a", 1.0), ("a", 1.0)]), &config).unwrap().agreement.value,
        Some(1.0)
    );
    let alone = score_panel(&choices(&[("a", 1.0)])).unwrap();
    assert_eq!((alone.level, alone.agreement.value), (Level::Unanimous, None));
}

#[test]
fn probabilities() {
    let ballot = |v: &str, yes: f64| {
        Ballot::new(v, Position::Probability(vec![("yes".into(), yes), ("no".into(), 1.0 - yes)]))
    };
    let s = score_panel(&[ballot("a", 0.9), ballot("b", 0.6), ballot("c", 0.2), ballot("d", 0.5)]).unwrap();
    assert_eq!(s.decision.option(), Some("yes"));
    assert_eq!((s.support, s.level), (0.5, Level::Weak));
    assert!((s.confidence - 2.2 / 4.0).abs() < 1e-12);
    assert_eq!((s.intervals[1].low, s.intervals[1].high), (0.2, 0.9));
    let positions: Vec<&str> = s.minority.minorities.iter().map(|f| f.position.as_str()).collect();
    assert_eq!(positions, ["no", "no | yes"]);
}

#[test]
fn rankings() {
    let ballot =
        |v: &str, r: &[&str]| Ballot::new(v, Position::Ranking(r.iter().map(|o| (*o).into()).collect()));
    let s = score_panel(&[
        ballot("a", &["x", "y", "z"]),
        ballot("b", &["y", "z", "x"]),
        ballot("c", &["x", "z"]),
    ])
    .unwrap();
    assert_eq!(s.decision.option(), Some("x"));
    assert_eq!((s.support, s.level), (2.0 / 3.0, Level::Moderate));
    // Spearman's correlations of the three pairs are -1/2, 1/2 and -1. Rank sums x 5, y 6, z 7: W = 12 * 2 / (9 * 24), corrected for chance 1/3, is the same.
    let w = 12.0 * 2.0 / (9.0 * 24.0);
    assert!((s.agreement.value.unwrap() + 1.0 / 3.0).abs() < 1e-12);
    assert!((s.agreement.value.unwrap() - (3.0 * w - 1.0) / 2.0).abs() < 1e-12);
    // A Condorcet winner that nobody ranks first wins without support.
    let c = score_panel(&[
        ballot("a", &["x", "m", "y", "z"]),
        ballot("b", &["y", "m", "x", "z"]),
        ballot("c", &["z", "m", "x", "y"]),
    ])
    .unwrap();
    assert_eq!((c.decision.option(), c.support, c.level), (Some("m"), 0.0, Level::NoConsensus));
    assert_eq!(c.minority.minorities.len(), 3);
}

#[test]
fn numbers() {
    let ballots: Vec<Ballot> = [1.0, 2.0, 2.0, 2.1, 9.0]
        .iter()
        .enumerate()
        .map(|(i, x)| Ballot::new(format!("v{i}"), Position::Number(*x)))
        .collect();
    let config = PanelConfig { scale: Some((0.0, 10.0)), tolerance: Some(0.5), ..Default::default() };
    let s = score_panel_with(&ballots, &config).unwrap();
    assert_eq!((s.decision.clone(), s.support, s.level), (Decision::Number(2.0), 0.6, Level::Moderate));
    let positions: Vec<&str> = s.minority.minorities.iter().map(|f| f.position.as_str()).collect();
    assert_eq!(positions, ["above 2.5", "below 1.5"]);
    let mean = 16.1 / 5.0;
    let variance = [1.0, 2.0, 2.0, 2.1, 9.0f64].iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0;
    assert!((s.agreement.value.unwrap() - (1.0 - variance / (100.0 / 12.0))).abs() < 1e-12);
    assert!(score_panel(&ballots).unwrap().agreement.value.is_none());
    assert_eq!(score_panel(&ballots[..2]).unwrap().decision, Decision::Number(1.5));
}

/// One in twenty billions more is more, whichever ballot comes first.
#[test]
fn the_heavier_of_two_vectors_leads_in_any_order() {
    let ballot = |v: &str, x: [f64; 2], w: f64| Ballot::new(v, Position::Vector(x.to_vec())).weight(w);
    let (less, more) = (ballot("less", [1.0, 0.0], 1e13), ballot("more", [0.0, 1.0], 1e13 + 1.0));
    for ballots in [[less.clone(), more.clone()], [more, less]] {
        assert_eq!(score_panel(&ballots).unwrap().decision, Decision::Medoid("more".into()));
    }
}

#[test]
fn vectors() {
    let ballot = |v: &str, x: [f64; 2]| Ballot::new(v, Position::Vector(x.to_vec()));
    let s = score_panel(&[
        ballot("a", [1.0, 0.0]),
        ballot("b", [1.0, 0.1]),
        ballot("c", [1.0, 0.2]),
        ballot("d", [0.0, 1.0]),
    ])
    .unwrap();
    assert_eq!((s.decision.clone(), s.support), (Decision::Medoid("b".into()), 0.75));
    let units: Vec<[f64; 2]> = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0f64]]
        .iter()
        .map(|v| {
            let n = v[0].hypot(v[1]);
            [v[0] / n, v[1] / n]
        })
        .collect();
    let mut sum = 0.0;
    for i in 0..4 {
        for j in 0..i {
            sum += units[i][0] * units[j][0] + units[i][1] * units[j][1];
        }
    }
    assert!((s.agreement.value.unwrap() - sum / 6.0).abs() < 1e-12);
}

/// Evaluates "lhs = rhs" arithmetic of the explanation: sums of "name weight" terms, quotients, products.
#[test]
fn explanations_recompute() {
    let mut ballots = choices(&[("yes", 1.5), ("yes", 0.25), ("no", 1.0), ("maybe", 0.5)]);
    ballots[1].confidence = 0.4;
    let s = score_panel(&ballots).unwrap();
    let lines = s.explain();
    let number = |t: &str| t.trim().parse::<f64>().unwrap();
    let mut checked = 0;
    for line in &lines {
        if line.starts_with("leading") || line.starts_with("minority") {
            let (sum, share) = line.split_once(": ").unwrap().1.split_once("; share ").unwrap();
            let (terms, total) = sum.split_once(" = ").unwrap();
            let by_hand: f64 = terms.split(" + ").map(|t| number(t.rsplit(' ').next().unwrap())).sum();
            assert!((by_hand - number(total)).abs() < 1e-12, "{line}");
            let (quotient, value) = share.split_once(" = ").unwrap();
            let (a, b) = quotient.split_once(" / ").unwrap();
            assert!((number(a) / number(b) - number(value)).abs() < 1e-12, "{line}");
            checked += 1;
        } else if let Some(rest) = line.strip_prefix("confidence: (") {
            let (terms, rest) = rest.split_once(") / ").unwrap();
            let (total, value) = rest.split_once(" = ").unwrap();
            let by_hand: f64 = terms
                .split(" + ")
                .map(|t| {
                    let (w, c) = t.split_once(' ').unwrap().1.split_once(" * ").unwrap();
                    number(w) * number(c)
                })
                .sum();
            assert!((by_hand / number(total) - number(value)).abs() < 1e-12, "{line}");
            checked += 1;
        } else if line.starts_with("agreement") {
            let inner: Vec<f64> = line
                .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
                .filter_map(|t| t.parse().ok())
                .collect();
            let [o, e, one, e2, value] = inner[..] else { panic!("{line}: {inner:?}") };
            assert!((one - 1.0).abs() < 1e-12 && ((o - e) / (one - e2) - value).abs() < 1e-12, "{line}");
            checked += 1;
        } else if let Some(rest) = line.strip_prefix("effective ballots: ") {
            let (fraction, value) = rest.split_once(" = ").unwrap();
            let (w, squares) = fraction.split_once("^2 / ").unwrap();
            assert!((number(w).powi(2) / number(squares) - number(value)).abs() < 1e-9, "{line}");
            checked += 1;
        }
    }
    assert_eq!(checked, 6, "{lines:#?}");
}

fn ranking(voter: &str, order: &str) -> Ballot {
    Ballot::new(voter, Position::Ranking(order.chars().map(String::from).collect()))
}

#[test]
fn a_faint_ballot_is_nearly_none() {
    let two = [ranking("a", "xyz"), ranking("b", "xyz")];
    let with = |weight: f64| {
        let ballots = [two[0].clone(), two[1].clone(), ranking("c", "zyx").weight(weight)];
        score_panel(&ballots).unwrap().agreement.value.unwrap()
    };
    assert!((with(1e-9) - 1.0).abs() < 1e-6);
    assert!((with(1e-300) - 1.0).abs() < 1e-12);
    // Pairs weigh the product of their weights: (1 - 2 w) / (1 + 2 w) with correlation -1 to each of the two.
    assert!((with(100.0) - (1.0 - 200.0) / 201.0).abs() < 1e-12);
    // Ties at the end: the mean of the Spearman correlations of mid-ranks, by scipy 1.12 (spearmanr).
    let partial = [ranking("a", "wxyz"), ranking("b", "w"), ranking("c", "xw")];
    assert!((score_panel(&partial).unwrap().agreement.value.unwrap() - 0.594876).abs() < 1e-6);
    // Vectors and choices do the same.
    let vector = |v: &str, x: [f64; 2], w: f64| Ballot::new(v, Position::Vector(x.to_vec())).weight(w);
    for scale in [1.0, 1e-200, 1e200] {
        let s = score_panel(&[
            vector("a", [1.0, 0.0], scale),
            vector("b", [1.0, 0.0], scale),
            vector("c", [0.0, 1.0], 1e-9 * scale),
        ]);
        assert!((s.unwrap().agreement.value.unwrap() - 1.0).abs() < 1e-6);
        let s = score_panel(&choices(&[("x", scale), ("x", scale), ("y", 1e-9 * scale)])).unwrap();
        assert!((s.agreement.value.unwrap() - 1.0).abs() < 1e-6);
        assert!((s.effective_voters - 2.0).abs() < 1e-6 && s.intervals[0].low.is_finite());
    }
}

#[test]
fn nobody_is_sure_of_no_decision() {
    let probability =
        |v: &str, x: f64| Ballot::new(v, Position::Probability(vec![("x".into(), x), ("y".into(), 1.0 - x)]));
    for ballots in [
        vec![Ballot::choice("a", "x"), Ballot::choice("b", "y")],
        vec![ranking("a", "xy"), ranking("b", "yx")],
        vec![
            Ballot::new("a", Position::Vector(vec![1.0, 0.0])),
            Ballot::new("b", Position::Vector(vec![0.0, 1.0])),
        ],
        vec![probability("a", 0.9), probability("b", 0.1)],
    ] {
        let s = score_panel(&ballots).unwrap();
        assert!(matches!(s.decision, Decision::Tie(_)), "{}", s.kind);
        assert_eq!((s.confidence, s.intervals.len()), (0.0, 1), "{}", s.kind);
    }
}

#[test]
fn one_vote_among_many_decides() {
    for n in [1e6, 3e8, 1e11] {
        let s = score_panel(&choices(&[("a", n + 1.0), ("b", n)])).unwrap();
        assert_eq!(s.decision.option(), Some("a"), "{n}");
        let s = score_panel(&choices(&[("a", n), ("b", 1.0)])).unwrap();
        assert_eq!(s.level, Level::Strong, "{n}");
    }
    let numbers = |w: f64| {
        let number = |v: &str, x: f64, w: f64| Ballot::new(v, Position::Number(x)).weight(w);
        score_panel(&[number("a", 1.0, w), number("b", 2.0, w + 1.0)]).unwrap().decision
    };
    assert_eq!(numbers(3e8), Decision::Number(2.0));
}

#[test]
fn numbers_too_far_apart_are_refused() {
    let number = |v: &str, x: f64| Ballot::new(v, Position::Number(x));
    let code = |ballots: &[Ballot]| score_panel(ballots).unwrap_err().code();
    assert_eq!(code(&[number("a", 1e308), number("b", -1e308)]), quorate_core::Code::NotFinite);
    assert_eq!(code(&[number("a", 1.79e308), number("b", 1.79e308)]), quorate_core::Code::NotFinite);
    let config = PanelConfig { scale: Some((-1e308, 1e308)), ..Default::default() };
    assert!(score_panel_with(&[number("a", 0.0)], &config).is_err());
    // Half as far is far enough.
    let s = score_panel(&[number("a", 8e307), number("b", -8e307)]).unwrap();
    assert_eq!((s.decision, s.level), (Decision::Number(0.0), Level::NoConsensus));
}

#[test]
fn many_ballots_are_no_trouble() {
    let n = 20_000;
    let voters: Vec<Ballot> = (0..n).map(|i| Ballot::choice(format!("v{i}"), format!("o{i}"))).collect();
    let s = score_panel(&voters).unwrap();
    assert_eq!((s.level, s.minority.leading.len()), (Level::NoConsensus, n));
    let vectors: Vec<Ballot> =
        (0..n).map(|i| Ballot::new(format!("v{i}"), Position::Vector(vec![i as f64, 1.0]))).collect();
    assert_eq!(score_panel(&vectors).unwrap_err().code(), quorate_core::Code::TooLarge);
}

fn in_groups(groups: &[&str], rho: Option<f64>) -> PanelConfig {
    let named = groups.iter().enumerate().map(|(i, group)| (format!("v{i}"), (*group).to_owned()));
    PanelConfig { groups: named.collect(), rho, ..PanelConfig::default() }
}

#[test]
fn ballots_of_one_group_are_fewer_voters() {
    let score =
        |votes: &[(&str, f64)], config: &PanelConfig| score_panel_with(&choices(votes), config).unwrap();
    let five = [("a", 1.0); 5];
    // Kish: n / (1 + (m - 1) rho).
    for (rho, want) in [(0.0, 5.0), (0.25, 2.5), (1.0, 1.0)] {
        let one = score(&five, &in_groups(&["m"; 5], Some(rho)));
        assert!((one.effective_voters - want).abs() < 1e-12, "{rho}: {}", one.effective_voters);
        assert_eq!(one.groups.as_ref().map(|groups| groups.rho_is), Some("given"));
    }
    // Two groups of two, and one alone: 5^2 / (5 + 2 rho + 2 rho).
    let two = score(&five, &in_groups(&["x", "x", "y", "y", "z"], Some(0.5)));
    assert!((two.effective_voters - 25.0 / 7.0).abs() < 1e-12);
    // Weights and groups together, and the unit of the weights plays no part.
    let weighted = |unit: f64| {
        let votes = [("a", unit), ("a", 2.0 * unit), ("b", unit)];
        score(&votes, &in_groups(&["x", "x"], Some(0.5))).effective_voters
    };
    assert!((weighted(1.0) - 16.0 / (6.0 + 2.0)).abs() < 1e-12);
    assert_eq!(weighted(1.0), weighted(1e12));
    // Nobody shares anything: as before.
    let alone = score(&five, &in_groups(&["p", "q", "r", "s", "t"], None));
    assert_eq!((alone.effective_voters, alone.groups), (5.0, None));
    // The interval is that of one voter, and the arithmetic says so.
    let clones = score(&five, &in_groups(&["m"; 5], None));
    assert_eq!(clones.intervals[0].low, score(&five[..1], &PanelConfig::default()).intervals[0].low);
    let lines = clones.explain();
    assert!(lines.iter().any(|line| line == "not independent, 'm': v0, v1, v2, v3, v4"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("effective ballots: 5^2 / 25 = 1")), "{lines:?}");
}

#[test]
fn the_correlation_within_groups_is_estimated_where_it_can_be() {
    let rho = |votes: &[&str], groups: &[&str]| {
        let votes: Vec<(&str, f64)> = votes.iter().map(|vote| (*vote, 1.0)).collect();
        let groups = score_panel_with(&choices(&votes), &in_groups(groups, None)).unwrap().groups.unwrap();
        (groups.rho, groups.rho_is)
    };
    let three = ["x", "x", "y", "y", "z", "z"];
    // All within a group agree, the groups differ: one voter each.
    assert_eq!(rho(&["a", "a", "b", "b", "a", "a"], &three), (1.0, "estimated"));
    // All within a group differ: nothing in common.
    assert_eq!(rho(&["a", "b", "a", "b", "a", "b"], &three), (0.0, "estimated"));
    // One-way analysis of variance by hand: groups (1, 1), (1, 0), (0, 0), so B = .5 and W = 1/6.
    let (value, how) = rho(&["a", "a", "a", "b", "b", "b"], &three);
    assert!((value - (0.5 - 1.0 / 6.0) / (0.5 + 1.0 / 6.0)).abs() < 1e-12 && how == "estimated");
    // All alike, or too few groups: nothing tells, and a group counts as one voter.
    assert_eq!(rho(&["a"; 6], &three), (1.0, "assumed"));
    assert_eq!(rho(&["a", "b", "a", "b"], &["x", "x", "y", "y"]), (1.0, "assumed"));
    let bad = PanelConfig { rho: Some(1.5), ..PanelConfig::default() };
    assert!(score_panel_with(&choices(&[("a", 1.0)]), &bad).is_err());
}

//! Do the agreement coefficients give the published answers, and those of the peer packages?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quorate_consensus::agreement::*;
use quorate_consensus::{Label, Ratings, RatingsOptions};
use quorate_core::Code;
use serde_json::Value;

const NAN: f64 = f64::NAN;

fn close(given: Option<f64>, expected: f64, tolerance: f64) {
    let given = given.unwrap_or_else(|| panic!("undefined instead of {expected}"));
    assert!((given - expected).abs() <= tolerance * expected.abs().max(1.0), "{given} is not {expected}");
}

/// Krippendorff (2011): 4 coders, 12 units.
#[rustfmt::skip]
const FOUR_BY_TWELVE: [f64; 48] = [
    1., 2., 3., 3., 2., 1., 4., 1., 2., NAN, NAN, NAN,
    1., 2., 3., 3., 2., 2., 4., 1., 2., 5., NAN, 3.,
    NAN, 3., 3., 3., 2., 3., 4., 2., 2., 5., 1., NAN,
    1., 2., 3., 3., 2., 4., 4., 1., 2., 5., 1., NAN,
];

fn four_by_twelve() -> Ratings {
    Ratings::from_matrix(&FOUR_BY_TWELVE, 4, 12).unwrap()
}

/// The sample of the `krippendorff` package: 3 coders, 15 units.
fn three_by_fifteen() -> Ratings {
    #[rustfmt::skip]
    let cells = [
        NAN, NAN, NAN, NAN, NAN, 3., 4., 1., 2., 1., 1., 3., 3., NAN, 3.,
        1., NAN, 2., 1., 3., 3., 4., 3., NAN, NAN, NAN, NAN, NAN, NAN, NAN,
        NAN, NAN, 2., 1., 3., 4., 4., NAN, 2., 1., 1., 3., 3., NAN, 4.,
    ];
    Ratings::from_matrix(&cells, 3, 15).unwrap()
}

fn alpha(data: &Ratings, level: Level) -> Option<f64> {
    krippendorff_alpha(data, &AlphaOptions::level(level)).unwrap().value
}

#[test]
fn oracle_krippendorff_2011() {
    let data = four_by_twelve();
    close(alpha(&data, Level::Nominal), 0.743421, 1e-6);
    close(alpha(&data, Level::Ordinal), 0.815388, 1e-6);
    close(alpha(&data, Level::Interval), 0.849107, 1e-6);
    close(alpha(&data, Level::Ratio), 0.797403, 1e-6);
    let data = three_by_fifteen();
    close(alpha(&data, Level::Nominal), 0.691358, 1e-6);
    close(alpha(&data, Level::Ordinal), 0.806721, 1e-6);
    close(alpha(&data, Level::Interval), 0.810845, 1e-6);
    close(alpha(&data, Level::Ratio), 0.808944, 1e-6);
}

#[test]
fn oracle_kappa_family_on_krippendorff_2011() {
    let data = four_by_twelve();
    let plain = KappaOptions::default();
    close(gwet_ac(&data, &plain).unwrap().value, 0.77544, 5e-6);
    close(gwet_ac(&data, &KappaOptions::weighted(Weights::Quadratic)).unwrap().value, 0.914, 5e-4);
    close(fleiss_kappa(&data, &plain).unwrap().value, 0.76117, 5e-6);
    close(brennan_prediger(&data, &plain).unwrap().value, 0.77273, 5e-6);
    // The published Conger value is that of irrCAC's copy of the data, where the lone rating of unit 12 is by the third coder.
    let mut cells = FOUR_BY_TWELVE;
    cells.swap(23, 35);
    let copy = Ratings::from_matrix(&cells, 4, 12).unwrap();
    close(conger_kappa(&copy, &plain).unwrap().value, 0.76282, 5e-6);
    // irrCAC's documentation adds these.
    let ac1 = gwet_ac(&data, &plain).unwrap();
    close(ac1.standard_error, 0.14295, 5e-6);
    close(ac1.low, 0.46081, 5e-6);
    close(ac1.high, 1.0, 1e-12);
    close(ac1.observed, 0.81818, 5e-6);
    close(ac1.expected, 0.19032, 5e-6);
}

/// Fleiss (1971): 30 psychiatric patients, 6 diagnoses each, 5 categories.
const FLEISS_1971: [[u32; 5]; 30] = [
    [0, 0, 0, 6, 0],
    [0, 3, 0, 0, 3],
    [0, 1, 4, 0, 1],
    [0, 0, 0, 0, 6],
    [0, 3, 0, 3, 0],
    [2, 0, 4, 0, 0],
    [0, 0, 4, 0, 2],
    [2, 0, 3, 1, 0],
    [2, 0, 0, 4, 0],
    [0, 0, 0, 0, 6],
    [1, 0, 0, 5, 0],
    [1, 1, 0, 4, 0],
    [0, 3, 3, 0, 0],
    [1, 0, 0, 5, 0],
    [0, 2, 0, 3, 1],
    [0, 0, 5, 0, 1],
    [3, 0, 0, 1, 2],
    [5, 1, 0, 0, 0],
    [0, 2, 0, 4, 0],
    [1, 0, 2, 0, 3],
    [0, 0, 0, 0, 6],
    [0, 1, 0, 5, 0],
    [0, 2, 0, 1, 3],
    [2, 0, 0, 4, 0],
    [1, 0, 0, 4, 1],
    [0, 5, 0, 1, 0],
    [4, 0, 0, 0, 2],
    [0, 2, 0, 4, 0],
    [1, 0, 5, 0, 0],
    [0, 0, 0, 0, 6],
];

/// The example of the Wikipedia article on Fleiss' kappa: 10 items, 14 raters.
const FLEISS_WIKIPEDIA: [[u32; 5]; 10] = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
];

fn counts<const Q: usize>(table: &[[u32; Q]]) -> Ratings {
    let rows: Vec<Vec<u32>> = table.iter().map(|r| r.to_vec()).collect();
    let names: Vec<Label> = (0..Q as i64).map(Label::from).collect();
    Ratings::from_counts(&rows, &names).unwrap()
}

#[test]
fn oracle_fleiss_1971() {
    let kappa = fleiss_kappa(&counts(&FLEISS_1971), &KappaOptions::default()).unwrap();
    close(kappa.value, 0.4302445, 1e-7);
    close(kappa.z, 17.65183, 1e-6);
    let kappa = fleiss_kappa(&counts(&FLEISS_WIKIPEDIA), &KappaOptions::default()).unwrap();
    close(kappa.value, 0.20993, 5e-6);
}

#[test]
fn oracle_cohen_from_the_sas_manual() {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (i, row) in [[0, 4, 1], [0, 8, 0], [0, 1, 5]].iter().enumerate() {
        for (j, &n) in row.iter().enumerate() {
            a.extend(std::iter::repeat_n(i as i64, n));
            b.extend(std::iter::repeat_n(j as i64, n));
        }
    }
    close(cohen_kappa(&a, &b, &KappaOptions::default()).unwrap().value, 0.4842, 1e-4);
    close(cohen_kappa(&a, &b, &KappaOptions::weighted(Weights::Linear)).unwrap().value, 0.4701, 1e-4);
}

#[test]
fn oracle_kendall() {
    #[rustfmt::skip]
    let anxiety = [
        3., 3., 3., 4., 5., 5., 2., 3., 5., 2., 2., 6., 1., 5., 2., 2., 1., 2., 4., 3.,
        3., 6., 4., 6., 2., 4., 2., 4., 3., 3., 2., 3., 3., 3., 2., 2., 1., 3., 3., 4.,
        2., 1., 4., 4., 3., 2., 1., 6., 1., 1., 1., 2., 3., 3., 1., 1., 3., 3., 2., 2.,
    ];
    let w = kendall_w(&Ratings::from_matrix(&anxiety, 3, 20).unwrap()).unwrap();
    close(w.uncorrected, 0.501921, 2e-6);
    close(w.value, 0.539657, 1e-6);
    close(w.chi2, 30.760, 1e-4);
    assert_eq!(w.df, 19);
    let ranks = [1., 6., 3., 2., 5., 4., 1., 5., 6., 4., 2., 3., 6., 3., 2., 5., 4., 1.];
    close(kendall_w(&Ratings::from_matrix(&ranks, 3, 6).unwrap()).unwrap().value, 0.161905, 1e-6);
}

#[test]
fn oracle_shrout_and_fleiss_1979() {
    #[rustfmt::skip]
    let table = [
        9., 6., 8., 7., 10., 6.,
        2., 1., 4., 1., 5., 2.,
        5., 3., 6., 2., 6., 4.,
        8., 2., 8., 6., 9., 7.,
    ];
    let data = Ratings::from_matrix(&table, 4, 6).unwrap();
    for (form, expected) in
        [("1,1", 0.17), ("2,1", 0.29), ("3,1", 0.71), ("1,k", 0.44), ("2,k", 0.62), ("3,k", 0.91)]
    {
        let icc = icc(&data, form.parse().unwrap(), 0.95).unwrap();
        assert!((icc.value.unwrap() - expected).abs() < 0.005, "{form}: {:?}", icc.value);
    }
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/agreement.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(NAN)).collect()
}

fn matrix(v: &Value) -> Ratings {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(numbers).collect();
    Ratings::from_matrix(&rows.concat(), rows.len(), rows[0].len()).unwrap()
}

fn weights(name: &str) -> Weights {
    match name {
        "identity" => Weights::Identity,
        "linear" => Weights::Linear,
        "quadratic" => Weights::Quadratic,
        "ordinal" => Weights::Ordinal,
        "radical" => Weights::Radical,
        "ratio" => Weights::Ratio,
        "circular" => Weights::Circular,
        "bipolar" => Weights::Bipolar,
        other => panic!("{other}"),
    }
}

#[test]
fn peers_irrcac_and_krippendorff() {
    for case in fixture()["cases"].as_array().unwrap() {
        let data = matrix(&case["table"]);
        for (name, answers) in case["irrcac"].as_object().unwrap() {
            let options = KappaOptions::weighted(weights(name));
            for (method, expected) in answers.as_object().unwrap() {
                let ours = match method.as_str() {
                    "fleiss" => fleiss_kappa(&data, &options),
                    "gwet" => gwet_ac(&data, &options),
                    "bp" => brennan_prediger(&data, &options),
                    "conger" => conger_kappa(&data, &options),
                    other => panic!("{other}"),
                }
                .unwrap();
                let get = |key: &str| expected[key].as_f64().unwrap();
                close(ours.value, get("value"), 1e-9);
                close(ours.observed, get("observed"), 1e-9);
                close(ours.expected, get("expected"), 1e-9);
                close(ours.standard_error, get("se"), 1e-9);
                // scipy 1.12, which irrCAC asks for the quantile, gives t(0.975, 39) as 2.0226909117; it is 2.0226909200.
                close(ours.low, get("low"), 1e-8);
                close(ours.high, get("high"), 1e-8);
                // irrCAC tests Brennan-Prediger one-sided; our Fleiss has the null test of 1979 where it can.
                if matches!(method.as_str(), "gwet" | "conger") {
                    close(ours.p_value, get("p"), 1e-9);
                }
            }
        }
        for (name, expected) in case["alpha"].as_object().unwrap() {
            let level = match name.as_str() {
                "nominal" => Level::Nominal,
                "ordinal" => Level::Ordinal,
                "interval" => Level::Interval,
                "ratio" => Level::Ratio,
                "circular" => Level::Circular { circumference: None },
                "bipolar" => Level::Bipolar { poles: None },
                other => panic!("{other}"),
            };
            close(alpha(&data, level), expected.as_f64().unwrap(), 1e-9);
        }
    }
}

#[test]
fn peer_statsmodels_cohen_and_fleiss() {
    for case in fixture()["cohen"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let weights = match case["weights"].as_str() {
            None => Weights::Identity,
            Some(name) => weights(name),
        };
        let ours = cohen_kappa(&a, &b, &KappaOptions::weighted(weights)).unwrap();
        let get = |key: &str| case[key].as_f64().unwrap();
        close(ours.value, get("value"), 1e-9);
        close(ours.standard_error, get("se"), 1e-9);
        close(ours.low, get("low"), 1e-9);
        close(ours.high, get("high").min(1.0), 1e-9);
        close(ours.z, get("z"), 1e-9);
        close(ours.p_value, get("p"), 1e-9);
    }
    for case in fixture()["fleiss"].as_array().unwrap() {
        let rows: Vec<Vec<u32>> = case["counts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| numbers(r).iter().map(|&x| x as u32).collect())
            .collect();
        let names: Vec<Label> = (0..rows[0].len() as i64).map(Label::from).collect();
        let data = Ratings::from_counts(&rows, &names).unwrap();
        close(
            fleiss_kappa(&data, &KappaOptions::default()).unwrap().value,
            case["value"].as_f64().unwrap(),
            1e-9,
        );
    }
}

#[test]
fn peers_scipy_kendall_and_pingouin_icc() {
    for case in fixture()["kendall"].as_array().unwrap() {
        let ours = kendall_w(&matrix(&case["table"])).unwrap();
        close(ours.value, case["value"].as_f64().unwrap(), 1e-9);
        close(ours.chi2, case["chi2"].as_f64().unwrap(), 1e-9);
        close(ours.p_value, case["p"].as_f64().unwrap(), 1e-9);
    }
    for case in fixture()["icc"].as_array().unwrap() {
        let data = matrix(&case["table"]);
        for (form, expected) in case["forms"].as_object().unwrap() {
            let ours = icc(&data, form.parse().unwrap(), 0.95).unwrap();
            let get = |key: &str| expected[key].as_f64().unwrap();
            close(ours.value, get("value"), 1e-9);
            close(ours.f, get("f"), 1e-9);
            close(ours.p_value, get("p"), 1e-9);
            close(ours.low, get("low"), 1e-9);
            close(ours.high, get("high"), 1e-9);
            assert_eq!((ours.df1, ours.df2), (get("df1"), get("df2")));
        }
    }
}

#[test]
fn light_is_the_mean_of_cohens_pairs_and_scott_is_fleiss_for_two() {
    let rows = [vec![1., 2., 3., 1., 2., NAN], vec![1., 2., 3., 2., 2., 1.], vec![1., 3., 3., 1., NAN, 1.]];
    let data = Ratings::from_matrix(&rows.concat(), 3, 6).unwrap();
    let plain = KappaOptions::default();
    // Categories that a pair does not use have no part in its unweighted kappa.
    let pair = |a: usize, b: usize| cohen_kappa(&rows[a], &rows[b], &plain).unwrap().value.unwrap();
    close(light_kappa(&data, &plain).unwrap().value, (pair(0, 1) + pair(0, 2) + pair(1, 2)) / 3.0, 1e-12);
    let two = Ratings::from_pair(&rows[0], &rows[1], None).unwrap();
    assert_eq!(
        scott_pi(&two, &plain).unwrap().standard_error,
        fleiss_kappa(&two, &plain).unwrap().standard_error
    );
}

#[test]
fn bootstrap_is_seeded_and_brackets_the_value() {
    let data = four_by_twelve();
    for (level, resample) in [
        (Level::Nominal, Resample::Pairs),
        (Level::Ordinal, Resample::Pairs),
        (Level::Interval, Resample::Items),
        (Level::Nominal, Resample::Items),
    ] {
        let options = AlphaOptions { level, resample, bootstrap: 2000, seed: 7, ..AlphaOptions::default() };
        let a = krippendorff_alpha(&data, &options).unwrap();
        let (value, low, high) = (a.value.unwrap(), a.low.unwrap(), a.high.unwrap());
        assert!(low < value && value < high && high <= 1.0, "{low} {value} {high}");
        assert_eq!(a, krippendorff_alpha(&data, &options).unwrap());
        let narrow = AlphaOptions { confidence: 0.5, ..options };
        let b = krippendorff_alpha(&data, &narrow).unwrap();
        assert!(b.low.unwrap() > low && b.high.unwrap() < high);
    }
}

#[test]
fn the_pair_bootstrap_has_the_variance_of_its_draws() {
    // Nominal: each draw is 1 with probability D_o, so that a round is 1 - Binomial(M, D_o) / (M D_e).
    let data = four_by_twelve();
    let plain = krippendorff_alpha(&data, &AlphaOptions::default()).unwrap();
    let (observed, expected) = (plain.observed.unwrap(), plain.expected.unwrap());
    let pairs: usize = (0..data.n_items()).map(|i| data.item_codes(i).len()).map(|m| m * (m - 1) / 2).sum();
    let se = (observed * (1.0 - observed) / pairs as f64).sqrt() / expected;
    let options = AlphaOptions {
        bootstrap: 20_000,
        confidence: 0.6827,
        resample: Resample::Pairs,
        ..AlphaOptions::default()
    };
    let a = krippendorff_alpha(&data, &options).unwrap();
    let width = (a.high.unwrap() - a.low.unwrap()) / 2.0;
    assert!((width / se - 1.0).abs() < 0.15, "half width {width}, standard error {se}");
}

#[test]
fn undefined_says_why() {
    let plain = KappaOptions::default();
    let one_category = Ratings::from_matrix(&[1.0; 6], 2, 3).unwrap();
    let one_rater = Ratings::from_matrix(&[1.0, 2.0, 3.0], 1, 3).unwrap();
    let apart = Ratings::new(&[1, 2], &["a", "b"], &[1, 2]).unwrap();
    for data in [&one_category, &one_rater, &apart] {
        for c in [
            fleiss_kappa(data, &plain),
            scott_pi(data, &plain),
            conger_kappa(data, &plain),
            brennan_prediger(data, &plain),
            gwet_ac(data, &plain),
            light_kappa(data, &plain),
            cohen_kappa_of(data, &plain),
        ] {
            let c = c.unwrap();
            assert!(c.value.is_none() && c.undefined.is_some(), "{c:?}");
            let json = serde_json::to_string(&c).unwrap();
            assert!(!json.contains("NaN"), "{json}");
        }
        let a = krippendorff_alpha(data, &AlphaOptions { bootstrap: 10, ..AlphaOptions::default() }).unwrap();
        assert!(a.value.is_none() && a.undefined.is_some() && a.low.is_none());
    }
    assert_eq!(percent_agreement(&one_category, &plain).unwrap().value, Some(1.0));
    assert!(percent_agreement(&one_rater, &plain).unwrap().undefined.unwrap().contains("one rater"));
    assert!(kendall_w(&one_rater).unwrap().undefined.is_some());
    assert!(kendall_w(&one_category).unwrap().undefined.is_some());
    assert!(kendall_w(&apart).unwrap().undefined.unwrap().contains("left an item out"));
    for form in IccForm::ALL {
        assert!(icc(&one_category, form, 0.95).unwrap().undefined.is_some());
        assert!(icc(&one_rater, form, 0.95).unwrap().undefined.is_some());
        assert!(icc(&apart, form, 0.95).unwrap().undefined.is_some());
    }
    // A domain makes the other category known: Brennan-Prediger and AC1 then have a value, the kappas still none.
    let options = RatingsOptions { domain: Some(vec![1.into(), 2.into()]), ..RatingsOptions::default() };
    let data = Ratings::from_table(&[1.0; 6], 2, 3, &options).unwrap();
    assert_eq!(brennan_prediger(&data, &plain).unwrap().value, Some(1.0));
    assert_eq!(gwet_ac(&data, &plain).unwrap().value, Some(1.0));
    assert!(fleiss_kappa(&data, &plain).unwrap().undefined.is_some());
}

#[test]
fn bad_input_has_a_code() {
    let plain = KappaOptions::default();
    let data = four_by_twelve();
    let bad = KappaOptions { confidence: 1.0, ..KappaOptions::default() };
    assert_eq!(fleiss_kappa(&data, &bad).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(scott_pi(&data, &plain).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(cohen_kappa_of(&data, &plain).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(cohen_kappa(&[1, 2], &[1], &plain).unwrap_err().code(), Code::InvalidShape);
    let table =
        |w: Vec<Vec<f64>>| gwet_ac(&data, &KappaOptions::weighted(Weights::Custom(w))).unwrap_err().code();
    assert_eq!(table(vec![vec![1.0]]), Code::InvalidShape);
    assert_eq!(table(vec![vec![0.5; 5]; 5]), Code::InvalidArgument);
    assert_eq!(table(vec![vec![NAN; 5]; 5]), Code::NotFinite);
    let weighted = RatingsOptions { weights: vec![(0.into(), 2.0)], ..RatingsOptions::default() };
    let weighted = Ratings::from_table(&[1.0, 2.0, 2.0, 1.0], 2, 2, &weighted).unwrap();
    assert_eq!(fleiss_kappa(&weighted, &plain).unwrap_err().code(), Code::Unsupported);
    assert_eq!(
        krippendorff_alpha(&weighted, &AlphaOptions::default()).unwrap_err().code(),
        Code::Unsupported
    );
    let anonymous = counts(&FLEISS_1971);
    assert_eq!(conger_kappa(&anonymous, &plain).unwrap_err().code(), Code::Unsupported);
    let texts = Ratings::new(&[1, 1], &[1, 2], &["low", "high"]).unwrap();
    for level in [Level::Ordinal, Level::Interval, Level::Ratio] {
        assert_eq!(
            krippendorff_alpha(&texts, &AlphaOptions::level(level)).unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    assert_eq!(icc(&texts, IccForm::TwoSingle, 0.95).unwrap_err().code(), Code::InvalidArgument);
    let negative = Ratings::new(&[1, 1], &[1, 2], &[-1, 1]).unwrap();
    let level = AlphaOptions::level(Level::Ratio);
    assert_eq!(krippendorff_alpha(&negative, &level).unwrap_err().code(), Code::InvalidArgument);
    let level = AlphaOptions::level(Level::Bipolar { poles: Some((0.0, 1.0)) });
    assert_eq!(krippendorff_alpha(&negative, &level).unwrap_err().code(), Code::InvalidArgument);
    let level = AlphaOptions::level(Level::Circular { circumference: Some(-1.0) });
    assert_eq!(krippendorff_alpha(&negative, &level).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!("2,2".parse::<IccForm>().unwrap_err().code(), Code::InvalidArgument);
}

/// A table raters x items where each rater gives all items one number.
fn constant_raters(values: &[f64], items: usize) -> Ratings {
    let cells: Vec<f64> = values.iter().flat_map(|v| std::iter::repeat_n(*v, items)).collect();
    Ratings::from_matrix(&cells, values.len(), items).unwrap()
}

/// The definition decides: equal numbers have no variance and no expected disagreement, whatever the rounding of their mean.
#[test]
fn equal_ratings_are_undefined_whatever_their_value() {
    for value in [1.0, 0.1, 0.7, 3.3, 4.2, 1e-300, 1e300, f64::MAX, 1.0 / 3.0] {
        for (raters, items) in [(2, 2), (2, 7), (3, 3), (3, 11), (5, 12), (6, 10), (7, 1000)] {
            let data = constant_raters(&vec![value; raters], items);
            for form in IccForm::ALL {
                let found = icc(&data, form, 0.95).unwrap();
                assert!(
                    found.value.is_none() && found.undefined.is_some(),
                    "{value} {raters}x{items} {found:?}"
                );
            }
            for level in [
                Level::Nominal,
                Level::Ordinal,
                Level::Interval,
                Level::Ratio,
                Level::Circular { circumference: None },
                Level::Bipolar { poles: None },
            ] {
                assert_eq!(alpha(&data, level), None, "{value} {raters}x{items} {level:?}");
            }
        }
    }
    // Equal on the circle, though not as numbers.
    let hours = Ratings::from_matrix(&[0.1, 24.1, 48.1, 24.1], 2, 2).unwrap();
    assert_eq!(alpha(&hours, Level::Circular { circumference: Some(24.0) }), None);
}

#[test]
fn items_that_do_not_vary_have_no_icc_and_no_certainty() {
    for raters in [&[1.0, 2.0, 3.0][..], &[0.1, 0.7, 0.3], &[0.7, 0.1, 3.3, 4.2], &[1e-8, 1e8]] {
        for items in [2, 5, 30] {
            let data = constant_raters(raters, items);
            for form in IccForm::ALL {
                let found = icc(&data, form, 0.95).unwrap();
                match form {
                    // Within items the raters' differences are the noise, and F is exactly 0.
                    IccForm::OneSingle => {
                        close(found.value, -1.0 / (raters.len() as f64 - 1.0), 1e-12);
                        assert_eq!((found.f, found.p_value), (Some(0.0), Some(1.0)));
                    }
                    IccForm::OneMean => assert!(found.value.is_none()),
                    _ => assert!(found.value.is_none() && found.p_value.is_none(), "{raters:?} {found:?}"),
                }
            }
        }
    }
}

#[test]
fn an_icc_interval_holds_its_value() {
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    for case in 0..300 {
        let (raters, items) = (2 + case % 4, 2 + case % 7);
        let cells: Vec<f64> = (0..raters * items).map(|_| (4.0 * draw()).round() * 0.1).collect();
        let data = Ratings::from_matrix(&cells, raters, items).unwrap();
        for form in IccForm::ALL {
            let found = icc(&data, form, 0.95).unwrap();
            if let (Some(value), Some(low), Some(high)) = (found.value, found.low, found.high) {
                assert!(low <= value + 1e-12 && value <= high + 1e-12, "{cells:?} {found:?}");
            }
        }
    }
}

/// Alpha and ICC do not depend on the unit of the measurement, be it 1e-300 or 1e300 of another.
#[test]
fn the_unit_does_not_matter() {
    let cells = [1.0, -1.0, 1.0, 0.5, 1.0, -1.0, 0.0, 0.5];
    let data = |unit: f64| Ratings::from_matrix(&cells.map(|x| x * unit), 2, 4).unwrap();
    for unit in [1e-300, 1e-154, 1e-9, 1e154, 1e200, 1.7e308] {
        for level in [Level::Interval, Level::Bipolar { poles: None }] {
            close(alpha(&data(unit), level), alpha(&data(1.0), level).unwrap(), 1e-12);
        }
        for form in IccForm::ALL {
            let (a, b) = (icc(&data(unit), form, 0.95).unwrap(), icc(&data(1.0), form, 0.95).unwrap());
            for (x, y) in [(a.value, b.value), (a.p_value, b.p_value), (a.low, b.low), (a.high, b.high)] {
                match (x, y) {
                    (Some(x), y) => close(y, x, 1e-9),
                    (None, y) => assert_eq!(y, None),
                }
            }
        }
        for weights in [Weights::Linear, Weights::Quadratic, Weights::Radical, Weights::Bipolar] {
            let kappa = |unit| gwet_ac(&data(unit), &KappaOptions::weighted(weights.clone())).unwrap().value;
            close(kappa(unit), kappa(1.0).unwrap(), 1e-12);
        }
    }
    let positive =
        |unit: f64| Ratings::from_matrix(&[1.0, 2.0, 3.0, 1.0, 2.5, 3.0].map(|x| x * unit), 2, 3).unwrap();
    for unit in [1e-300, 1e200, 5e307] {
        close(alpha(&positive(unit), Level::Ratio), alpha(&positive(1.0), Level::Ratio).unwrap(), 1e-12);
        let kappa =
            |unit| fleiss_kappa(&positive(unit), &KappaOptions::weighted(Weights::Ratio)).unwrap().value;
        close(kappa(unit), kappa(1.0).unwrap(), 1e-12);
    }
    // What no number holds is not reported.
    let wide = krippendorff_alpha(&data(1.7e308), &AlphaOptions::level(Level::Interval)).unwrap();
    assert!(wide.value.is_some() && wide.observed.is_none() && wide.expected.is_none());
}

/// Shifting numbers whose digits are all needed leaves the coefficients alone.
#[test]
fn large_numbers_keep_small_differences() {
    let cells = [1.0, 2.0, 3.0, 1.0, 2.0, 4.0];
    let data = |shift: f64| Ratings::from_matrix(&cells.map(|x| x + shift), 2, 3).unwrap();
    for shift in [1e8, 1e12, 1e15] {
        close(alpha(&data(shift), Level::Interval), alpha(&data(0.0), Level::Interval).unwrap(), 1e-12);
        close(
            icc(&data(shift), IccForm::TwoSingle, 0.95).unwrap().value,
            icc(&data(0.0), IccForm::TwoSingle, 0.95).unwrap().value.unwrap(),
            1e-12,
        );
    }
}

/// Alpha of a circular level by the definition: over all pairs.
#[test]
fn circular_alpha_is_that_of_the_pairs() {
    let rows = [
        [0.0, 5.0, 23.0, 11.5, 12.0, 1.0],
        [1.0, 5.0, 22.0, 11.0, 0.5, 1.0],
        [23.5, 6.0, 23.0, 13.0, 12.0, 2.0],
    ];
    let data = Ratings::from_matrix(&rows.concat(), 3, 6).unwrap();
    let d = |a: f64, b: f64| (std::f64::consts::PI * (a - b) / 24.0).sin().powi(2);
    let all: Vec<f64> = rows.concat();
    let pairs = |x: &[f64]| -> f64 { x.iter().map(|a| x.iter().map(|b| d(*a, *b)).sum::<f64>()).sum() };
    let observed: f64 =
        (0..6).map(|i| pairs(&[rows[0][i], rows[1][i], rows[2][i]]) / 2.0).sum::<f64>() / 18.0;
    let expected = pairs(&all) / (18.0 * 17.0);
    let found =
        krippendorff_alpha(&data, &AlphaOptions::level(Level::Circular { circumference: Some(24.0) }))
            .unwrap();
    close(found.observed, observed, 1e-12);
    close(found.expected, expected, 1e-12);
    close(found.value, 1.0 - observed / expected, 1e-12);
}

/// Ordinal weights count the categories between two, whatever these are called: letters and numbers in one and the same order give the same.
#[test]
fn ordinal_weights_look_at_positions_only() {
    let (items, raters) = ([0i64, 1, 2, 3, 0, 1, 2, 3], [0i64, 0, 0, 0, 1, 1, 1, 1]);
    let ordered = |domain: Vec<Label>| RatingsOptions { domain: Some(domain), ..RatingsOptions::default() };
    let letters = ["c", "a", "b", "a", "c", "b", "b", "c"];
    let letters =
        Ratings::with_options(&items, &raters, &letters, &ordered(vec!["c".into(), "a".into(), "b".into()]));
    let numbers = [3i64, 1, 2, 1, 3, 2, 2, 3];
    let numbers =
        Ratings::with_options(&items, &raters, &numbers, &ordered(vec![3.into(), 1.into(), 2.into()]));
    let (letters, numbers) = (letters.unwrap(), numbers.unwrap());
    let options = KappaOptions::weighted(Weights::Ordinal);
    for method in [gwet_ac, percent_agreement, fleiss_kappa, conger_kappa, brennan_prediger] {
        let [a, b] = [&letters, &numbers].map(|data| method(data, &options).unwrap());
        close(a.value, b.value.unwrap(), 1e-12);
        close(a.observed, b.observed.unwrap(), 1e-12);
    }
}

/// Beyond 2^53 neighbours are one number; what needs their distance says so.
#[test]
fn values_that_are_one_number_are_refused_where_their_size_counts() {
    let (a, b) = ([1i64 << 53, (1 << 53) + 1, 5], [1i64 << 53, 1 << 53, 5]);
    for weights in [
        Weights::Linear,
        Weights::Quadratic,
        Weights::Radical,
        Weights::Ratio,
        Weights::Circular,
        Weights::Bipolar,
    ] {
        let error = cohen_kappa(&a, &b, &KappaOptions::weighted(weights)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    for weights in [Weights::Identity, Weights::Ordinal] {
        assert!(cohen_kappa(&a, &b, &KappaOptions::weighted(weights)).unwrap().value.unwrap() < 1.0);
    }
    let data = Ratings::from_pair(&a, &b, None).unwrap();
    for level in [
        Level::Interval,
        Level::Ratio,
        Level::Circular { circumference: None },
        Level::Bipolar { poles: None },
    ] {
        let error = krippendorff_alpha(&data, &AlphaOptions::level(level)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    assert_eq!(icc(&data, IccForm::TwoSingle, 0.95).unwrap_err().code(), Code::InvalidArgument);
    assert!(alpha(&data, Level::Ordinal).unwrap() < 1.0);
}

/// With so many items the cubes of their number have no room in a float.
#[test]
fn concordance_of_many_items_is_exact() {
    for (raters, items) in [(3, 200_026), (5, 200_078), (7, 200_156)] {
        let equal = Ratings::from_matrix(&vec![1.0; raters * items], raters, items).unwrap();
        let found = kendall_w(&equal).unwrap();
        assert!(found.value.is_none() && found.undefined.is_some(), "{found:?}");
    }
    let order: Vec<f64> = (0..2 * 300_001).map(|i| f64::from(i % 300_001)).collect();
    assert_eq!(kendall_w(&Ratings::from_matrix(&order, 2, 300_001).unwrap()).unwrap().value, Some(1.0));
}

/// An interval whose quantile is looked for where rounding puts both sides of the incomplete beta function beyond their bound.
#[test]
fn an_icc_on_the_bound_of_the_incomplete_beta_function_is_found() {
    let high = [[1, 0, 0, 0, 0], [0, 0, 1, 1, 0], [1, 1, 1, 0, 1], [1, 0, 1, 0, 0]];
    let values: Vec<f64> =
        high.iter().flatten().map(|&h| if h == 1 { 1_000_000.1 } else { 1_000_000.0 }).collect();
    let found = icc(&Ratings::from_matrix(&values, 4, 5).unwrap(), IccForm::TwoSingle, 0.95).unwrap();
    close(found.value, 0.0625, 1e-6);
    close(found.low, -0.187166, 1e-5);
    close(found.high, 0.703998, 1e-5);
}

/// As many categories as items: what was quadratic took minutes, and is linear.
#[test]
fn many_categories_take_no_longer_than_few() {
    let n = 200_000i64;
    let items: Vec<i64> = (0..n).chain(0..n).collect();
    let raters: Vec<i64> = (0..2 * n).map(|x| x / n).collect();
    let values: Vec<i64> = (0..n).chain((0..n).map(|x| x - i64::from(x % 10 == 0))).collect();
    let data = Ratings::new(&items, &raters, &values).unwrap();
    let plain = KappaOptions::default();
    for kappa in [cohen_kappa_of, light_kappa, conger_kappa, fleiss_kappa, gwet_ac] {
        let found = kappa(&data, &plain).unwrap();
        close(found.value, 0.9, 1e-3);
        assert!(found.method == "light_kappa" || found.z.unwrap() > 100.0);
    }
    let circular = AlphaOptions::level(Level::Circular { circumference: Some(1e6) });
    assert!(krippendorff_alpha(&data, &circular).unwrap().value.unwrap() > 0.99);
    let code = |r: quorate_core::Result<Option<f64>>| r.unwrap_err().code();
    let ratio = krippendorff_alpha(&data, &AlphaOptions::level(Level::Ratio)).map(|a| a.value);
    assert!(matches!(code(ratio), Code::TooLarge | Code::InvalidArgument));
    let bipolar = krippendorff_alpha(&data, &AlphaOptions::level(Level::Bipolar { poles: None }));
    assert_eq!(code(bipolar.map(|a| a.value)), Code::TooLarge);
    let weighted = gwet_ac(&data, &KappaOptions::weighted(Weights::Linear));
    assert_eq!(code(weighted.map(|c| c.value)), Code::TooLarge);
}

/// One item with very many ratings: no work grows with the square of their number.
#[test]
fn many_ratings_of_one_item_are_no_trouble() {
    let n = 200_000i64;
    let raters: Vec<i64> = (0..n).chain(0..n).collect();
    let items: Vec<i64> = (0..2 * n).map(|x| x / n).collect();
    let values: Vec<i64> = (0..2 * n).map(|x| 1 + x % 7).collect();
    let data = Ratings::new(&items, &raters, &values).unwrap();
    for level in [Level::Ratio, Level::Bipolar { poles: None }, Level::Circular { circumference: None }] {
        for resample in [Resample::Items, Resample::Pairs] {
            let options = AlphaOptions { level, resample, bootstrap: 3, ..AlphaOptions::default() };
            assert!(krippendorff_alpha(&data, &options).unwrap().value.unwrap().abs() < 0.01);
        }
    }
    assert!(gwet_ac(&data, &KappaOptions::weighted(Weights::Linear)).unwrap().value.unwrap().abs() < 0.01);
}

#[test]
fn the_default_interval_of_alpha_narrows_with_the_data() {
    let width = |items: i64| {
        let (mut i, mut r, mut v) = (Vec::new(), Vec::new(), Vec::new());
        for item in 0..items {
            for rater in 0..5 {
                i.push(item);
                r.push(rater);
                v.push(if (item * 7 + rater * 13 + item * rater) % 4 == 0 {
                    (item + rater) % 3
                } else {
                    item % 3
                });
            }
        }
        let data = Ratings::new(&i, &r, &v).unwrap();
        let found =
            krippendorff_alpha(&data, &AlphaOptions { bootstrap: 400, ..AlphaOptions::default() }).unwrap();
        assert_eq!(found.bootstrap, 400);
        found.high.unwrap() - found.low.unwrap()
    };
    let (few, many) = (width(100), width(10_000));
    // A hundred times the items, a tenth of the width.
    assert!(many < 0.15 * few && many < 0.03, "{few} {many}");
}

#[test]
fn intervals_stay_where_coefficients_can_be() {
    let plain = KappaOptions::default();
    // All agree: the error is 0, which says nothing about the next item. Wilson's interval of 5 of 5 with t(0.975, 4).
    let data = Ratings::from_matrix(&[1.0, 2.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 2.0, 1.0], 2, 5).unwrap();
    let agreement = percent_agreement(&data, &plain).unwrap();
    let t2 = 2.7764451051977987f64.powi(2);
    close(agreement.low, 1.0 / (1.0 + t2 / 5.0), 1e-9);
    assert_eq!(agreement.high, Some(1.0));
    for kappa in [fleiss_kappa, gwet_ac, conger_kappa, brennan_prediger, cohen_kappa_of] {
        let found = kappa(&data, &plain).unwrap();
        assert!(found.value == Some(1.0) && found.low.unwrap() < 0.6 && found.high == Some(1.0), "{found:?}");
    }
    // Shares stay within 0 and 1, coefficients within -1 and 1.
    for cells in
        [[1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [1.0, 2.0, 1.0, 1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 1.0, 1.0, 2.0]]
    {
        let data = Ratings::from_matrix(&cells, 2, 3).unwrap();
        let share = percent_agreement(&data, &plain).unwrap();
        assert!(
            share.low.unwrap() >= 0.0 && share.high.unwrap() <= 1.0 && share.low < share.high,
            "{share:?}"
        );
        for kappa in [fleiss_kappa, gwet_ac, conger_kappa, brennan_prediger, cohen_kappa_of] {
            let found = kappa(&data, &plain).unwrap();
            if let (Some(low), Some(high)) = (found.low, found.high) {
                assert!((-1.0..=found.value.unwrap()).contains(&low) && high <= 1.0, "{found:?}");
            }
        }
    }
}

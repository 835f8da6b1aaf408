//! What do counts and measurements say?

use quorate_core::Result;
use serde_json::{Value, json};

use super::distribution::{normal_above, t_quantile};
use super::given::{Given, wrong};
use super::numbers::{list, number};
use crate::evaluate::statistics::{quantile, wilson};

/// The 97.5% point of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// Most categories of a table.
const MOST_CATEGORIES: usize = 1000;

/// Cohen's kappa of two readers from the table of their joint decisions, with observed and expected agreement and the
/// standard error of Cohen (1960): (po - pe) / (1 - pe). Errors: `tool_arguments` for a table that is not square, has a
/// negative count or nothing in it.
pub(super) fn cohen_kappa(given: Given<'_>) -> Result<Value> {
    let rows = given.list("counts")?;
    let read = |row: &Value| -> Option<Vec<f64>> {
        row.as_array()?.iter().map(|x| x.as_f64().filter(|x| x.is_finite() && *x >= 0.0)).collect()
    };
    let k = rows.len();
    let table: Option<Vec<Vec<f64>>> =
        rows.iter().take(MOST_CATEGORIES + 1).map(|row| read(row).filter(|row| row.len() == k)).collect();
    let table = table.filter(|_| (2..=MOST_CATEGORIES).contains(&k)).ok_or_else(|| {
        wrong("counts is no square table of 2 to 1,000 categories whose entries are 0 or more")
    })?;
    let total: f64 = table.iter().flatten().sum();
    if total <= 0.0 {
        return Err(wrong("counts has nothing in it"));
    }
    let observed = table.iter().enumerate().map(|(i, row)| row.get(i).unwrap_or(&0.0)).sum::<f64>() / total;
    let columns = (0..k).map(|j| table.iter().filter_map(|row| row.get(j)).sum::<f64>());
    let expected =
        table.iter().zip(columns).map(|(row, column)| row.iter().sum::<f64>() * column).sum::<f64>()
            / (total * total);
    // Where both have one category alone there is nothing to agree on.
    let kappa = (observed - expected) / (1.0 - expected);
    let error = (observed * (1.0 - observed) / total).sqrt() / (1.0 - expected);
    Ok(json!({
        "kappa": number(kappa),
        "observed_agreement": number(observed),
        "expected_agreement": number(expected),
        "standard_error": number(error),
        "n": number(total),
    }))
}

/// Number, mean, standard deviation, median and quartiles (Hyndman and Fan 1996, type 7), extremes, and the 95 percent
/// interval of the mean by Student (1908). Errors: `tool_arguments` for no numbers.
pub(super) fn describe(given: Given<'_>) -> Result<Value> {
    let mut data = given.numbers("data")?;
    if data.is_empty() {
        return Err(wrong("data is empty"));
    }
    let n = data.len() as f64;
    let mean = data.iter().sum::<f64>() / n;
    let deviation = (data.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let half =
        if data.len() > 1 { t_quantile(0.975, data.len() - 1) * deviation / n.sqrt() } else { f64::NAN };
    data.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| quantile(&data, share).map_or(Value::Null, number);
    Ok(json!({
        "n": data.len(),
        "mean": number(mean),
        "sd": number(deviation),
        "least": at(0.0),
        "quartile_1": at(0.25),
        "median": at(0.5),
        "quartile_3": at(0.75),
        "most": at(1.0),
        "mean_95_interval": list([mean - half, mean + half]),
    }))
}

/// How far a site's rate lies from that of all, in standard deviations: (rate - overall) / sqrt(overall / exposure)
/// (Spiegelhalter 2005), with the two-sided probability of so much by chance. Errors: `tool_arguments` for negative events,
/// exposures of 0 or less, a site that is more than all.
pub(super) fn funnel_z(given: Given<'_>) -> Result<Value> {
    let (events, exposure) = (given.amount("events")?, given.positive("exposure")?);
    let (all_events, all_exposure) = (given.positive("all_events")?, given.positive("all_exposure")?);
    if events > all_events || exposure > all_exposure {
        return Err(wrong(
            "the site has more than all sites together; all_events and all_exposure count it too",
        ));
    }
    let (rate, overall) = (events / exposure, all_events / all_exposure);
    let spread = (overall / exposure).sqrt();
    let z = (rate - overall) / spread;
    Ok(json!({
        "rate": number(rate),
        "overall_rate": number(overall),
        "z": number(z),
        "p": number(2.0 * normal_above(z.abs())),
        "limits_95": list([(overall - Z95 * spread).max(0.0), overall + Z95 * spread]),
    }))
}

/// The u chart of a rate: u is the rate of all periods before the last, the limits u +- sigmas sqrt(u / n) with the last
/// exposure n (Montgomery 2012, after Shewhart 1931). Errors: `tool_arguments` for lists of different length or of fewer
/// than 2 periods, negative counts, exposures of 0 or less, a width of 0 or less.
pub(super) fn u_chart(given: Given<'_>) -> Result<Value> {
    let (counts, exposures) = (given.numbers("counts")?, given.numbers("exposures")?);
    let sigmas = given.number_or("sigmas", 3.0)?;
    let fits = counts.len() == exposures.len()
        && counts.iter().all(|count| *count >= 0.0)
        && exposures.iter().all(|exposure| *exposure > 0.0)
        && sigmas > 0.0;
    let (Some((last, before)), Some((n, weights)), true) =
        (counts.split_last(), exposures.split_last(), fits)
    else {
        return Err(wrong("expected as many exposures above 0 as counts of 0 or more, and sigmas above 0"));
    };
    if before.is_empty() {
        return Err(wrong("expected at least two periods"));
    }
    let centre = before.iter().sum::<f64>() / weights.iter().sum::<f64>();
    let half = sigmas * (centre / n).sqrt();
    let rate = last / n;
    Ok(json!({
        "rate": number(rate),
        "centre": number(centre),
        "upper_limit": number(centre + half),
        "lower_limit": number((centre - half).max(0.0)),
        "above": rate > centre + half,
        "below": rate < centre - half,
    }))
}

/// The reporting odds ratio ad / bc of a drug and an event with exp(ln ROR +- 1.96 sqrt(1/a + 1/b + 1/c + 1/d))
/// (van Puijenbroek et al. 2002). A signal is an interval that lies above 1. Errors: `tool_arguments` for counts of 0 or
/// less.
pub(super) fn reporting_odds_ratio(given: Given<'_>) -> Result<Value> {
    let (a, b) = (given.positive("drug_event")?, given.positive("drug_other")?);
    let (c, d) = (given.positive("other_event")?, given.positive("other_other")?);
    let log = (a / b).ln() - (c / d).ln();
    let half = Z95 * (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt();
    Ok(json!({
        "ratio": number(log.exp()),
        "interval_95": list([(log - half).exp(), (log + half).exp()]),
        "signal": log > half,
    }))
}

/// Sensitivity, specificity and predictive values in each group with intervals of Wilson (1927), and the largest differences
/// between groups; those of sensitivity and of the false positives are what equality of opportunity and of odds look at
/// (Hardt, Price and Srebro 2016). Errors: `tool_arguments` for no group, counts that are negative.
pub(super) fn rates_by_group(given: Given<'_>) -> Result<Value> {
    /// Each rate with what it counts, of what.
    const RATES: [(&str, &str, [&str; 2]); 4] = [
        ("sensitivity", "tp", ["tp", "fn"]),
        ("specificity", "tn", ["tn", "fp"]),
        ("positive_predictive_value", "tp", ["tp", "fp"]),
        ("negative_predictive_value", "tn", ["tn", "fn"]),
    ];
    let mut groups = Vec::new();
    let mut seen: [Vec<f64>; 4] = Default::default();
    for group in given.objects("groups")? {
        let mut told = json!({"name": group.text("name")?});
        for ((name, counted, of), seen) in RATES.iter().zip(&mut seen) {
            let (passed, trials) = (group.amount(counted)?, group.amount(of[0])? + group.amount(of[1])?);
            let (low, high) = wilson(passed, trials);
            told[*name] = json!({"rate": number(passed / trials), "interval_95": list([low, high]), "n": number(trials)});
            if trials > 0.0 {
                seen.push(passed / trials);
            }
        }
        groups.push(told);
    }
    if groups.is_empty() {
        return Err(wrong("groups is empty"));
    }
    let mut differences = json!({});
    for ((name, ..), seen) in RATES.iter().zip(&seen) {
        let ends = seen.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        // No group has the rate: minus infinity, which is no number.
        differences[*name] = number(ends.1 - ends.0);
    }
    Ok(json!({"groups": groups, "largest_differences": differences}))
}

/// The risk of re-identification from the sizes of groups that look alike: at most 1 / k of the smallest group (Sweeney
/// 2002), on average groups / people (El Emam 2013), both times the share of the population that is in the data. Errors:
/// `tool_arguments` for no group, sizes that are not whole or below 1, a share outside 0 to 1.
pub(super) fn k_anonymity_risk(given: Given<'_>) -> Result<Value> {
    let sizes = given.numbers("group_sizes")?;
    let fraction = given.share_or("sampling_fraction", 1.0)?;
    if sizes.is_empty() || sizes.iter().any(|size| *size < 1.0 || size.fract() != 0.0) {
        return Err(wrong("group_sizes are expected to be whole numbers of 1 or more, at least one"));
    }
    let people: f64 = sizes.iter().sum();
    let smallest = sizes.iter().fold(f64::INFINITY, |a, b| a.min(*b));
    Ok(json!({
        "k": number(smallest),
        "largest_risk": number(fraction / smallest),
        "mean_risk": number(fraction * sizes.len() as f64 / people),
        "people": number(people),
        "unique_people": sizes.iter().filter(|size| **size == 1.0).count(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{near, of, refused};
    use super::*;

    #[test]
    fn kappa_is_that_of_the_textbook_table() {
        // (0.7 - 0.5) / (1 - 0.5), by hand.
        let kappa = of(cohen_kappa, json!({"counts": [[20, 5], [10, 15]]}));
        near(&kappa["kappa"], 0.4, 1e-9);
        near(&kappa["expected_agreement"], 0.5, 1e-9);
        near(&kappa["standard_error"], (0.21_f64 / 50.0).sqrt() / 0.5, 1e-9);
        assert_eq!(of(cohen_kappa, json!({"counts": [[5, 0], [0, 0]]}))["kappa"], Value::Null);
        for counts in [json!([]), json!([[1, 2]]), json!([[1, -1], [0, 1]]), json!([[0, 0], [0, 0]])] {
            refused(cohen_kappa, json!({"counts": counts}));
        }
    }

    #[test]
    fn numbers_are_described() {
        let four = of(describe, json!({"data": [1, 2, 3, 4, 5]}));
        assert_eq!((&four["n"], &four["mean"], &four["median"]), (&json!(5), &json!(3), &json!(3)));
        near(&four["sd"], 1.581_138_83, 1e-8);
        assert_eq!((&four["quartile_1"], &four["quartile_3"]), (&json!(2), &json!(4)));
        // 3 +- 2.776445 * 1.58114 / sqrt(5).
        near(&four["mean_95_interval"][0], 1.036_757, 1e-6);
        let one = of(describe, json!({"data": [7]}));
        assert_eq!(
            (&one["mean"], &one["sd"], &one["mean_95_interval"][0]),
            (&json!(7), &Value::Null, &Value::Null)
        );
        refused(describe, json!({"data": []}));
    }

    #[test]
    fn a_site_stands_out_by_its_size() {
        // (30 / 100 - 200 / 1000) / sqrt(0.2 / 100), by hand.
        let site =
            of(funnel_z, json!({"events": 30, "exposure": 100, "all_events": 200, "all_exposure": 1000}));
        near(&site["z"], 2.236_068, 1e-6);
        near(&site["p"], 0.025_347, 1e-5);
        refused(funnel_z, json!({"events": 3, "exposure": 1, "all_events": 2, "all_exposure": 10}));
    }

    #[test]
    fn complaints_rise_above_their_history() {
        let chart = |last: u32| {
            of(u_chart, json!({"counts": [10, 12, 8, last], "exposures": [1000, 1000, 1000, 1000]}))
        };
        // 0.01 + 3 sqrt(0.01 / 1000), by hand.
        near(&chart(25)["upper_limit"], 0.019_486_83, 1e-8);
        assert_eq!((&chart(20)["above"], &chart(19)["above"]), (&json!(true), &json!(false)));
        refused(u_chart, json!({"counts": [1, 2], "exposures": [1]}));
        refused(u_chart, json!({"counts": [1], "exposures": [1]}));
    }

    #[test]
    fn odds_are_reported() {
        let reports = of(
            reporting_odds_ratio,
            json!({"drug_event": 10, "drug_other": 90, "other_event": 20, "other_other": 880}),
        );
        // 10 * 880 / (90 * 20), and exp(ln 4.889 +- 1.96 * sqrt(1/10 + 1/90 + 1/20 + 1/880)), by hand.
        near(&reports["ratio"], 4.888_889, 1e-6);
        near(&reports["interval_95"][0], 2.2194, 1e-3);
        near(&reports["interval_95"][1], 10.769, 5e-3);
        assert_eq!(reports["signal"], true);
        refused(
            reporting_odds_ratio,
            json!({"drug_event": 0, "drug_other": 9, "other_event": 2, "other_other": 8}),
        );
    }

    #[test]
    fn groups_are_compared() {
        let rates = of(
            rates_by_group,
            json!({"groups": [
                {"name": "a", "tp": 81, "fp": 20, "fn": 182, "tn": 80}, {"name": "b", "tp": 0, "fp": 1, "fn": 0, "tn": 3},
            ]}),
        );
        let a = &rates["groups"][0]["sensitivity"];
        // Newcombe 1998, table I: Wilson's interval of 81 of 263 is 0.2553 to 0.3662.
        near(&a["interval_95"][0], 0.2553, 5e-5);
        near(&a["interval_95"][1], 0.3662, 5e-5);
        assert_eq!(rates["groups"][1]["sensitivity"]["rate"], Value::Null);
        near(&rates["largest_differences"]["specificity"], 0.05, 1e-9);
        assert_eq!(rates["largest_differences"]["sensitivity"], 0);
        refused(rates_by_group, json!({"groups": []}));
    }

    #[test]
    fn the_smallest_group_is_the_largest_risk() {
        let risk = of(k_anonymity_risk, json!({"group_sizes": [5, 10, 25]}));
        assert_eq!(
            (&risk["largest_risk"], &risk["mean_risk"], &risk["k"]),
            (&json!(0.2), &json!(0.075), &json!(5))
        );
        let sampled = of(k_anonymity_risk, json!({"group_sizes": [1, 4], "sampling_fraction": 0.1}));
        assert_eq!((&sampled["largest_risk"], &sampled["unique_people"]), (&json!(0.1), &json!(1)));
        refused(k_anonymity_risk, json!({"group_sizes": [0]}));
    }
}

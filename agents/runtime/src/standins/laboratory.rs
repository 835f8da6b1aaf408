//! What do the formulas of the test bench, the oven and the laboratory say?

use quorate_core::Result;
use serde_json::{Value, json};

use super::distribution::t_quantile;
use super::given::{Given, wrong};
use super::numbers::{list, number};

/// The analytical evaluation threshold of an extract in micrograms a millilitre: DBT A / (B C UF), with the threshold of a
/// dose, devices extracted, volume, devices a day and the uncertainty factor (ISO 10993-18:2020, annex E).
/// Errors: `tool_arguments` for numbers of 0 or less, a factor below 1.
pub(super) fn analytical_evaluation_threshold(given: Given<'_>) -> Result<Value> {
    let dose = given.positive("dose_based_threshold_ug_per_day")?;
    let (devices, volume) = (given.positive("devices_extracted")?, given.positive("extract_volume_ml")?);
    let (a_day, factor) = (given.positive("devices_per_day")?, given.number("uncertainty_factor")?);
    if factor < 1.0 {
        return Err(wrong("uncertainty_factor is below 1"));
    }
    Ok(json!({"threshold_ug_ml": number(dose * devices / (volume * a_day * factor))}))
}

/// How many days in the oven stand for a time on the shelf: shelf life / Q10^((oven - storage) / 10) (ASTM F1980, after
/// van 't Hoff 1884). Errors: `tool_arguments` for an oven that is not warmer than the shelf, a Q10 of 1 or less.
pub(super) fn accelerated_ageing(given: Given<'_>) -> Result<Value> {
    let shelf = given.positive("shelf_life_days")?;
    let (oven, storage) = (given.number("oven_celsius")?, given.number("storage_celsius")?);
    let q10 = given.number_or("q10", 2.0)?;
    if q10 <= 1.0 || oven <= storage {
        return Err(wrong("expected an oven that is warmer than the storage, and a q10 above 1"));
    }
    let factor = q10.powf((oven - storage) / 10.0);
    Ok(json!({"ageing_factor": number(factor), "oven_days": number(shelf / factor), "q10": number(q10)}))
}

/// Organisms that survive a process: bioburden 10^(-exposure / D) (ISO 11135, annex B, after Chick 1908), and the
/// probability that there is at least one of them (Poisson 1837). Errors: `tool_arguments` for a bioburden or D of 0 or
/// less, a negative exposure.
pub(super) fn log_linear_kill(given: Given<'_>) -> Result<Value> {
    let (bioburden, d) = (given.positive("bioburden")?, given.positive("d_value")?);
    let reduction = given.amount("exposure")? / d;
    let survivors = bioburden * 10_f64.powf(-reduction);
    Ok(json!({
        "log_reduction": number(reduction),
        "survivors": number(survivors),
        "probability_not_sterile": number(-(-survivors).exp_m1()),
    }))
}

/// The gas constant in kJ/(mol K) (CODATA 2018).
const GAS: f64 = 8.314_462_618e-3;

/// The activation energy that is taken where none is given, in kJ/mol.
const ACTIVATION: f64 = 83.144;

/// 0 degrees Celsius in kelvins.
const KELVIN: f64 = 273.15;

/// The mean kinetic temperature of readings at equal intervals, in degrees Celsius: (H / R) / -ln(mean of exp(-H / (R T)))
/// (Haynes 1971). Errors: `tool_arguments` for no reading, one at absolute zero or below, an energy of 0 or less.
pub(super) fn mean_kinetic_temperature(given: Given<'_>) -> Result<Value> {
    let readings = given.numbers("celsius")?;
    let energy = given.number_or("activation_energy_kj_mol", ACTIVATION)?;
    if readings.is_empty() || readings.iter().any(|t| *t <= -KELVIN) || energy <= 0.0 {
        return Err(wrong("expected readings above -273.15 degrees, and an activation energy above 0"));
    }
    let scale = energy / GAS;
    // The warmest is taken out, so that nothing is too small for a float.
    let warmest = readings.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b)) + KELVIN;
    let sum: f64 = readings.iter().map(|t| (scale / warmest - scale / (t + KELVIN)).exp()).sum();
    let mean = scale / (scale / warmest - (sum / readings.len() as f64).ln()) - KELVIN;
    let least = readings.iter().fold(f64::INFINITY, |a, b| a.min(*b));
    Ok(json!({
        "mean_kinetic_celsius": number(mean),
        "mean_celsius": number(readings.iter().sum::<f64>() / readings.len() as f64),
        "least_celsius": number(least),
        "most_celsius": number(warmest - KELVIN),
    }))
}

/// The longest time that is looked at, in months.
const MOST_MONTHS: f64 = 1200.0;

/// The time at which the one-sided 95 percent confidence limit of the mean meets the limit of the specification (ICH Q1E,
/// 2003), by least squares, and the same held to twice the time tested and a year beyond it at most.
/// Errors: `tool_arguments` for lists of different length, fewer than 3 results, months that are all the same, another
/// direction.
pub(super) fn shelf_life_regression(given: Given<'_>) -> Result<Value> {
    let (months, results) = (given.numbers("months")?, given.numbers("results")?);
    let limit = given.number("limit")?;
    let falling = match given.text("direction")? {
        "falling" => true,
        "rising" => false,
        _ => return Err(wrong("direction is falling or rising")),
    };
    if months.len() != results.len() || months.len() < 3 || months.iter().any(|month| *month < 0.0) {
        return Err(wrong("expected as many results as months, at least 3, and no month below 0"));
    }
    let n = months.len() as f64;
    let (mean_x, mean_y) = (months.iter().sum::<f64>() / n, results.iter().sum::<f64>() / n);
    let spread: f64 = months.iter().map(|x| (x - mean_x).powi(2)).sum();
    if spread <= 0.0 {
        return Err(wrong("all months are the same"));
    }
    let both: f64 = months.iter().zip(&results).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = both / spread;
    let left: f64 =
        months.iter().zip(&results).map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum();
    let deviation = (left / (n - 2.0)).sqrt();
    let t = t_quantile(0.95, months.len() - 2);
    // How far the confidence limit is from the limit of the specification, on the good side.
    let room = |x: f64| {
        let line = mean_y + slope * (x - mean_x);
        let bound = t * deviation * (1.0 / n + (x - mean_x).powi(2) / spread).sqrt();
        if falling { line - bound - limit } else { limit - line - bound }
    };
    let tested = months.iter().fold(0.0_f64, |a, b| a.max(*b));
    // Room is concave in time, so that it ends once.
    let ends = if room(0.0) < 0.0 {
        Some(0.0)
    } else if room(MOST_MONTHS) >= 0.0 {
        None
    } else {
        let (mut low, mut high) = (0.0, MOST_MONTHS);
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            if room(middle) >= 0.0 { low = middle } else { high = middle }
        }
        Some(low)
    };
    let most = (2.0 * tested).min(tested + 12.0);
    Ok(json!({
        "months": ends.map_or(Value::Null, number),
        "months_within_extrapolation": number(ends.unwrap_or(most).min(most)),
        "slope_per_month": number(slope),
        "intercept": number(mean_y - slope * mean_x),
        "residual_sd": number(deviation),
    }))
}

/// The z-scores of control results, and which of the rules 1-2s (a warning), 1-3s, 2-2s, R-4s, 4-1s and 10-x they break, each
/// with the number of the result, from 1, at which it does (Westgard et al. 1981).
/// Errors: `tool_arguments` for no result, a deviation of 0 or less.
pub(super) fn westgard_rules(given: Given<'_>) -> Result<Value> {
    let results = given.numbers("results")?;
    let (mean, sd) = (given.number("mean")?, given.positive("sd")?);
    if results.is_empty() {
        return Err(wrong("results is empty"));
    }
    let z: Vec<f64> = results.iter().map(|result| (result - mean) / sd).collect();
    // All of the last so many are beyond a bound on one side.
    let all = |end: usize, many: usize, beyond: f64| {
        let Some(last) = (end + 1).checked_sub(many).and_then(|start| z.get(start..=end)) else {
            return false;
        };
        last.iter().all(|z| *z > beyond) || last.iter().all(|z| *z < -beyond)
    };
    let range = |end: usize| {
        let Some([a, b]) = end.checked_sub(1).and_then(|start| z.get(start..=end)) else { return false };
        a.max(*b) > 2.0 && a.min(*b) < -2.0
    };
    let rules: [(&str, &dyn Fn(usize) -> bool); 6] = [
        ("1-2s", &|i| all(i, 1, 2.0)),
        ("1-3s", &|i| all(i, 1, 3.0)),
        ("2-2s", &|i| all(i, 2, 2.0)),
        ("R-4s", &range),
        ("4-1s", &|i| all(i, 4, 1.0)),
        ("10-x", &|i| all(i, 10, 0.0)),
    ];
    let mut broken = Vec::new();
    for (rule, breaks) in rules {
        broken.extend((0..z.len()).filter(|i| breaks(*i)).map(|i| (rule, i)));
    }
    let reject = broken.iter().any(|(rule, _)| *rule != "1-2s");
    let broken: Vec<Value> =
        broken.into_iter().map(|(rule, i)| json!({"rule": rule, "result": i + 1})).collect();
    Ok(json!({"z": list(z), "broken": broken, "reject": reject}))
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{near, of, refused};
    use super::*;

    #[test]
    fn the_threshold_is_dose_by_volume() {
        let given = |factor: f64| {
            json!({
                "dose_based_threshold_ug_per_day": 120, "devices_extracted": 2, "extract_volume_ml": 20,
                "devices_per_day": 3, "uncertainty_factor": factor,
            })
        };
        // 120 * 2 / (20 * 3 * 2), by hand.
        assert_eq!(of(analytical_evaluation_threshold, given(2.0))["threshold_ug_ml"], 2);
        refused(analytical_evaluation_threshold, given(0.5));
    }

    #[test]
    fn a_year_takes_37_days_at_55_degrees() {
        // The example that laboratories print for ASTM F1980: 55 against 22 degrees, a factor of 9.85, 37 days.
        let year = of(
            accelerated_ageing,
            json!({"shelf_life_days": 365, "oven_celsius": 55, "storage_celsius": 22}),
        );
        near(&year["ageing_factor"], 9.85, 0.005);
        near(&year["oven_days"], 37.06, 0.01);
        refused(
            accelerated_ageing,
            json!({"shelf_life_days": 365, "oven_celsius": 20, "storage_celsius": 22}),
        );
    }

    #[test]
    fn twelve_d_values_leave_one_in_a_million_of_a_million() {
        let kill = of(log_linear_kill, json!({"bioburden": 1e6, "d_value": 1.5, "exposure": 18}));
        near(&kill["survivors"], 1e-6, 1e-15);
        near(&kill["probability_not_sterile"], 1e-6, 1e-11);
        near(
            &of(log_linear_kill, json!({"bioburden": 10, "d_value": 1, "exposure": 0}))["probability_not_sterile"],
            1.0,
            1e-4,
        );
        refused(log_linear_kill, json!({"bioburden": 10, "d_value": 0, "exposure": 1}));
    }

    #[test]
    fn warm_readings_count_for_more() {
        // (H / R) / -ln((e^-(H/RT1) + e^-(H/RT2)) / 2) with H / R = 10,000 K at 20 and 30 degrees, by hand: 26.26.
        let two = of(mean_kinetic_temperature, json!({"celsius": [20, 30]}));
        near(&two["mean_kinetic_celsius"], 26.26, 0.05);
        assert_eq!(two["mean_celsius"], 25);
        near(&of(mean_kinetic_temperature, json!({"celsius": [5, 5, 5]}))["mean_kinetic_celsius"], 5.0, 1e-8);
        refused(mean_kinetic_temperature, json!({"celsius": []}));
        refused(mean_kinetic_temperature, json!({"celsius": [-300]}));
    }

    #[test]
    fn the_shelf_life_is_where_the_confidence_limit_meets() {
        let given = |results: Value, direction: &str| json!({"months": [0, 3, 6, 9, 12], "results": results, "limit": 95, "direction": direction});
        // On a straight line the limit is met where the line meets it: 100 - 0.25 * 20 = 95.
        let line = of(shelf_life_regression, given(json!([100, 99.25, 98.5, 97.75, 97]), "falling"));
        near(&line["months"], 20.0, 1e-6);
        near(&line["slope_per_month"], -0.25, 1e-9);
        // With scatter it is met earlier.
        let results = json!([100.2, 99.05, 98.6, 97.65, 97.1]);
        let scattered = of(shelf_life_regression, given(results, "falling"));
        let x = scattered["months"].as_f64().unwrap();
        let (slope, start) =
            (scattered["slope_per_month"].as_f64().unwrap(), scattered["intercept"].as_f64().unwrap());
        let s = scattered["residual_sd"].as_f64().unwrap();
        // 2.353363 is the printed one-sided 95 percent point of Student's t with 3 degrees of freedom; Sxx is 90.
        let bound = start + slope * x - 2.353_363 * s * (0.2 + (x - 6.0).powi(2) / 90.0).sqrt();
        assert!((bound - 95.0).abs() < 1e-5 && x < 20.0, "{bound}, {x}");
        // It does not fall, and is held to a year beyond what was tested.
        let flat = of(shelf_life_regression, given(json!([100, 100, 100, 100, 100]), "falling"));
        assert_eq!((&flat["months"], &flat["months_within_extrapolation"]), (&Value::Null, &json!(24)));
        assert_eq!(of(shelf_life_regression, given(json!([96, 97, 98, 99, 100]), "rising"))["months"], 0);
        refused(shelf_life_regression, given(json!([1, 2]), "falling"));
        refused(shelf_life_regression, given(json!([1, 2, 3, 4, 5]), "level"));
    }

    #[test]
    fn control_rules_are_broken_where_they_should_be() {
        let broken = |z: &[f64]| -> Vec<String> {
            let answer = of(westgard_rules, json!({"results": z, "mean": 0, "sd": 1}));
            let name = |one: &Value| format!("{}@{}", one["rule"].as_str().unwrap(), one["result"]);
            answer["broken"].as_array().unwrap().iter().map(name).collect()
        };
        assert!(broken(&[0.5, -1.9, 1.0]).is_empty());
        assert_eq!(broken(&[2.1]), ["1-2s@1"]);
        assert_eq!(broken(&[0.0, -3.1]), ["1-2s@2", "1-3s@2"]);
        assert_eq!(broken(&[2.1, 2.2]), ["1-2s@1", "1-2s@2", "2-2s@2"]);
        assert_eq!(broken(&[2.1, -2.2]), ["1-2s@1", "1-2s@2", "R-4s@2"]);
        assert_eq!(broken(&[1.1, 1.2, 1.3, 1.4]), ["4-1s@4"]);
        assert_eq!(broken(&[0.1; 10]), ["10-x@10"]);
        let answer = of(westgard_rules, json!({"results": [106], "mean": 100, "sd": 2.5}));
        assert_eq!((&answer["z"], &answer["reject"]), (&json!([2.4]), &json!(false)));
        refused(westgard_rules, json!({"results": [], "mean": 0, "sd": 1}));
    }
}

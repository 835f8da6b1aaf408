//! What do the formulas of the bedside say?

use quorate_core::Result;
use serde_json::{Value, json};

use super::distribution::normal_above;
use super::given::{Given, wrong};
use super::numbers::number;

/// The corrected QT interval in milliseconds: QT / RR^(1/3) (Fridericia 1920) or QT / RR^(1/2) (Bazett 1920), with
/// RR = 60 / heart rate in seconds. Errors: `tool_arguments` for a QT or rate of 0 or less, another formula.
pub(super) fn qtc(given: Given<'_>) -> Result<Value> {
    let (qt, rate) = (given.positive("qt_ms")?, given.positive("heart_rate")?);
    let formula = given.text_or("formula", "fridericia")?;
    let rr = 60.0 / rate;
    let corrected = match formula {
        "fridericia" => qt / rr.cbrt(),
        "bazett" => qt / rr.sqrt(),
        _ => return Err(wrong("formula is fridericia or bazett")),
    };
    Ok(json!({"qtc_ms": number(corrected), "rr_s": number(rr), "formula": formula}))
}

/// The estimated glomerular filtration rate in ml/min per 1.73 m2 by CKD-EPI 2021 (Inker et al. 2021), of serum creatinine
/// in mg/dl, and its category by KDIGO 2024. Errors: `tool_arguments` for a creatinine of 0 or less, an age below 18, a
/// sex that is neither.
pub(super) fn ckd_epi_2021(given: Given<'_>) -> Result<Value> {
    let (creatinine, age) = (given.positive("creatinine_mg_dl")?, given.number("age")?);
    if age < 18.0 {
        return Err(wrong("age is below 18; the equation is for adults"));
    }
    let (kappa, alpha, factor) = match given.text("sex")? {
        "female" => (0.7, -0.241, 1.012),
        "male" => (0.9, -0.302, 1.0),
        _ => return Err(wrong("sex is female or male")),
    };
    let ratio = creatinine / kappa;
    let rate = 142.0 * ratio.min(1.0).powf(alpha) * ratio.max(1.0).powf(-1.2) * 0.9938_f64.powf(age) * factor;
    let categories = [(90.0, "G1"), (60.0, "G2"), (45.0, "G3a"), (30.0, "G3b"), (15.0, "G4")];
    let category = categories.iter().find(|(least, _)| rate >= *least).map_or("G5", |(_, name)| name);
    Ok(json!({"egfr_ml_min_1_73m2": number(rate), "category": category}))
}

/// Predicted FEV1 and FVC in litres of an adult by the equations of the ECSC (Quanjer et al. 1993), and the share that is
/// reached where they were measured. Errors: `tool_arguments` for an age outside the 18 to 70 years of those equations, a
/// height outside 100 to 250 cm.
pub(super) fn spirometry_ecsc(given: Given<'_>) -> Result<Value> {
    let (age, height) = (given.number("age")?, given.number("height_cm")?);
    if !(18.0..=70.0).contains(&age) {
        return Err(wrong("age is expected from 18 to 70 years, for which the equations were made"));
    }
    if !(100.0..=250.0).contains(&height) {
        return Err(wrong("height_cm is expected from 100 to 250"));
    }
    // Those of 18 to 25 are taken as 25.
    let (h, a) = (height / 100.0, age.max(25.0));
    let (fev1, fvc) = match given.text("sex")? {
        "male" => (4.30 * h - 0.029 * a - 2.49, 5.76 * h - 0.026 * a - 4.34),
        "female" => (3.95 * h - 0.025 * a - 2.60, 4.43 * h - 0.026 * a - 2.89),
        _ => return Err(wrong("sex is female or male")),
    };
    if fev1 <= 0.0 || fvc <= 0.0 {
        return Err(wrong("the equations give nothing for this height and age"));
    }
    let mut answer = json!({"fev1_predicted_l": number(fev1), "fvc_predicted_l": number(fvc)});
    for (name, predicted) in [("fev1", fev1), ("fvc", fvc)] {
        if given.has(name) {
            answer[format!("{name}_percent")] = number(100.0 * given.amount(name)? / predicted);
        }
    }
    if given.has("fev1") && given.has("fvc") {
        answer["fev1_to_fvc"] = number(given.amount("fev1")? / given.positive("fvc")?);
    }
    Ok(answer)
}

/// The z-score and percentile of a measurement from L, M and S of its chart (Cole and Green 1992):
/// ((value / M)^L - 1) / (L S), or ln(value / M) / S for L = 0. Errors: `tool_arguments` for a value, M or S of 0 or less.
pub(super) fn lms_z_score(given: Given<'_>) -> Result<Value> {
    let (value, m, s) = (given.positive("value")?, given.positive("m")?, given.positive("s")?);
    let l = given.number("l")?;
    let log = (value / m).ln();
    // exp_m1 keeps its digits where L is near 0.
    let z = if l == 0.0 { log / s } else { (l * log).exp_m1() / (l * s) };
    Ok(json!({"z": number(z), "percentile": number(100.0 * normal_above(-z))}))
}

/// The oral morphine a day that an opioid stands for, in milligrams, and the dose of another that stands for as much, less
/// a share, by the factors of the CDC's guideline of 2022. Errors: `tool_arguments` for an opioid that it does not name, a
/// dose of 0 or less, a reduction outside 0 to 0.75.
pub(super) fn morphine_equivalents(given: Given<'_>) -> Result<Value> {
    let factor = |name: &str| -> Result<f64> {
        Ok(match given.text(name)? {
            "oral morphine" => 1.0,
            "oral oxycodone" => 1.5,
            "oral hydromorphone" => 5.0,
            "oral codeine" => 0.15,
            "oral tramadol" => 0.2,
            "transdermal fentanyl" => 2.4,
            _ => return Err(wrong(format!("{name} is an opioid that the table of factors does not have"))),
        })
    };
    let (from, to) = (factor("from")?, factor("to")?);
    let (dose, reduction) = (given.positive("daily_dose")?, given.share("reduction")?);
    if reduction > 0.75 {
        return Err(wrong("reduction is expected from 0 to 0.75"));
    }
    let target = given.text("to")?;
    let unit = if target == "transdermal fentanyl" { "ug an hour" } else { "mg a day" };
    let morphine = dose * from;
    Ok(json!({
        "oral_morphine_mg_a_day": number(morphine),
        "new_opioid": target,
        "starting_dose": number(morphine * (1.0 - reduction) / to),
        "unit": unit,
        "says": "The factors are for judging exposure; a switch needs a clinician's judgement.",
    }))
}

/// Exposure after repeated oral doses in a model with one compartment, at steady state by superposition (Rowland and Tozer
/// 2011): average F dose / (CL interval), peak and trough in mg/l, the time of the peak, the half-life and the area over an
/// interval. Errors: `tool_arguments` for numbers of 0 or less, a bioavailability outside 0 to 1.
pub(super) fn one_compartment_oral(given: Given<'_>) -> Result<Value> {
    let (dose, interval) = (given.positive("dose_mg")?, given.positive("interval_h")?);
    let (clearance, volume) = (given.positive("clearance_l_h")?, given.positive("volume_l")?);
    let absorbed = given.share("bioavailability")? * dose;
    let elimination = clearance / volume;
    let mut absorption = given.positive("absorption_rate_h")?;
    // Where both rates are one, the formula divides nothing by nothing; beside it, it does not.
    if (absorption / elimination - 1.0).abs() < 1e-6 {
        absorption = elimination * (1.0 + 1e-6);
    }
    // What is left of all doses before, for each of the two exponentials.
    let (kept_e, kept_a) = (-(-elimination * interval).exp_m1(), -(-absorption * interval).exp_m1());
    let height = absorbed * absorption / (volume * (absorption - elimination));
    let at = |t: f64| height * ((-elimination * t).exp() / kept_e - (-absorption * t).exp() / kept_a);
    let peak = ((absorption * kept_e) / (elimination * kept_a)).ln() / (absorption - elimination);
    Ok(json!({
        "average_mg_l": number(absorbed / (clearance * interval)),
        "peak_mg_l": number(at(peak)),
        "peak_after_h": number(peak),
        "trough_mg_l": number(at(interval)),
        "half_life_h": number(std::f64::consts::LN_2 / elimination),
        "area_mg_h_l": number(absorbed / clearance),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{near, of, refused};
    use super::*;

    #[test]
    fn qt_is_corrected() {
        // 360 / (60 / 90)^(1/3) and 360 / (60 / 90)^(1/2), by hand.
        near(&of(qtc, json!({"qt_ms": 360, "heart_rate": 90}))["qtc_ms"], 412.1, 0.05);
        let bazett = json!({"qt_ms": 360, "heart_rate": 90, "formula": "bazett"});
        near(&of(qtc, bazett)["qtc_ms"], 440.9, 0.05);
        refused(qtc, json!({"qt_ms": 360, "heart_rate": 0}));
        refused(qtc, json!({"qt_ms": 360, "heart_rate": 60, "formula": "hodges"}));
    }

    #[test]
    fn filtration_is_that_of_the_published_calculator() {
        // The National Kidney Foundation's calculator gives 69 and 92 for 1.0 mg/dl at 50 years.
        let of_sex = |sex: &str| of(ckd_epi_2021, json!({"creatinine_mg_dl": 1.0, "age": 50, "sex": sex}));
        near(&of_sex("female")["egfr_ml_min_1_73m2"], 69.0, 0.5);
        near(&of_sex("male")["egfr_ml_min_1_73m2"], 92.0, 0.5);
        assert_eq!(of_sex("male")["category"], "G1");
        refused(ckd_epi_2021, json!({"creatinine_mg_dl": 1.0, "age": 17, "sex": "male"}));
    }

    #[test]
    fn spirometry_is_that_of_the_printed_equations() {
        let man =
            of(spirometry_ecsc, json!({"age": 40, "height_cm": 180, "sex": "male", "fev1": 3.0, "fvc": 4.0}));
        // 4.30 * 1.80 - 0.029 * 40 - 2.49 and 5.76 * 1.80 - 0.026 * 40 - 4.34.
        near(&man["fev1_predicted_l"], 4.09, 1e-9);
        near(&man["fvc_predicted_l"], 4.988, 1e-9);
        near(&man["fev1_percent"], 73.35, 0.01);
        near(&man["fev1_to_fvc"], 0.75, 1e-9);
        let young = |age: u32| of(spirometry_ecsc, json!({"age": age, "height_cm": 165, "sex": "female"}));
        assert_eq!(young(18), young(25));
        for age in [17, 71] {
            refused(spirometry_ecsc, json!({"age": age, "height_cm": 165, "sex": "female"}));
        }
    }

    #[test]
    fn growth_is_that_of_the_cdc_s_example() {
        // CDC growth charts: a boy of 9 months with 9.7 kg has a z-score of 0.207.
        let boy =
            of(lms_z_score, json!({"value": 9.7, "l": -0.160_095_4, "m": 9.476_500_305, "s": 0.112_186_24}));
        near(&boy["z"], 0.207, 5e-4);
        near(&boy["percentile"], 58.2, 0.05);
        // For L = 0 the logarithm: ln 2 / 0.5.
        near(&of(lms_z_score, json!({"value": 2, "l": 0, "m": 1, "s": 0.5}))["z"], 1.386_294_361, 1e-9);
        refused(lms_z_score, json!({"value": 0, "l": 1, "m": 1, "s": 1}));
    }

    #[test]
    fn opioids_are_those_of_the_printed_table() {
        let to = |from: &str, dose: f64, to: &str, reduction: f64| {
            of(
                morphine_equivalents,
                json!({"from": from, "daily_dose": dose, "to": to, "reduction": reduction}),
            )
        };
        // 25 ug an hour of fentanyl are 60 mg of oral morphine a day.
        let patch = to("transdermal fentanyl", 25.0, "oral oxycodone", 0.25);
        near(&patch["oral_morphine_mg_a_day"], 60.0, 1e-9);
        near(&patch["starting_dose"], 30.0, 1e-9);
        near(&to("oral hydromorphone", 12.0, "oral morphine", 0.0)["starting_dose"], 60.0, 1e-9);
        refused(
            morphine_equivalents,
            json!({"from": "oral morphine", "daily_dose": 10, "to": "methadone", "reduction": 0}),
        );
    }

    #[test]
    fn exposure_is_that_of_many_single_doses() {
        let given = json!({
            "dose_mg": 100, "interval_h": 12, "bioavailability": 0.8, "clearance_l_h": 4, "volume_l": 40,
            "absorption_rate_h": 1.0,
        });
        let exposure = of(one_compartment_oral, given.clone());
        near(&exposure["average_mg_l"], 80.0 / 48.0, 1e-9);
        near(&exposure["half_life_h"], 6.931_471_806, 1e-8);
        // Two hundred doses one after the other (the Bateman function, added up).
        let one = |t: f64| 80.0 / (40.0 * 0.9) * ((-0.1 * t).exp() - (-t).exp());
        let all = |t: f64| (0..200).map(|dose| one(t + 12.0 * f64::from(dose))).sum::<f64>();
        near(&exposure["trough_mg_l"], all(12.0), 1e-8);
        let after = exposure["peak_after_h"].as_f64().unwrap();
        near(&exposure["peak_mg_l"], all(after), 1e-8);
        assert!(all(after) >= all(after + 0.1) && all(after) >= all(after - 0.1));
        // Where absorption is as fast as elimination there is an answer too.
        let mut same = given;
        same["absorption_rate_h"] = json!(0.1);
        near(&of(one_compartment_oral, same)["average_mg_l"], 80.0 / 48.0, 1e-9);
    }
}

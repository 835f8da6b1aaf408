//! Which formula is meant?

use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value};

use super::given::Given;
use super::{clinical, dates, laboratory, money, plan, statistics, text, trade, trials};

/// A formula: a function of its arguments alone.
pub(super) type Formula = fn(Given<'_>) -> Result<Value>;

/// Every formula by its name.
pub(super) const FORMULAS: &[(&str, Formula)] = &[
    ("accelerated_ageing", laboratory::accelerated_ageing),
    ("add_days", dates::add_days),
    ("alpha_spending", trials::alpha_spending),
    ("analytical_evaluation_threshold", laboratory::analytical_evaluation_threshold),
    ("asp_payment", money::asp_payment),
    ("breach_deadlines", dates::breach_deadlines),
    ("ckd_epi_2021", clinical::ckd_epi_2021),
    ("cohen_kappa", statistics::cohen_kappa),
    ("column_totals", text::column_totals),
    ("coverage", plan::coverage),
    ("critical_path", plan::critical_path),
    ("describe", statistics::describe),
    ("flesch_kincaid", text::flesch_kincaid),
    ("funnel_z", statistics::funnel_z),
    ("gs1_check_digit", plan::gs1_check_digit),
    ("hours_times_rate", money::hours_times_rate),
    ("k_anonymity_risk", statistics::k_anonymity_risk),
    ("line_difference", text::line_difference),
    ("lms_z_score", clinical::lms_z_score),
    ("log_linear_kill", laboratory::log_linear_kill),
    ("markov_icer", money::markov_icer),
    ("mean_kinetic_temperature", laboratory::mean_kinetic_temperature),
    ("morphine_equivalents", clinical::morphine_equivalents),
    ("one_compartment_oral", clinical::one_compartment_oral),
    ("order_total", trade::order_total),
    ("poisson_stock", trials::poisson_stock),
    ("problem_discovery", trials::problem_discovery),
    ("qtc", clinical::qtc),
    ("rates_by_group", statistics::rates_by_group),
    ("reporting_odds_ratio", statistics::reporting_odds_ratio),
    ("sample_size_two_arms", trials::sample_size_two_arms),
    ("sentence_lengths", text::sentence_lengths),
    ("shelf_life_regression", laboratory::shelf_life_regression),
    ("spirometry_ecsc", clinical::spirometry_ecsc),
    ("success_run", trials::success_run),
    ("tax_in_gross", trade::tax_in_gross),
    ("u_chart", statistics::u_chart),
    ("visit_windows", dates::visit_windows),
    ("weighted_mean", money::weighted_mean),
    ("westgard_rules", laboratory::westgard_rules),
];

/// The numbers of a formula, with its source. Errors: `tool_arguments`; `internal` for a name that no formula has.
pub(super) fn calculate(
    formula: &str,
    source: &str,
    arguments: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let broken = || Error::new(Code::Internal, format!("there is no formula '{formula}'"));
    let (_, function) = FORMULAS.iter().find(|(name, _)| *name == formula).ok_or_else(broken)?;
    let Value::Object(mut answer) = function(Given(arguments))? else { return Err(broken()) };
    answer.insert("source".to_owned(), source.into());
    Ok(answer)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// What a formula gives.
    pub(crate) fn of(formula: Formula, arguments: Value) -> Value {
        formula(Given(arguments.as_object().unwrap())).unwrap_or_else(|error| panic!("{arguments}: {error}"))
    }

    /// Whether a number of an answer is near.
    pub(crate) fn near(found: &Value, expected: f64, within: f64) {
        let number = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
        assert!((number - expected).abs() <= within, "{number} is not {expected}");
    }

    /// Whether arguments are refused as they should be.
    pub(crate) fn refused(formula: Formula, arguments: Value) {
        match formula(Given(arguments.as_object().unwrap())) {
            Err(error) => assert_eq!(error.code(), Code::ToolArguments, "{arguments}"),
            Ok(answer) => panic!("{arguments} gave {answer}"),
        }
    }

    #[test]
    fn nothing_given_is_refused_by_every_formula() {
        for (name, formula) in FORMULAS {
            assert!(formula(Given(&Map::new())).is_err(), "{name}");
        }
    }

    #[test]
    fn an_answer_names_its_source() {
        let arguments = json!({"qt_ms": 400, "heart_rate": 60});
        let answer = calculate("qtc", "Bazett 1920", arguments.as_object().unwrap()).unwrap();
        assert_eq!((&answer["source"], &answer["qtc_ms"]), (&json!("Bazett 1920"), &json!(400)));
        assert_eq!(calculate("none", "", &Map::new()).unwrap_err().code(), Code::Internal);
    }

    /// Values of a schema, some of them odd; `turn` chooses.
    fn odd(schema: &Value, turn: &mut usize) -> Value {
        *turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = *turn >> 33;
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values[pick % values.len()].clone();
        }
        match schema["type"].as_str().unwrap_or_default() {
            "number" | "integer" => {
                let numbers =
                    [0.0, 1.0, -1.0, 0.5, 3.0, 250.0, 1e308, 5e-324, -1e308, 9e15, 0.999_999_999_999];
                json!(numbers[pick % numbers.len()])
            }
            "boolean" => json!(pick.is_multiple_of(2)),
            "string" => {
                let texts =
                    ["", "2024-02-29", "9999-12-31", "1234567", "a\nb\n\u{1f642}", "n,m\n1,2\n", "One. Two!"];
                json!(texts[pick % texts.len()])
            }
            "array" => (0..pick % 4).map(|_| odd(&schema["items"], turn)).collect(),
            _ => {
                let members = schema["properties"].as_object().into_iter().flatten();
                Value::Object(members.map(|(name, member)| (name.clone(), odd(member, turn))).collect())
            }
        }
    }

    #[test]
    fn odd_arguments_are_answered_or_refused() {
        let mut turn = 1;
        let mut answered = std::collections::BTreeSet::new();
        for tool in crate::standins::read::described().unwrap() {
            let crate::standins::read::StandIn::Calculator { formula, source } = &tool.stand_in else {
                continue;
            };
            for _ in 0..2000 {
                let arguments = odd(&tool.schema, &mut turn);
                match calculate(formula, source, arguments.as_object().unwrap()) {
                    Ok(_) => drop(answered.insert(formula.as_str())),
                    Err(error) => assert_eq!(error.code(), Code::ToolArguments, "{formula}: {arguments}"),
                }
            }
        }
        assert!(answered.len() > FORMULAS.len() / 2, "{answered:?}");
    }
}

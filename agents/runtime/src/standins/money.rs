//! What do fees, prices and models of cost come to?

use quorate_core::Result;
use serde_json::{Value, json};

use super::given::{Given, wrong};
use super::numbers::number;

/// A fee: rate * (hours + preparation + share * travel). Errors: `tool_arguments` for a negative number, a share outside
/// 0 to 1.
pub(super) fn hours_times_rate(given: Given<'_>) -> Result<Value> {
    let (rate, hours) = (given.amount("hourly_rate")?, given.amount("hours")?);
    let (preparation, travel) =
        (given.amount_or("preparation_hours", 0.0)?, given.amount_or("travel_hours", 0.0)?);
    let share = given.share_or("travel_share", TRAVEL)?;
    let paid = hours + preparation + share * travel;
    Ok(json!({"fee": number(rate * paid), "hours_paid": number(paid), "travel_share": number(share)}))
}

/// The share of the rate that is paid for travel where none is given.
const TRAVEL: f64 = 0.5;

/// Medicare's part of a payment under Part B.
const MEDICARE: f64 = 0.8;

/// What is paid for a unit of a drug of Part B: asp * (1 + add-on), of which Medicare pays 80 percent, to which alone the
/// sequestration applies (section 1847A of the Social Security Act, in force since 2005; sequestration since 2013).
/// Errors: `tool_arguments` for an ASP of 0 or less, an add-on or cost below 0, a sequestration outside 0 to 1.
pub(super) fn asp_payment(given: Given<'_>) -> Result<Value> {
    let asp = given.positive("asp")?;
    let (add_on, cut) = (given.amount_or("add_on", 0.06)?, given.share_or("sequestration", 0.02)?);
    let limit = asp * (1.0 + add_on);
    let paid = limit * (1.0 - MEDICARE * cut);
    let mut answer = json!({
        "payment_limit": number(limit),
        "patient_pays": number(limit * (1.0 - MEDICARE)),
        "medicare_pays": number(limit * MEDICARE * (1.0 - cut)),
        "provider_receives": number(paid),
        "add_on_after_sequestration": number(paid / asp - 1.0),
    });
    if given.has("acquisition_cost") {
        let cost = given.amount("acquisition_cost")?;
        answer["margin_without_sequestration"] = number(limit - cost);
        answer["margin"] = number(paid - cost);
    }
    Ok(answer)
}

/// sum of weight * score / sum of weights. Errors: `tool_arguments` for no score, a score outside 0 to 100, weights that are
/// negative or add up to 0.
pub(super) fn weighted_mean(given: Given<'_>) -> Result<Value> {
    let (mut sum, mut weights) = (0.0, 0.0);
    let mut lowest: Option<(f64, &str)> = None;
    for one in given.objects("scores")? {
        let (criterion, score, weight) =
            (one.text("criterion")?, one.amount("score")?, one.amount("weight")?);
        if score > 100.0 {
            return Err(wrong("a score is above 100"));
        }
        sum += weight * score;
        weights += weight;
        if weight > 0.0 && lowest.is_none_or(|(least, _)| score < least) {
            lowest = Some((score, criterion));
        }
    }
    let Some((_, lowest)) = lowest else { return Err(wrong("no score has a weight above 0")) };
    Ok(json!({"score": number(sum / weights), "lowest": lowest}))
}

/// Most cycles of a model.
const MOST_CYCLES: i64 = 1000;

/// One arm of the model, as its states and their worth add up.
struct Arm {
    cost: f64,
    qalys: f64,
    years: f64,
}

/// A cohort of one that begins well and moves yearly between well, ill and dead, in two arms, the comparator first
/// (Sonnenberg and Beck 1993). Who is in a state at the beginning of a year costs and gains what it is worth, discounted
/// by whole years from the first, without a correction by half a cycle. The ratio is the difference of cost by that of
/// QALYs. Errors: `tool_arguments` for other than two arms, cycles outside 1 to 1,000, probabilities outside 0 to 1 or
/// above it together, utilities above 1, a discount below 0.
pub(super) fn markov_icer(given: Given<'_>) -> Result<Value> {
    let (cycles, discount) = (given.whole("cycles", 1, MOST_CYCLES)?, given.amount_or("discount", 0.0)?);
    let arms = given.objects("arms")?;
    let [comparator, other] = arms.as_slice() else {
        return Err(wrong("expected two arms, the comparator first"));
    };
    let (before, after) = (arm(*comparator, cycles, discount)?, arm(*other, cycles, discount)?);
    let (cost, qalys) = (after.cost - before.cost, after.qalys - before.qalys);
    let verdict = if cost <= 0.0 && qalys >= 0.0 && (cost, qalys) != (0.0, 0.0) {
        "the second arm dominates: no dearer and no worse"
    } else if cost >= 0.0 && qalys <= 0.0 && (cost, qalys) != (0.0, 0.0) {
        "the second arm is dominated: no cheaper and no better"
    } else if (cost, qalys) == (0.0, 0.0) {
        "the arms are the same"
    } else if qalys > 0.0 {
        "the second arm costs more and gains more"
    } else {
        "the second arm costs less and gains less"
    };
    let told = |arm: &Arm| json!({"cost": number(arm.cost), "qalys": number(arm.qalys), "life_years": number(arm.years)});
    Ok(json!({
        "arms": [told(&before), told(&after)],
        "cost_difference": number(cost),
        "qaly_difference": number(qalys),
        "ratio": number(cost / qalys),
        "verdict": verdict,
    }))
}

fn arm(given: Given<'_>, cycles: i64, discount: f64) -> Result<Arm> {
    let (falls_ill, dies_well) = (given.share("p_ill")?, given.share("p_death_well")?);
    let dies_ill = given.share("p_death_ill")?;
    if falls_ill + dies_well > 1.0 {
        return Err(wrong("p_ill and p_death_well are above 1 together"));
    }
    let (cost_well, cost_ill) = (given.number("cost_well")?, given.number("cost_ill")?);
    let (utility_well, utility_ill) = (given.number("utility_well")?, given.number("utility_ill")?);
    if utility_well > 1.0 || utility_ill > 1.0 {
        return Err(wrong("a utility is above 1"));
    }
    let (mut well, mut ill, mut worth) = (1.0, 0.0, 1.0);
    let mut sum = Arm { cost: 0.0, qalys: 0.0, years: 0.0 };
    for _ in 0..cycles {
        sum.cost += worth * (well * cost_well + ill * cost_ill);
        sum.qalys += worth * (well * utility_well + ill * utility_ill);
        sum.years += worth * (well + ill);
        (well, ill) = (well * (1.0 - falls_ill - dies_well), ill * (1.0 - dies_ill) + well * falls_ill);
        worth /= 1.0 + discount;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{near, of, refused};
    use super::*;

    #[test]
    fn fees_are_hours_by_rate() {
        let fee = of(
            hours_times_rate,
            json!({"hourly_rate": 300, "hours": 2, "preparation_hours": 1, "travel_hours": 4, "travel_share": 0.5}),
        );
        assert_eq!((&fee["fee"], &fee["hours_paid"]), (&json!(1500), &json!(5)));
        refused(hours_times_rate, json!({"hourly_rate": -1, "hours": 2}));
    }

    #[test]
    fn sequestration_makes_six_percent_four_point_three() {
        let drug = of(asp_payment, json!({"asp": 100, "acquisition_cost": 103}));
        near(&drug["payment_limit"], 106.0, 1e-9);
        // MedPAC: ASP plus 6 percent is effectively ASP plus 4.3 percent.
        near(&drug["add_on_after_sequestration"], 0.043, 5e-5);
        near(&drug["provider_receives"], 104.304, 1e-9);
        near(&drug["patient_pays"], 21.2, 1e-9);
        near(&drug["medicare_pays"], 83.104, 1e-9);
        near(&drug["margin"], 1.304, 1e-9);
        refused(asp_payment, json!({"asp": 0}));
    }

    #[test]
    fn suppliers_are_weighed() {
        let scores = json!([
            {"criterion": "quality", "score": 90, "weight": 3}, {"criterion": "delivery", "score": 70, "weight": 1},
        ]);
        assert_eq!(of(weighted_mean, json!({"scores": scores})), json!({"score": 85, "lowest": "delivery"}));
        refused(weighted_mean, json!({"scores": [{"criterion": "a", "score": 1, "weight": 0}]}));
    }

    #[test]
    fn two_years_of_the_model_are_those_of_paper() {
        let arm = |p_ill: f64, cost: f64| {
            json!({
                "p_ill": p_ill, "p_death_well": 0.1, "p_death_ill": 0.5, "cost_well": cost, "cost_ill": 1000,
                "utility_well": 1.0, "utility_ill": 0.5,
            })
        };
        let model = |discount: f64| {
            of(
                markov_icer,
                json!({"cycles": 2, "discount": discount, "arms": [arm(0.4, 100.0), arm(0.2, 400.0)]}),
            )
        };
        let plain = model(0.0);
        // Year 2 has 0.5 well and 0.4 ill, or 0.7 and 0.2: 100 + 50 + 400 and 400 + 280 + 200; 1 + 0.7 and 1 + 0.8.
        assert_eq!(plain["arms"][0], json!({"cost": 550, "qalys": 1.7, "life_years": 1.9}));
        assert_eq!(plain["arms"][1], json!({"cost": 880, "qalys": 1.8, "life_years": 1.9}));
        near(&plain["ratio"], 3300.0, 1e-6);
        // A discount of a quarter makes the second year worth 0.8.
        near(&model(0.25)["arms"][0]["cost"], 460.0, 1e-9);
        let same = of(markov_icer, json!({"cycles": 1, "arms": [arm(0.1, 1.0), arm(0.2, 1.0)]}));
        assert_eq!((&same["ratio"], &same["verdict"]), (&Value::Null, &json!("the arms are the same")));
        refused(markov_icer, json!({"cycles": 1, "arms": [arm(0.95, 1.0), arm(0.2, 1.0)]}));
        refused(markov_icer, json!({"cycles": 1, "arms": [arm(0.2, 1.0)]}));
    }
}

//! Which task is on the critical path, which requirement is covered, which digit comes last?

use std::collections::{HashMap, HashSet};

use quorate_core::{Result, shorten};
use serde_json::{Value, json};

use super::given::{Given, wrong};
use super::numbers::{list, number};

/// Most tasks of a plan.
const MOST_TASKS: usize = 10_000;

/// A path is critical where float is nothing but rounding.
const NO_FLOAT: f64 = 1e-9;

/// Early and late days, float and the critical path of linked tasks, from day 0 on (Kelley and Walker 1959). Errors:
/// `tool_arguments` for no task, two of one name, days below 0, a task that is not there, tasks that wait for one another.
pub(super) fn critical_path(given: Given<'_>) -> Result<Value> {
    let tasks = given.objects("tasks")?;
    let n = tasks.len();
    if n == 0 || n > MOST_TASKS {
        return Err(wrong(format!("there are {n} tasks, expected 1 to {MOST_TASKS}")));
    }
    let mut index = HashMap::with_capacity(n);
    let (mut names, mut days) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for (i, task) in tasks.iter().enumerate() {
        let name = task.text("name")?;
        if index.insert(name, i).is_some() {
            return Err(wrong(format!("two tasks are called '{}'", shorten(name))));
        }
        names.push(name);
        days.push(task.amount("days")?);
    }
    let (mut after, mut before) = (vec![Vec::new(); n], vec![0_usize; n]);
    for (i, task) in tasks.iter().enumerate() {
        let awaited: HashSet<&str> = task.texts("after")?.into_iter().collect();
        for name in awaited {
            let Some(&first) = index.get(name) else {
                return Err(wrong(format!(
                    "'{}' is after '{}', which is no task",
                    shorten(names[i]),
                    shorten(name)
                )));
            };
            after[first].push(i);
            before[i] += 1;
        }
    }
    // Kahn (1962), in the order of the list.
    let mut order: Vec<usize> = (0..n).filter(|i| before[*i] == 0).collect();
    let mut early = vec![0.0_f64; n];
    let mut at = 0;
    while let Some(&i) = order.get(at) {
        at += 1;
        for &next in &after[i] {
            early[next] = early[next].max(early[i] + days[i]);
            before[next] -= 1;
            if before[next] == 0 {
                order.push(next);
            }
        }
    }
    if let Some(i) = (0..n).find(|i| before[*i] > 0) {
        return Err(wrong(format!("tasks wait for one another, among them '{}'", shorten(names[i]))));
    }
    let end = (0..n).map(|i| early[i] + days[i]).fold(0.0, f64::max);
    let mut late = vec![0.0_f64; n];
    for &i in order.iter().rev() {
        late[i] = after[i].iter().map(|next| late[*next]).fold(end, f64::min) - days[i];
    }
    let critical = |i: usize| late[i] - early[i] <= NO_FLOAT * (1.0 + end);
    let told: Vec<Value> = (0..n)
        .map(|i| {
            json!({
                "name": names[i], "early": list([early[i], early[i] + days[i]]), "late": list([late[i], late[i] + days[i]]),
                "float": if critical(i) { json!(0) } else { number(late[i] - early[i]) },
            })
        })
        .collect();
    let mut path: Vec<usize> = order.into_iter().filter(|i| critical(*i)).collect();
    path.sort_by(|a, b| early[*a].total_cmp(&early[*b]));
    let path: Vec<&str> = path.into_iter().map(|i| names[i]).collect();
    Ok(json!({"days": number(end), "critical": path, "tasks": told}))
}

/// Requirements without a test, tests without a requirement, and the share that is covered (ISO 13485:2016, 7.3.2 e). Errors:
/// `tool_arguments` for no requirement.
pub(super) fn coverage(given: Given<'_>) -> Result<Value> {
    let mut seen = HashSet::new();
    let requirements: Vec<&str> =
        given.texts("requirements")?.into_iter().filter(|id| seen.insert(*id)).collect();
    if requirements.is_empty() {
        return Err(wrong("requirements is empty"));
    }
    let mut covered = HashSet::new();
    let (mut idle, mut unknown) = (Vec::new(), Vec::new());
    for test in given.objects("tests")? {
        let (id, covers) = (test.text("id")?, test.texts("covers")?);
        let known: Vec<&str> = covers.iter().copied().filter(|one| seen.contains(one)).collect();
        if known.is_empty() {
            idle.push(id);
        }
        for one in covers {
            if !seen.contains(one) && !unknown.contains(&one) && unknown.len() < MOST_TASKS {
                unknown.push(one);
            }
        }
        covered.extend(known);
    }
    let without: Vec<&str> = requirements.iter().copied().filter(|id| !covered.contains(id)).collect();
    Ok(json!({
        "covered_share": number(covered.len() as f64 / requirements.len() as f64),
        "requirements_without_test": without,
        "tests_without_requirement": idle,
        "unknown_requirements": unknown,
    }))
}

/// The check digit of a GTIN: weights 3 and 1 from the right, complement to ten (GS1 General Specifications, 7.9; 2024).
/// Errors: `tool_arguments` for anything but 7 or 11 to 13 digits.
pub(super) fn gs1_check_digit(given: Given<'_>) -> Result<Value> {
    let digits = given.text("digits")?;
    let values: Option<Vec<u32>> = digits.chars().take(20).map(|c| c.to_digit(10)).collect();
    let values = values
        .filter(|values| matches!(values.len(), 7 | 11..=13))
        .ok_or_else(|| wrong(format!("digits is '{}', expected 7 or 11 to 13 digits", shorten(digits))))?;
    let sum: u32 =
        values.iter().rev().zip([3, 1].into_iter().cycle()).map(|(value, weight)| value * weight).sum();
    let check = (10 - sum % 10) % 10;
    Ok(json!({"check_digit": check, "gtin": format!("{digits}{check}")}))
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{of, refused};
    use super::*;

    #[test]
    fn the_longest_way_is_critical() {
        let tasks = json!([
            {"name": "report", "days": 2, "after": ["test", "protocol"]}, {"name": "design", "days": 5},
            {"name": "build", "days": 10, "after": ["design"]}, {"name": "protocol", "days": 3, "after": ["design"]},
            {"name": "test", "days": 4, "after": ["build"]},
        ]);
        let plan = of(critical_path, json!({"tasks": tasks}));
        assert_eq!(
            (&plan["days"], &plan["critical"]),
            (&json!(21), &json!(["design", "build", "test", "report"]))
        );
        // The protocol may begin on any day from 5 to 16.
        assert_eq!(
            plan["tasks"][3],
            json!({"name": "protocol", "early": [5, 8], "late": [16, 19], "float": 11})
        );
        for tasks in [
            json!([]),
            json!([{"name": "a", "days": 1}, {"name": "a", "days": 1}]),
            json!([{"name": "a", "days": 1, "after": ["b"]}]),
            json!([{"name": "a", "days": 1, "after": ["b"]}, {"name": "b", "days": 1, "after": ["a"]}]),
            json!([{"name": "a", "days": -1}]),
        ] {
            refused(critical_path, json!({"tasks": tasks}));
        }
    }

    #[test]
    fn what_is_not_covered_is_named() {
        let matrix = of(
            coverage,
            json!({"requirements": ["R1", "R2", "R3", "R4"], "tests": [
                {"id": "T1", "covers": ["R1", "R2"]}, {"id": "T2", "covers": ["R9"]}, {"id": "T3", "covers": ["R1", "R4"]},
            ]}),
        );
        assert_eq!(
            matrix,
            json!({
                "covered_share": 0.75, "requirements_without_test": ["R3"], "tests_without_requirement": ["T2"],
                "unknown_requirements": ["R9"],
            })
        );
        refused(coverage, json!({"requirements": [], "tests": []}));
    }

    #[test]
    fn check_digits_are_those_of_gs1() {
        // The example of GS1's own page on check digits: 6291041500213.
        let check = of(gs1_check_digit, json!({"digits": "629104150021"}));
        assert_eq!(check, json!({"check_digit": 3, "gtin": "6291041500213"}));
        for digits in ["", "12345678", "62910415002x", "99999999999999999999999"] {
            refused(gs1_check_digit, json!({"digits": digits}));
        }
    }
}

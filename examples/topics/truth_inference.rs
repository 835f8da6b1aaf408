//! What is true, when raters of unknown skill disagree? The majority, and who is right how often.

use std::error::Error;
use std::io::Write;

use quorate::consensus::truth::{EmOptions, Truth, dawid_skene, majority_vote};
use quorate::consensus::{Label, Ratings};

/// Four raters of eight cases. Three are mostly right; the last one says the opposite of what is true.
const ANSWERS: [(&str, [&str; 8]); 4] = [
    ("ann", ["yes", "no", "yes", "no", "yes", "no", "yes", "no"]),
    ("bob", ["yes", "no", "yes", "no", "yes", "no", "no", "no"]),
    ("cid", ["yes", "no", "yes", "yes", "yes", "no", "yes", "no"]),
    ("eve", ["no", "yes", "no", "yes", "no", "yes", "no", "yes"]),
];

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // Three columns: item, rater, value.
    let (mut items, mut raters, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (rater, answers) in ANSWERS {
        for (i, answer) in answers.into_iter().enumerate() {
            items.push(format!("case {i}"));
            raters.push(rater);
            values.push(answer);
        }
    }
    let data = Ratings::new(&items, &raters, &values)?;

    // Each vote counts the same.
    writeln!(out, "majority: {}", labels(&majority_vote(&data)?))?;

    // Dawid and Skene (1979): how each rater confuses the answers is estimated together with the truth. A rater who is
    // always wrong is as informative as one who is always right.
    let truth = dawid_skene(&data, &EmOptions::default())?;
    writeln!(out, "inferred: {}", labels(&truth))?;
    for (rater, skill) in truth.raters.iter().zip(&truth.skills) {
        writeln!(out, "{rater} is right with probability {skill:.3}")?;
    }

    // What is known for sure can be said: `gold`.
    let gold = vec![(Label::from("case 6"), Label::from("no"))];
    let known = dawid_skene(&data, &EmOptions { gold, ..EmOptions::default() })?;
    writeln!(out, "with a known case: {}", known.labels[6])?;
    Ok(())
}

fn labels(truth: &Truth) -> String {
    truth.labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

//! What does a member say that has no language model?
//!
//! It gives sentences of the sources and chooses by them; where they do not tell, it abstains. It makes no case, proposes nothing
//! and judges nobody.

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Result};
use serde_json::{Map, Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::machine::Machine;
use super::options::BallotForm;
use super::protocol::socratic;
use super::stage::{Ask, What};
use crate::evidence::Passage;
use crate::extractive::{ExtractOptions, Extracted, Verdict, check, extract};

/// The share of an option's words that a sentence must have to speak for it.
const NAMED: f64 = 0.6;

/// What an ask gets; `None`: nothing that the sources tell. Errors: `cancelled`, those of the embedder.
pub(crate) fn answer(
    machine: &Machine,
    ask: &Ask,
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Option<Value>> {
    let Some(spec) = machine.spec() else { return Ok(None) };
    let passages = machine.passages.as_deref().unwrap_or_default();
    if passages.is_empty() {
        return Ok(None);
    }
    if let What::Answer(_) = ask.what {
        return claims(machine, passages, embedder, cancel).map(Some);
    }
    let found = extract(&spec.question, passages, embedder, &ExtractOptions::default(), cancel)?;
    if found.citations.is_empty() {
        return Ok(None);
    }
    // Numbers of sources are those of the passages, not of the sentences.
    let reasons: Vec<Value> = found
        .citations
        .iter()
        .zip(&found.sentences)
        .map(|(citation, chosen)| json!({"text": citation.text, "citations": [chosen.passage + 1]}))
        .collect();
    match ask.what {
        What::Ballot => {}
        What::Speech(_) | What::Remark => {
            let text: Vec<&str> = found.citations.iter().map(|citation| citation.text.trim()).collect();
            let cited: Vec<usize> = found.sentences.iter().map(|chosen| chosen.passage + 1).collect();
            return Ok(Some(json!({"text": text.join(" "), "citations": cited})));
        }
        _ => return Ok(None),
    }
    let mut options = spec.options.clone();
    options.sort();
    let chosen = |options: &[String]| choose(&spec.question, options, &found, embedder, cancel);
    let (field, position) = match spec.form {
        BallotForm::Text => {
            let words: Vec<&str> =
                found.citations.iter().take(1).map(|citation| citation.text.trim()).collect();
            ("position", Some(json!(words.join(" "))))
        }
        BallotForm::Number => ("number", number(&found, spec.scale).map(|number| json!(number))),
        BallotForm::Ratings => ("ratings", None),
        BallotForm::Choice => ("choice", chosen(&options)?.map(|option| json!(option))),
        BallotForm::Ranking => ("ranking", chosen(&options)?.map(|option| json!([option]))),
        BallotForm::Probability => {
            let option = chosen(&options)?;
            ("probability", option.map(|option| spread(&options, &option, found.confidence)))
        }
    };
    let Some(position) = position else { return Ok(None) };
    Ok(Some(json!({field: position, "confidence": found.confidence, "reasons": reasons})))
}

/// The option that the sentences speak for; `None` where they speak for none, or for several.
fn choose(
    question: &str,
    options: &[String],
    found: &Extracted,
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Option<String>> {
    if let Some(option) = yes_or_no(question, options, found, embedder, cancel)? {
        return Ok(Some(option));
    }
    // The best sentence first: one that names one option alone decides.
    for citation in &found.citations {
        let sentence = words(&citation.text);
        if sentence.iter().any(|word| NEGATIONS.contains(&word.as_str())) {
            continue;
        }
        let share = |option: &String| {
            let own = words(option);
            let named = own.iter().filter(|word| sentence.contains(word)).count();
            if own.is_empty() { 0.0 } else { named as f64 / own.len() as f64 }
        };
        let mut shares: Vec<(f64, &String)> = options.iter().map(|option| (share(option), option)).collect();
        shares.sort_by(|a, b| b.0.total_cmp(&a.0));
        match shares.as_slice() {
            [(first, option), (second, _), ..] if *first >= NAMED && first > second => {
                return Ok(Some((*option).clone()));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Words by which a sentence may say the opposite of what it names.
const NEGATIONS: [&str; 8] = ["not", "no", "never", "neither", "nor", "without", "cannot", "unless"];

/// Of the options yes and no the one that the sentences say, by turning the question into a statement: "Is X safe?" is "X is
/// safe". What they neither say nor deny is not decided.
fn yes_or_no(
    question: &str,
    options: &[String],
    found: &Extracted,
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Option<String>> {
    let of = |word: &str| options.iter().find(|option| option.trim().eq_ignore_ascii_case(word)).cloned();
    let (Some(yes), Some(no), Some(statements)) = (of("yes"), of("no"), statements(question)) else {
        return Ok(None);
    };
    let passages: Vec<Passage> = found.citations.iter().map(Passage::from).collect();
    let (mut said, mut denied) = (false, false);
    for statement in statements {
        for one in check(&statement, &passages, embedder, cancel)? {
            said |= one.verdict == Verdict::Supported;
            denied |= one.verdict == Verdict::Contradicted;
        }
    }
    Ok(match (said, denied) {
        (true, false) => Some(yes),
        (false, true) => Some(no),
        _ => None,
    })
}

/// The statements that a question may ask for; `None` where it is not one of yes or no.
fn statements(question: &str) -> Option<Vec<String>> {
    let question = question.trim().trim_end_matches('?').trim();
    let (verb, rest) = question.split_once(' ')?;
    let verb = verb.to_lowercase();
    if matches!(verb.as_str(), "does" | "do" | "did") {
        return Some(vec![format!("{rest}.")]);
    }
    const VERBS: [&str; 11] =
        ["is", "are", "was", "were", "can", "may", "must", "should", "will", "has", "have"];
    if !VERBS.contains(&verb.as_str()) {
        return None;
    }
    // Where the subject ends is not known: each place is tried, of which one reads as a statement.
    let words: Vec<&str> = rest.split_whitespace().collect();
    let upto = words.len().min(MOST_SUBJECT);
    let at = |end: usize| format!("{} {verb} {}.", words[..end].join(" "), words[end..].join(" "));
    Some((1..upto.max(1)).map(at).collect())
}

/// Most words of a subject.
const MOST_SUBJECT: usize = 8;

/// The one number on the scale that the best sentence with any names.
fn number(found: &Extracted, scale: Option<(f64, f64)>) -> Option<f64> {
    for citation in &found.citations {
        let mut numbers: Vec<f64> = citation
            .text
            .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';' | ':'))
            .filter_map(|word| {
                word.trim_matches(|c: char| !c.is_ascii_digit() && c != '-').parse::<f64>().ok()
            })
            .filter(|x| x.is_finite() && scale.is_none_or(|(low, high)| (low..=high).contains(x)))
            .collect();
        numbers.dedup();
        match numbers.as_slice() {
            [] => continue,
            [one] => return Some(*one),
            _ => return None,
        }
    }
    None
}

/// The confidence on one option, the rest even.
fn spread(options: &[String], option: &str, confidence: f64) -> Value {
    let confidence = confidence.max(1.0 / options.len() as f64);
    let rest = (1.0 - confidence) / (options.len() - 1).max(1) as f64;
    let each =
        options.iter().map(|name| (name.clone(), json!(if name == option { confidence } else { rest })));
    Value::Object(each.collect::<Map<String, Value>>())
}

/// What the sources say of each claim.
fn claims(
    machine: &Machine,
    passages: &[Passage],
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Value> {
    let mut marks = Vec::new();
    for claim in socratic::claims(machine) {
        let checks = check(&claim.text, passages, embedder, cancel)?;
        let any = |verdict: Verdict| checks.iter().any(|one| one.verdict == verdict);
        let states = checks.iter().filter(|one| one.verdict != Verdict::NotAClaim).count();
        let all =
            states > 0 && checks.iter().filter(|one| one.verdict == Verdict::Supported).count() == states;
        let cited: Vec<u64> = checks
            .iter()
            .filter_map(|one| one.evidence.as_ref())
            .filter_map(|evidence| evidence.marker.trim_matches(['[', ']']).parse().ok())
            .collect();
        let status = match (all, any(Verdict::Contradicted)) {
            (_, true) => "conceded",
            (true, false) => "supported",
            _ => "open",
        };
        marks.push(json!({"claim": claim.number, "status": status, "citations": cited}));
    }
    Ok(json!({"text": "Each claim was looked up in the sources.", "claims": marks}))
}

fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, question: &str) -> Extracted {
        let passage =
            Passage { doc_id: "d".into(), text: text.into(), end: text.len(), ..Passage::default() };
        extract(question, &[passage], None, &ExtractOptions::default(), &Cancel::new()).unwrap()
    }

    fn chosen(text: &str, question: &str, options: &[&str]) -> Option<String> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        choose(question, &options, &found(text, question), None, &Cancel::new()).unwrap()
    }

    #[test]
    fn an_option_is_chosen_where_the_sentences_name_it() {
        let text = "The first-line drug for type 2 diabetes is metformin. Store it in a dry place.";
        let question = "Which is the first-line drug for type 2 diabetes?";
        assert_eq!(chosen(text, question, &["insulin", "metformin"]).as_deref(), Some("metformin"));
        assert_eq!(chosen(text, question, &["insulin", "sitagliptin"]), None);
        let denied = "The first-line drug for type 2 diabetes is not insulin.";
        assert_eq!(chosen(denied, question, &["insulin", "metformin"]), None);
    }

    #[test]
    fn yes_and_no_are_what_the_sentences_say() {
        let question = "Is metformin safe in severe kidney disease?";
        let options = ["yes", "no"];
        let no = chosen("Metformin is not safe in severe kidney disease.", question, &options);
        let yes = chosen("Metformin is safe in severe kidney disease.", question, &options);
        assert_eq!((yes.as_deref(), no.as_deref()), (Some("yes"), Some("no")));
        assert_eq!(chosen("Metformin lowers blood glucose in kidney disease.", question, &options), None);
    }

    #[test]
    fn of_several_numbers_none_is_taken() {
        let question = "What is the starting dose of metformin in mg?";
        assert_eq!(number(&found("The starting dose of metformin is 500 mg.", question), None), Some(500.0));
        assert_eq!(number(&found("The starting dose of metformin is 500 or 850 mg.", question), None), None);
        assert_eq!(
            number(&found("The starting dose of metformin is 500 mg.", question), Some((1.0, 9.0))),
            None
        );
    }
}

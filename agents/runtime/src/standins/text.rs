//! How long are the sentences, what has changed between two texts, what do the columns add up to?

use quorate_core::Result;
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::given::{Given, wrong};
use super::numbers::number;

/// Longest text, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// The words of a sentence from which on it is long.
const LONG: usize = 25;

/// How many sentences are shown, and the most of each that is.
const SHOWN: usize = 5;
const SHOWN_CHARS: usize = 300;

/// The grade of an English text: 0.39 words / sentences + 11.8 syllables / words - 15.59 (Kincaid et al. 1975), with its
/// longest sentences. Words and sentences are those of Unicode Standard Annex 29; syllables are runs of vowels, without a
/// silent e at the end. Errors: `tool_arguments` for a text without words, or of more than 1 MiB.
pub(super) fn flesch_kincaid(given: Given<'_>) -> Result<Value> {
    let sentences = sentences(given)?;
    let words: usize = sentences.iter().map(|(_, words)| words.len()).sum();
    let syllables: usize = sentences.iter().flat_map(|(_, words)| words).map(|word| syllables(word)).sum();
    let grade = 0.39 * words as f64 / sentences.len() as f64 + 11.8 * syllables as f64 / words as f64 - 15.59;
    Ok(json!({
        "grade": number((grade * 100.0).round() / 100.0),
        "words": words,
        "sentences": sentences.len(),
        "syllables": syllables,
        "longest": longest(&sentences, 0),
    }))
}

/// Mean words of a sentence and letters of a word, and the sentences of more than 25 words. Words and sentences are those of
/// Unicode Standard Annex 29 (2024). Errors: as of [`flesch_kincaid`].
pub(super) fn sentence_lengths(given: Given<'_>) -> Result<Value> {
    let sentences = sentences(given)?;
    let words: usize = sentences.iter().map(|(_, words)| words.len()).sum();
    let letters: usize = sentences.iter().flat_map(|(_, words)| words).map(|word| word.chars().count()).sum();
    Ok(json!({
        "sentences": sentences.len(),
        "words": words,
        "words_per_sentence": number(words as f64 / sentences.len() as f64),
        "letters_per_word": number(letters as f64 / words as f64),
        "long_sentences": sentences.iter().filter(|(_, words)| words.len() > LONG).count(),
        "longest": longest(&sentences, LONG + 1),
    }))
}

/// The sentences that have words, with them.
fn sentences(given: Given<'_>) -> Result<Vec<(&str, Vec<&str>)>> {
    let text = given.text("text")?;
    if text.len() > MOST_BYTES {
        return Err(wrong(format!("text has {} bytes, {MOST_BYTES} are possible", text.len())));
    }
    let found: Vec<(&str, Vec<&str>)> = text
        .unicode_sentences()
        .map(|sentence| (sentence.trim(), sentence.unicode_words().collect::<Vec<_>>()))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    if found.is_empty() { Err(wrong("text has no words")) } else { Ok(found) }
}

/// The longest sentences of at least so many words.
fn longest(sentences: &[(&str, Vec<&str>)], least: usize) -> Value {
    let mut long: Vec<&(&str, Vec<&str>)> =
        sentences.iter().filter(|(_, words)| words.len() >= least).collect();
    long.sort_by_key(|(_, words)| std::cmp::Reverse(words.len()));
    long.into_iter()
        .take(SHOWN)
        .map(|(sentence, words)| {
            let shown: String = sentence.chars().take(SHOWN_CHARS).collect();
            json!({"words": words.len(), "sentence": shown})
        })
        .collect()
}

/// The syllables of an English word, about.
fn syllables(word: &str) -> usize {
    let letters: Vec<char> = word.to_lowercase().chars().filter(|c| c.is_alphabetic()).collect();
    let vowel = |c: &char| "aeiouyäöüéèêáàâíîóôúû".contains(*c);
    let runs =
        letters.iter().enumerate().filter(|(i, c)| vowel(c) && !(*i > 0 && vowel(&letters[i - 1]))).count();
    // A silent e: `time`, not `table` nor `the`.
    let silent = match letters.as_slice() {
        [.., before, last, 'e'] => !vowel(last) && (*last != 'l' || vowel(before)),
        _ => false,
    };
    runs.saturating_sub(usize::from(silent && runs > 1)).max(1)
}

/// Most steps of a comparison of lines.
const MOST_STEPS: usize = 16_000_000;

/// What was added and removed, line by line, by the longest common subsequence (Hunt and McIlroy 1976). Errors:
/// `tool_arguments` for texts of which too many lines differ.
pub(super) fn line_difference(given: Given<'_>) -> Result<Value> {
    let before: Vec<&str> = given.text("before")?.lines().collect();
    let after: Vec<&str> = given.text("after")?.lines().collect();
    let same_start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - same_start;
    let same_end = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let old = &before[same_start..before.len() - same_end];
    let new = &after[same_start..after.len() - same_end];
    if old.len().saturating_mul(new.len()) > MOST_STEPS {
        return Err(wrong(format!(
            "{} and {} lines differ, which are too many to compare",
            old.len(),
            new.len()
        )));
    }
    // lengths[i][j]: the longest common subsequence of what is left from line i and j on.
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut changes) = (0, 0, Vec::new());
    let (mut added, mut removed) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len()
            && (j == new.len() || lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
        {
            changes.push(json!({"change": "removed", "line": same_start + i + 1, "text": old[i]}));
            (i, removed) = (i + 1, removed + 1);
        } else {
            changes.push(json!({"change": "added", "line": same_start + j + 1, "text": new[j]}));
            (j, added) = (j + 1, added + 1);
        }
    }
    Ok(json!({"added": added, "removed": removed, "changes": changes}))
}

/// Most cells of a table.
const MOST_CELLS: usize = 100_000;

/// The total of each column of numbers of a table (RFC 4180, Shafranovich 2005), and what percentage of it each row has. A
/// column has numbers where each cell that is not empty is one. Errors: `tool_arguments` for a text that is no table with a
/// header, has rows of different length, or more than 100,000 cells.
pub(super) fn column_totals(given: Given<'_>) -> Result<Value> {
    let text = given.text("csv")?;
    if text.len() > MOST_BYTES {
        return Err(wrong(format!("csv has {} bytes, {MOST_BYTES} are possible", text.len())));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let no_table = |error: csv::Error| wrong(format!("csv is no table: {error}"));
    let names: Vec<String> = reader.headers().map_err(no_table)?.iter().map(str::to_owned).collect();
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    let mut cells = 0;
    for row in reader.records() {
        let row = row.map_err(no_table)?;
        cells += row.len();
        if cells > MOST_CELLS {
            return Err(wrong(format!("csv has more than {MOST_CELLS} cells")));
        }
        row.iter().zip(&mut columns).for_each(|(cell, column)| column.push(cell.to_owned()));
    }
    if cells == 0 {
        return Err(wrong("csv has no row beneath its header"));
    }
    let rows = columns.first().map_or(0, Vec::len);
    let mut told = Vec::new();
    for (name, column) in names.iter().zip(&columns) {
        let numbers: Option<Vec<Option<f64>>> = column
            .iter()
            .map(|cell| match cell.as_str() {
                "" => Some(None),
                cell => cell.parse::<f64>().ok().filter(|x| x.is_finite()).map(Some),
            })
            .collect();
        let Some(numbers) = numbers.filter(|numbers| numbers.iter().any(Option::is_some)) else { continue };
        let total: f64 = numbers.iter().flatten().sum();
        let percent = |x: &Option<f64>| x.map_or(Value::Null, |x| number(100.0 * x / total));
        told.push(json!({
            "name": name, "total": number(total), "percent": numbers.iter().map(percent).collect::<Vec<_>>(),
        }));
    }
    Ok(json!({"rows": rows, "columns": told}))
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{near, of, refused};
    use super::*;

    #[test]
    fn grades_are_those_of_the_formula() {
        // One sentence of 6 words and 6 syllables: 0.39 * 6 + 11.8 - 15.59.
        near(&of(flesch_kincaid, json!({"text": "The cat sat on the mat."}))["grade"], -1.45, 1e-9);
        // Two sentences, 8 words, 16 syllables: 0.39 * 4 + 11.8 * 2 - 15.59 = 9.57.
        let text = "Patients receive medication daily. Physicians monitor every result.";
        let grade = of(flesch_kincaid, json!({"text": text}));
        assert_eq!((&grade["words"], &grade["sentences"]), (&json!(8), &json!(2)));
        near(&grade["grade"], 1.56 + 11.8 * grade["syllables"].as_f64().unwrap() / 8.0 - 15.59, 0.005);
        for (word, expected) in [
            ("time", 1),
            ("table", 2),
            ("the", 1),
            ("medication", 4),
            ("result", 2),
            ("daily", 2),
            ("tree", 1),
            ("x", 1),
        ] {
            assert_eq!(syllables(word), expected, "{word}");
        }
        refused(flesch_kincaid, json!({"text": " ... "}));
    }

    #[test]
    fn long_sentences_are_named() {
        let long = ["Word"; 26].join(" ") + ".";
        let lengths = of(sentence_lengths, json!({"text": format!("Two words. {long}")}));
        assert_eq!((&lengths["sentences"], &lengths["long_sentences"]), (&json!(2), &json!(1)));
        assert_eq!(
            (&lengths["words_per_sentence"], &lengths["longest"][0]["words"]),
            (&json!(14), &json!(26))
        );
        near(&lengths["letters_per_word"], 112.0 / 28.0, 1e-9);
    }

    #[test]
    fn lines_are_compared() {
        let compared = |before: &str, after: &str| {
            let answer = of(line_difference, json!({"before": before, "after": after}));
            let one = |c: &Value| {
                format!("{}{}{}", c["change"].as_str().unwrap(), c["line"], c["text"].as_str().unwrap())
            };
            answer["changes"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(compared("a\nb\nc", "a\nx\nc\nd"), ["removed2b", "added2x", "added4d"]);
        assert_eq!(compared("a\na", "a"), ["removed2a"]);
        assert!(compared("", "").is_empty() && compared("a\nb", "a\nb").is_empty());
        assert_eq!(compared("", "a"), ["added1a"]);
        // The example of Hunt and McIlroy 1976: a common subsequence of four of abcabba and cbabac.
        let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>().join("\n");
        assert_eq!(compared(&letters("abcabba"), &letters("cbabac")).len(), 5);
        let many = |c: &str| vec![c; 5000].join("\n");
        refused(line_difference, json!({"before": many("a"), "after": many("b")}));
    }

    #[test]
    fn columns_are_added_up() {
        let table = of(column_totals, json!({"csv": "arm,n,age\n\"a, old\",30,\nb,10,50\n"}));
        assert_eq!(
            table,
            json!({"rows": 2, "columns": [
                {"name": "n", "total": 40, "percent": [75, 25]}, {"name": "age", "total": 50, "percent": [null, 100]},
            ]})
        );
        for csv in ["", "a,b", "a,b\n1\n"] {
            refused(column_totals, json!({"csv": csv}));
        }
    }
}

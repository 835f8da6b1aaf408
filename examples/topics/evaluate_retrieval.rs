//! How good is a search? Judged questions, the usual measures, and whether a difference is more than luck.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use quorate::rag::eval::{Qrels, Run, compare, evaluate};
use quorate::rag::{Document, KnowledgeBase, Mode, OpenOptions, SearchOptions};

const TEXTS: [(&str, &str); 5] = [
    ("d1", "Metformin is contraindicated in severe renal failure."),
    ("d2", "Aspirin inhibits platelets and prolongs bleeding."),
    ("d3", "Insulin lowers blood sugar at once."),
    ("d4", "Contrast media can harm the kidneys."),
    ("d5", "The sky is blue on a clear day."),
];
const QUERIES: [(&str, &str); 3] = [
    ("q1", "kidneys and metformin"),
    ("q2", "drugs that make you bleed"),
    ("q3", "contrast scan and the kidney"),
];
/// What should be found: 2 is better than 1.
const JUDGED: [(&str, &str, i64); 4] = [("q1", "d1", 2), ("q1", "d4", 1), ("q2", "d2", 1), ("q3", "d4", 2)];

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    kb.add(TEXTS.iter().map(|(id, text)| Document::new(*id, *text)).collect())?;
    let mut judged = Qrels::new();
    for (query, document, grade) in JUDGED {
        judged.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
    }

    // A run says what was found, with scores.
    let search = |mode: Mode| -> quorate::Result<Run> {
        let options = SearchOptions { k: 5, mode, ..SearchOptions::default() };
        let mut run = BTreeMap::new();
        for ((query, _), hits) in
            QUERIES.iter().zip(kb.search_batch(&QUERIES.map(|(_, text)| text), &options)?)
        {
            let scores = hits.iter().map(|hit| (hit.doc_id().to_owned(), f64::from(hit.score())));
            run.insert((*query).to_owned(), scores.collect());
        }
        Ok(run)
    };
    let (hybrid, lexical) = (search(Mode::Hybrid)?, search(Mode::Lexical)?);

    // The measures are those of trec_eval; they are 1 at best.
    for (name, run) in [("hybrid", &hybrid), ("lexical", &lexical)] {
        let means = evaluate(run, &judged, &["ndcg@5", "recall@5", "mrr@5"])?.means;
        let told: Vec<String> = means.iter().map(|(metric, value)| format!("{metric} {value:.3}")).collect();
        writeln!(out, "{name}: {}", told.join(", "))?;
    }

    // Fisher's randomisation test: how often would chance give a difference as large? Three questions say little.
    let found = compare(&hybrid, &lexical, &judged, "ndcg@5", 0)?;
    let (wins, ties, losses) = (found.wins, found.ties, found.losses);
    writeln!(out, "wins {wins}, ties {ties}, losses {losses}; p = {:.2}", found.p_value)?;
    Ok(())
}

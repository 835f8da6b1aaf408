//! Which words must, may and must not occur? Phrases, beginnings of words and misspellings.

use std::error::Error;
use std::io::Write;

use quorate::rag::{
    Asking, Document, FuzzyAsked, KnowledgeBase, Lexical, Mode, OpenOptions, PhraseAsked, SearchOptions,
};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    kb.add(vec![
        Document::new("a", "Metformin is contraindicated in severe renal failure."),
        Document::new("b", "Metformin: the failure of renal function is rare in children (paediatric data)."),
        Document::new("c", "Nephropathy and nephrotoxic drugs."),
        Document::new("d", "Heart failure and aspirin."),
    ])?;

    let words = |text: &str| vec![Asking::Words(text.into())];
    let none = Lexical::default;
    let either = Lexical {
        should: vec![Asking::Words("aspirin".into()), Asking::Words("nephrotoxic".into())],
        ..none()
    };
    let within = PhraseAsked::Within { text: "failure renal".into(), slop: 1 };
    let queries = [
        ("all of these words", Lexical { must: words("metformin failure"), ..none() }),
        (
            "and none of these",
            Lexical { must: words("metformin failure"), must_not: words("paediatric"), ..none() },
        ),
        ("any of these", Lexical { should: words("aspirin nephropathy"), ..none() }),
        (
            "one after the other",
            Lexical { phrase: vec![PhraseAsked::Text("renal failure".into())], ..none() },
        ),
        ("with words between", Lexical { phrase: vec![within], ..none() }),
        ("beginning with", Lexical { prefix: vec!["nephro".into()], ..none() }),
        ("misspelt", Lexical { fuzzy: vec![FuzzyAsked::Word("asprin".into())], ..none() }),
        ("one or the other", Lexical { must: vec![Asking::Query(Box::new(either))], ..none() }),
    ];
    for (name, lexical) in queries {
        // What must and must not occur holds for the whole search, for its dense half too.
        let options =
            SearchOptions { mode: Mode::Lexical, lexical: Some(lexical.into()), ..SearchOptions::default() };
        let hits = kb.search("kidneys", &options)?;
        let mut ids: Vec<&str> = hits.iter().map(|hit| hit.doc_id()).collect();
        ids.sort_unstable();
        writeln!(out, "{name}: {}", ids.join(" "))?;
    }
    Ok(())
}

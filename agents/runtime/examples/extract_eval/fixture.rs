//! Which few documents and questions keep watch over the quality in the tests?

use std::collections::BTreeSet;

use quorate_core::embed::Embed;
use serde_json::{Map, Value, json};

use crate::collections::{Collection, Document, Question};

/// Where the fixture lies, from the root of the workspace.
const PATH: &str = "agents/runtime/tests/fixtures/extract_quality.json";

/// Claims of SciFact that take part.
const CLAIMS: usize = 45;

const CREDIT: &str = "Paragraphs and questions: XQuAD (Artetxe et al. 2020), CC BY-SA 4.0; the words that answer were \
marked for quorate. Claims: SciFact (Wadden et al. 2020), CC BY 4.0; abstracts: ODC-By 1.0.";

/// Writes documents of XQuAD and SciFact, questions with the documents that were retrieved for them among these, and
/// statements about XQuAD's paragraphs.
pub fn write(collections: &[Collection], retriever: &dyn Embed) {
    let (xquad, scifact) = (&collections[0], &collections[1]);
    let marked = |q: &&Question| !q.answers.is_empty();
    let mut questions: Vec<(&str, &Question)> = Vec::new();
    questions.extend(xquad.questions.iter().skip(1).step_by(2).filter(marked).map(|q| ("xquad", q)));
    questions.extend(scifact.questions.iter().skip(1).step_by(2).take(CLAIMS).map(|q| ("scifact", q)));
    let number = |id: &str| id.trim_start_matches('p').parse::<usize>().unwrap_or(0);
    let paragraphs = xquad.documents.iter().filter(|d| number(&d.id) % 6 == 3 || number(&d.id) % 12 == 1);
    let right: BTreeSet<&String> =
        questions[questions.len() - CLAIMS..].iter().flat_map(|q| &q.1.right).collect();
    let abstracts = scifact.documents.iter().filter(|d| right.contains(&d.id));
    let kept: BTreeSet<String> = paragraphs.chain(abstracts).map(|d| d.id.clone()).collect();
    let among = |collection: &Collection, question: &str| -> Vec<String> {
        let others =
            collection.documents.iter().map(|d| d.id.clone()).filter(|id| !kept.contains(id)).collect();
        let mut ids: Vec<String> = Vec::new();
        for passage in collection.retrieve(question, retriever, &others) {
            if !ids.contains(&passage.doc_id) {
                ids.push(passage.doc_id);
            }
        }
        ids
    };
    let mut documents = Map::new();
    for Document { id, title, text } in collections[..2].iter().flat_map(|c| &c.documents) {
        if kept.contains(id) {
            documents.insert(id.clone(), json!({"title": title, "text": text}));
        }
    }
    let questions: Vec<Value> = questions
        .iter()
        .map(|(name, q)| {
            let (own, foreign) = if *name == "xquad" { (xquad, scifact) } else { (scifact, xquad) };
            json!({
                "collection": name, "question": q.text, "right": q.right, "answers": q.answers,
                "own": among(own, &q.text), "foreign": among(foreign, &q.text),
            })
        })
        .collect();
    let claims: Vec<Value> = serde_json::from_str(crate::checking::CLAIMS).unwrap();
    let claims: Vec<Value> = claims
        .into_iter()
        .map(|mut claim| {
            claim["passages"] = json!(among(xquad, claim["claim"].as_str().unwrap()));
            claim
        })
        .collect();
    let lines = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
    let documents: Vec<String> = documents.iter().map(|(id, d)| format!("{}: {d}", json!(id))).collect();
    let all = format!(
        "{{\"credit\": {},\n\"documents\": {{\n{}\n}},\n\"questions\": [\n{}\n],\n\"claims\": [\n{}\n]}}\n",
        json!(CREDIT),
        documents.join(",\n"),
        lines(&questions),
        lines(&claims)
    );
    std::fs::write(PATH, all).unwrap();
}

//! Does a tenant see exactly what it would see alone, whatever the others do?

use std::collections::BTreeMap;

use crate::common::options;
use proptest::prelude::*;
use quorate_core::Code;
use quorate_rag::{
    ContextOptions, Document, Durability, Filter, GroupBy, KnowledgeBase, Mode, OpenOptions, SearchOptions,
};

#[derive(Clone, Debug)]
enum Change {
    Add(usize, u8, u8),
    Upsert(usize, u8, u8),
    Delete(usize, u8),
    DeleteWhere(usize, u8),
    Metadata(usize, u8, u8),
    Compact(usize),
    Reopen,
}

const TENANTS: [Option<&str>; 3] = [None, Some("acme"), Some("Zürich/..")];

fn change() -> impl Strategy<Value = Change> {
    let (tenant, id, word) = (0..TENANTS.len(), 0u8..12, 0u8..5);
    prop_oneof![
        4 => (tenant.clone(), id.clone(), word.clone()).prop_map(|(t, i, w)| Change::Add(t, i, w)),
        3 => (tenant.clone(), id.clone(), word.clone()).prop_map(|(t, i, w)| Change::Upsert(t, i, w)),
        2 => (tenant.clone(), id.clone()).prop_map(|(t, i)| Change::Delete(t, i)),
        1 => (tenant.clone(), word.clone()).prop_map(|(t, w)| Change::DeleteWhere(t, w)),
        1 => (tenant.clone(), id, word).prop_map(|(t, i, w)| Change::Metadata(t, i, w)),
        1 => tenant.prop_map(Change::Compact),
        1 => Just(Change::Reopen),
    ]
}

/// id -> (word of the text, word of the metadata)
type Model = BTreeMap<u8, (u8, u8)>;

fn document(tenant: usize, id: u8, (word, tag): (u8, u8)) -> Document {
    Document::new(format!("{id}"), format!("word{word} shared tenant{tenant} extra{}", id % 3))
        .metadata_field("tag", i64::from(tag))
}

fn handles(place: &str) -> (KnowledgeBase, Vec<KnowledgeBase>) {
    let kb =
        KnowledgeBase::open(place, OpenOptions { durability: Durability::Process, ..options() }).unwrap();
    let all = TENANTS.iter().map(|t| t.map_or(kb.clone(), |name| kb.tenant(name).unwrap())).collect();
    (kb, all)
}

/// What is read in other ways than by a search is of the tenant's own too.
fn every_other_verb(tenant: usize, kb: &KnowledgeBase, model: &Model) -> Result<(), TestCaseError> {
    let own = format!("tenant{tenant}");
    for id in 0..12 {
        match kb.get(&id.to_string()) {
            Ok(document) => prop_assert!(model.contains_key(&id) && document.text.contains(&own)),
            Err(error) => prop_assert!(!model.contains_key(&id) && error.code() == Code::UnknownId),
        }
    }
    for tag in 0..5 {
        let filter = Filter::parse(&format!("tag = {tag}")).unwrap();
        prop_assert_eq!(kb.count(Some(&filter)).unwrap(), model.values().filter(|(_, t)| *t == tag).count());
    }
    let context =
        kb.context("word1 shared", &ContextOptions { max_tokens: 400, ..Default::default() }).unwrap();
    for citation in &context.citations {
        let document = kb.get(&citation.doc_id).unwrap();
        prop_assert!(context.text.contains(&document.text[citation.start..citation.end]));
    }
    prop_assert!(context.text.matches("tenant").count() == context.text.matches(&own).count());
    let grouped = SearchOptions { group_by: Some(GroupBy::Doc), k: 20, ..SearchOptions::default() };
    let query = kb.embedder().unwrap().embed_query("word1 shared").unwrap();
    for hits in [
        kb.search("word1 shared", &grouped).unwrap(),
        kb.search_vector(&query, &grouped).unwrap(),
        kb.search_batch(&["word1 shared"], &grouped).unwrap().remove(0),
        kb.search_many(&["word1", "shared"], &grouped).unwrap(),
    ] {
        prop_assert_eq!(hits.len(), model.len());
        prop_assert!(hits.iter().all(|hit| hit.document_text().contains(&own)));
    }
    // The past is the tenant's own as well, and its versions are no business of the others.
    let versions = kb.versions().unwrap();
    for version in versions.iter().rev().take(2) {
        let past = kb.at(version.version).unwrap();
        for id in past.ids().unwrap() {
            prop_assert!(past.get(&id).unwrap().text.contains(&own));
        }
    }
    if let Some(newest) = versions.last() {
        prop_assert_eq!(kb.at(newest.version).unwrap().count(None).unwrap(), model.len());
    }
    prop_assert_eq!(kb.stats().unwrap().documents, model.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_tenant_notices_the_others(changes in prop::collection::vec(change(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap().to_owned();
        let (mut kb, mut tenants) = handles(&place);
        let mut models = vec![Model::new(); TENANTS.len()];
        for change in changes {
            match change {
                Change::Add(t, id, word) => {
                    let result = tenants[t].add(vec![document(t, id, (word, word))]);
                    match models[t].contains_key(&id) {
                        true => prop_assert_eq!(result.unwrap_err().code(), Code::DuplicateId),
                        false => { models[t].insert(id, (word, word)); prop_assert_eq!(result.unwrap().added, 1) }
                    }
                }
                Change::Upsert(t, id, word) => {
                    let report = tenants[t].upsert(vec![document(t, id, (word, word))]).unwrap();
                    let before = models[t].insert(id, (word, word));
                    let now = (report.added, report.replaced, report.unchanged);
                    prop_assert_eq!(now, match before {
                        None => (1, 0, 0),
                        Some(before) if before == (word, word) => (0, 0, 1),
                        Some(_) => (0, 1, 0),
                    });
                }
                Change::Delete(t, id) => {
                    let there = models[t].remove(&id).is_some();
                    prop_assert_eq!(tenants[t].delete(&[&id.to_string()]).unwrap(), usize::from(there));
                }
                Change::DeleteWhere(t, tag) => {
                    let gone = tenants[t].delete_where(&Filter::parse(&format!("tag = {tag}")).unwrap()).unwrap();
                    let before = models[t].len();
                    models[t].retain(|_, (_, other)| *other != tag);
                    prop_assert_eq!(gone, before - models[t].len());
                }
                Change::Metadata(t, id, tag) => {
                    let metadata = document(t, id, (0, tag)).metadata;
                    let result = tenants[t].update_metadata(&id.to_string(), metadata);
                    match models[t].get_mut(&id) {
                        Some(doc) => { doc.1 = tag; prop_assert!(result.is_ok()) }
                        None => prop_assert_eq!(result.unwrap_err().code(), Code::UnknownId),
                    }
                }
                Change::Compact(t) => tenants[t].compact().unwrap(),
                Change::Reopen => {
                    kb.close().unwrap();
                    (kb, tenants) = handles(&place);
                }
            }
        }
        for (t, model) in models.iter().enumerate() {
            let alone = tempfile::tempdir().unwrap();
            let (_, reference) = handles(alone.path().to_str().unwrap());
            let docs: Vec<Document> = model.iter().map(|(&id, &doc)| document(t, id, doc)).collect();
            reference[0].add(docs).unwrap();
            prop_assert_eq!(tenants[t].count(None).unwrap(), model.len());
            prop_assert_eq!(tenants[t].stats().unwrap().chunks, model.len());
            let mut ids = tenants[t].ids().unwrap();
            ids.sort_unstable_by_key(|id| id.parse::<u8>().unwrap());
            prop_assert_eq!(ids, model.keys().map(u8::to_string).collect::<Vec<_>>());
            let filter = Filter::parse("tag >= 2").unwrap();
            let some = tenants[t].ids_of(Some(&filter)).unwrap();
            prop_assert_eq!(some.len(), tenants[t].count(Some(&filter)).unwrap());
            for id in some {
                prop_assert!(tenants[t].get(&id).unwrap().metadata["tag"].as_i64() >= Some(2));
            }
            every_other_verb(t, &tenants[t], model)?;
            for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
                for filter in [None, Some(Filter::parse("tag >= 2").unwrap())] {
                    let options = SearchOptions { mode, filter, k: 20, ..SearchOptions::default() };
                    let results = |kb: &KnowledgeBase| {
                        let mut hits: Vec<(String, f32, String, String)> = kb
                            .search("word1 shared extra2", &options)
                            .unwrap()
                            .iter()
                            .map(|h| (h.doc_id().to_owned(), h.score(), h.text().to_owned(), format!("{:?}", h.explain().unwrap().lexical.map(|l| l.terms))))
                            .collect();
                        // Equal scores are in order of insertion, which differs here.
                        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                        hits
                    };
                    prop_assert_eq!(results(&tenants[t]), results(&reference[0]), "{:?}", mode);
                }
            }
        }
    }
}

//! Are values counted and documents listed as they are, however they are spread over segments?

use std::collections::BTreeMap;

use crate::common::open;
use quorate_core::Code;
use quorate_rag::{Document, Filter, KnowledgeBase, ListOptions, Sort, Value};
use serde_json::json;

fn spread(kb: &KnowledgeBase) -> BTreeMap<String, i64> {
    let mut years = BTreeMap::new();
    for i in 0..60 {
        let (id, year) = (format!("d{:02}", (i * 37) % 60), 2000 + (i * i) % 7);
        let mut document =
            Document::new(&id, format!("text {i}")).metadata_field("tags", json!([i % 2, "all"]));
        if i % 10 != 9 {
            document = document.metadata_field("year", year);
            years.insert(id, year);
        }
        kb.add(vec![document]).unwrap();
    }
    years
}

fn pages(kb: &KnowledgeBase, sort: Option<&str>, limit: usize, filter: Option<&str>) -> Vec<String> {
    let mut options = ListOptions {
        sort: sort.map(|sort| Sort::parse(sort).unwrap()),
        filter: filter.map(|filter| Filter::parse(filter).unwrap()),
        limit,
        ..ListOptions::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = kb.documents(&options).unwrap();
        assert!(page.documents.len() == limit || page.next.is_none());
        ids.extend(page.documents.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => options.after = Some(next),
            None => return ids,
        }
    }
}

#[test]
fn values_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let years = spread(&kb);
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    years.values().for_each(|year| *counts.entry(*year).or_default() += 1);
    let mut want: Vec<(Value, usize)> = counts.into_iter().map(|(year, n)| (Value::Int(year), n)).collect();
    want.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for _ in 0..2 {
        assert_eq!(kb.facets("year", None, 100).unwrap(), want);
        assert_eq!(kb.facets("year", None, 1).unwrap(), want[..1]);
        assert_eq!(
            kb.facets("tags", None, 9).unwrap(),
            [(Value::String("all".into()), 60), (Value::Int(0), 30), (Value::Int(1), 30)]
        );
        let odd = Filter::parse("tags CONTAINS 1").unwrap();
        assert_eq!(kb.facets("tags", Some(&odd), 9).unwrap().len(), 2);
        assert!(kb.facets("nothing", None, 9).unwrap().is_empty());
        let ends = (*years.values().min().unwrap(), *years.values().max().unwrap());
        assert_eq!(kb.min_max("year", None).unwrap(), Some((Value::Int(ends.0), Value::Int(ends.1))));
        assert_eq!(
            kb.min_max("id", None).unwrap(),
            Some((Value::String("d00".into()), Value::String("d59".into())))
        );
        assert_eq!(kb.min_max("nothing", None).unwrap(), None);
        assert_eq!(kb.min_max("tags", None).unwrap_err().code(), Code::FilterType);
        kb.compact().unwrap();
    }
    assert_eq!(kb.facets("year", None, 1 << 40).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn documents_are_listed_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let years = spread(&kb);
    let ids: Vec<String> = (0..60).map(|i| format!("d{i:02}")).collect();
    let mut rising = ids.clone();
    rising.sort_by_key(|id| (years.get(id).is_none(), years.get(id).copied(), id.clone()));
    let mut falling = ids.clone();
    falling.sort_by_key(|id| (years.get(id).is_none(), years.get(id).map(|year| -year), id.clone()));
    for limit in [1, 7, 60, 100] {
        assert_eq!(pages(&kb, None, limit, None), ids);
        assert_eq!(pages(&kb, Some("year"), limit, None), rising);
        assert_eq!(pages(&kb, Some("-year"), limit, None), falling);
        assert_eq!(pages(&kb, Some("id"), limit, None), ids);
        let some: Vec<String> =
            ids.iter().filter(|id| years.get(*id).is_some_and(|year| *year > 2001)).cloned().collect();
        assert_eq!(pages(&kb, None, limit, Some("year > 2001")), some);
    }
    // The page goes on behind its last document, also when that one is gone.
    let sort = Some(Sort::parse("-year").unwrap());
    let first =
        kb.documents(&ListOptions { sort: sort.clone(), limit: 5, ..ListOptions::default() }).unwrap();
    let last = first.documents[4].id.clone();
    assert_eq!(first.documents[0].text, kb.get(&first.documents[0].id).unwrap().text);
    kb.delete(&[&last]).unwrap();
    kb.compact().unwrap();
    let after = ListOptions { sort, limit: 5, after: first.next.clone(), ..ListOptions::default() };
    let second = kb.documents(&after).unwrap();
    let second: Vec<&str> = second.documents.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(second, falling[5..10]);
    for bad in [
        ListOptions { after: first.next, ..ListOptions::default() },
        ListOptions { after: Some("d03".into()), ..ListOptions::default() },
        ListOptions { limit: 0, ..ListOptions::default() },
        ListOptions { limit: 1 << 40, ..ListOptions::default() },
    ] {
        assert_eq!(kb.documents(&bad).unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn numbers_are_given_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    // All bits of a float64 by xorshift (Marsaglia 2003).
    let mut state = 88_172_645_463_325_252_u64;
    let mut values: Vec<f64> = Vec::new();
    while values.len() < 400 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values.extend(Some(f64::from_bits(state)).filter(|value| value.is_finite()));
    }
    let id = |i: usize| format!("d{i:03}");
    let documents = values.iter().enumerate();
    let documents = documents.map(|(i, value)| Document::new(id(i), "text").metadata_field("v", *value));
    kb.add(documents.collect()).unwrap();
    let mut rising: Vec<usize> = (0..values.len()).collect();
    rising.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let rising: Vec<String> = rising.into_iter().map(id).collect();
    for (i, value) in values.iter().enumerate() {
        assert_eq!(kb.get(&id(i)).unwrap().metadata["v"].as_f64(), Some(*value));
        assert_eq!(pages(&kb, None, 9, Some(&format!("v = {value:?}"))), [id(i)], "{value:?}");
    }
    // The end of a page is a number too.
    assert_eq!(pages(&kb, Some("v"), 7, None), rising);
}

//! The language against a row-by-row reading of its definition.

use super::RowSet;
use super::value::{compare_int_float, instant};
use super::*;
use crate::Code;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::cmp::Ordering;

fn rows() -> Vec<(&'static str, Json)> {
    vec![
        (
            "a",
            json!({"year": 2019, "kind": "label", "tags": ["fda", "ema"], "score": 0.5, "when": "2024-01-01T00:00:00Z"}),
        ),
        (
            "b",
            json!({"year": 2020, "kind": "guideline", "tags": [], "draft": true, "when": "2024-01-01T02:00:00+03:00"}),
        ),
        ("c", json!({"year": 2021.5, "kind": "note", "nested": {"deep": {"x": 1}}, "when": "2023-06-01"})),
        ("d", json!({"kind": null, "draft": false, "title": "inner"})),
        ("e", json!({"year": 2020, "kind": "it's 100%", "tags": ["fda"], "score": 3})),
    ]
}

fn columns() -> Columns {
    let mut columns = Columns::default();
    for (row, (id, metadata)) in (0..).zip(rows()) {
        let own = [("id", id), ("title", if id == "a" { "Metformin" } else { "Other" })];
        columns.push(row, own, metadata.as_object().unwrap());
    }
    columns
}

fn find(filter: &Filter) -> Result<String> {
    let found = columns().select(filter, &RowSet::full(5), false)?;
    Ok(found.iter().map(|row| rows()[row as usize].0).collect())
}

fn check(text: &str, want: &str) {
    assert_eq!(find(&Filter::parse(text).unwrap()).unwrap(), want, "{text}");
}

fn check_json(filter: Json, want: &str) {
    assert_eq!(find(&Filter::from_json(&filter).unwrap()).unwrap(), want, "{filter}");
}

#[test]
fn text_form() {
    check("year >= 2020 AND kind IN ('label', 'guideline')", "b");
    check("year = 2020", "be");
    check("year == 2020.0", "be");
    check("year != 2020", "ac");
    check("NOT (year = 2020)", "ac");
    check("NOT NOT year = 2020", "be");
    check("year <> 2020 or draft = true", "abc");
    check("year BETWEEN 2019 AND 2020", "abe");
    check("year NOT BETWEEN 2019 AND 2020", "c");
    check("NOT year BETWEEN 2020 AND 2021.5", "a");
    check("year NOT IN (2019)", "bce");
    check("year IN (2021.5, 2019)", "ac");
    check("year IN ()", "");
    check("year NOT IN ()", "abce");
    check("kind LIKE '%e%'", "abc");
    check("kind NOT LIKE '%e%'", "e");
    check("kind LIKE '100\\%'", "");
    check("kind LIKE '%100\\%'", "e");
    check("kind = 'it''s 100%'", "e");
    check("kind IS NULL", "d");
    check("kind is not null", "abce");
    check("tags CONTAINS 'fda'", "ae");
    check("tags NOT CONTAINS 'ema'", "be");
    check("NOT tags CONTAINS 'ema'", "be");
    check("nested.deep.x = 1", "c");
    check("metadata.nested.deep.x = 1", "c");
    check("score > 0.25", "ae");
    check("score = 3.0", "e");
    check("draft = false", "d");
    check("draft != false", "b");
    check("id IN ('a', 'e', 'z')", "ae");
    check("title = 'Metformin'", "a");
    check("metadata.title = 'inner'", "d");
    check("`id` = \"a\"", "a");
    check("\"id\" > 'c'", "de");
    check("unknown = 3", "");
    check("NOT unknown = 3", "");
    check("unknown IS NULL", "abcde");
    check("year = 2019 OR year = 2020 AND kind = 'guideline'", "ab");
    check("(year = 2019 OR year = 2020) AND kind = 'guideline'", "b");
    check("score > -1e3", "ae");
    check("year > -9223372036854775808", "abce");
    check("nested IS NOT NULL", "c");
    check("nested.deep IS NULL", "abde");
    check("metadata.nested.deep IS NOT NULL", "c");
}

/// SQL's rules, over values of several types in one field: the decision of issues 2221, 1252, 1424 and 4316 of chroma.
#[test]
fn what_is_there_passes_a_test_or_its_negation() {
    let mut columns = Columns::default();
    let values =
        [json!("no"), json!("yes"), json!(0), json!(["no"]), json!({"x": 1}), json!(true), json!(null)];
    for (row, value) in (0..).zip(&values) {
        columns.push(row, [], json!({"part": value}).as_object().unwrap());
    }
    let everything = RowSet::full(7);
    let select = |filter: &Filter| {
        let rows = columns.select(filter, &everything, false).unwrap();
        rows.iter().map(|row| row.to_string()).collect::<String>()
    };
    let text = |text: &str| select(&Filter::parse(text).unwrap());
    let object = |value: Json| select(&Filter::from_json(&value).unwrap());
    assert_eq!(text("part = 'no'"), "0");
    for others in
        ["part != 'no'", "part <> 'no'", "NOT part = 'no'", "part NOT IN ('no')", "NOT part IN ('no')"]
    {
        assert_eq!(text(others), "12345", "{others}");
    }
    for others in
        [json!({"part": {"$ne": "no"}}), json!({"part": {"$nin": ["no"]}}), json!({"$not": {"part": "no"}})]
    {
        assert_eq!(object(others.clone()), "12345", "{others}");
    }
    assert_eq!(text("part > 'o'"), "1");
    assert_eq!(text("NOT part > 'o'"), "02345");
    assert_eq!(text("part NOT LIKE '%e%'"), "02345");
    assert_eq!(text("part CONTAINS 'no'"), "3");
    assert_eq!(text("part NOT CONTAINS 'no'"), "01245");
    assert_eq!(text("part NOT IN ()"), "012345");
    assert_eq!((text("part IS NULL"), text("part IS NOT NULL")), ("6".into(), "012345".into()));
    assert_eq!(object(json!({"part": {"$exists": true}})), "012345");
}

#[test]
fn ids_titles_and_sources_are_texts() {
    let mut columns = Columns::default();
    let same = ["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"];
    for (row, text) in (0..).zip(same) {
        let metadata = json!({"id": text, "at": text, "list": [text]});
        columns.push(row, [("id", text), ("title", text), ("source", text)], metadata.as_object().unwrap());
    }
    let count =
        |text: &str| columns.select(&Filter::parse(text).unwrap(), &RowSet::full(3), false).unwrap().count();
    for field in ["id", "title", "source"] {
        assert_eq!(count(&format!("{field} = '2024-01-01'")), 1);
        assert_eq!(count(&format!("{field} IN ('2024-01-01', '2023-12-31T23:00:00-01:00')")), 1);
        assert_eq!(count(&format!("{field} != '2024-01-01'")), 2);
        assert_eq!(count(&format!("{field} <= '2024-01-01'")), 1);
        assert_eq!(count(&format!("metadata.{field} = '2024-01-01'")), if field == "id" { 3 } else { 0 });
    }
    for equal in ["2024-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00", "2023-12-31T23:00:00-01:00"] {
        assert_eq!(count(&format!("at = '{equal}'")), 3, "{equal}");
        assert_eq!(count(&format!("at < '{equal}' OR at > '{equal}'")), 0, "{equal}");
        assert_eq!(count(&format!("list CONTAINS '{equal}'")), 3, "{equal}");
    }
}

#[test]
fn a_filter_that_says_nothing_is_known() {
    for empty in [
        json!({}),
        json!({"$and": []}),
        json!({"$or": [{"x": 1}, {}]}),
        json!({"$not": {"$or": []}}),
        json!({"id": {"$nin": []}}),
        json!({"$not": {"id": {"$in": []}}}),
    ] {
        assert!(Filter::from_json(&empty).unwrap().is_empty(), "{empty}");
    }
    for says in [
        json!({"x": 1}),
        json!({"$or": []}),
        json!({"$and": [{}, {"x": null}]}),
        json!({"x": {"$nin": []}}),
        json!({"id": {"$in": []}}),
    ] {
        assert!(!Filter::from_json(&says).unwrap().is_empty(), "{says}");
    }
}

#[test]
fn messages_are_short_whatever_is_given() {
    let long = "x".repeat(200_000);
    for text in [
        format!("{long} ="),
        format!("a = {long}"),
        format!("a {long} 3"),
        format!("a = '{long}' 'b'"),
        format!("a = 1{long}"),
        format!("a = `{long}` b"),
    ] {
        assert!(Filter::parse(&text).unwrap_err().message().len() < 400);
    }
    let named = |name: &str| Json::Object([(name.to_owned(), json!({"$gt": null}))].into_iter().collect());
    for value in [named(&long), named(&format!("${long}")), json!({"a": {format!("${long}"): 1}})] {
        assert!(Filter::from_json(&value).unwrap_err().message().len() < 400);
    }
    let field = Filter::parse(&format!("{long} = 3")).unwrap();
    assert!(columns().select(&field, &RowSet::full(5), true).unwrap_err().message().len() < 400);
}

#[test]
fn timestamps_compare_as_instants() {
    check("when = '2023-12-31T23:00:00Z'", "b");
    check("when > '2023-12-31T23:30:00Z'", "a");
    check("when >= '2023-06-01T00:00:00Z'", "abc");
    check("when < '2023-07-01'", "c");
    check("when IN ('2024-01-01')", "a");
    check("when NOT IN ('2024-01-01')", "bc");
}

#[test]
fn json_form() {
    check_json(json!({}), "abcde");
    check_json(json!({"year": 2020}), "be");
    check_json(json!({"year": {"$gte": 2020, "$lt": 2021}}), "be");
    check_json(json!({"kind": {"$in": ["label", "note"]}}), "ac");
    check_json(json!({"kind": {"$nin": ["label", "note"]}}), "be");
    check_json(json!({"kind": {"$ne": "label"}}), "bce");
    check_json(json!({"kind": null}), "d");
    check_json(json!({"kind": {"$exists": false}}), "d");
    check_json(json!({"kind": {"$exists": true}}), "abce");
    check_json(json!({"tags": {"$contains": "fda"}}), "ae");
    check_json(json!({"$or": [{"year": 2019}, {"draft": true}]}), "ab");
    check_json(json!({"$and": [{"year": 2020}, {"tags": {"$contains": "fda"}}]}), "e");
    check_json(json!({"$not": {"year": 2020}}), "ac");
    check_json(json!({"year": {"$not": {"$gt": 2019}}}), "a");
    check_json(json!({"nested.deep.x": 1}), "c");
    check_json(json!({"$or": []}), "");
}

#[test]
fn syntax_errors_give_the_position() {
    for (text, at) in [
        ("", 0),
        ("year", 4),
        ("year >", 6),
        ("year = = 3", 7),
        ("year ! 3", 5),
        ("(year = 3", 9),
        ("year = 3)", 8),
        ("year = 'abc", 7),
        ("year = NULL", 7),
        ("year = abc", 7),
        ("year IN 3", 8),
        ("year IN (3", 10),
        ("year IN (3,)", 11),
        ("year BETWEEN 1", 14),
        ("é = 1 ; DROP", 6),
        ("x = 1.2.3", 4),
        ("x = 1e999", 4),
        ("x LIKE 3", 7),
        ("x IS 3", 5),
        ("AND x = 1", 0),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!(error.code(), Code::FilterSyntax, "{text}: {error}");
        assert!(error.message().ends_with(&format!("at position {at}")), "{text}: {error}");
    }
    for filter in [
        json!([]),
        json!("year = 3"),
        json!({"$nor": []}),
        json!({"year": {"$gtt": 1}}),
        json!({"year": [1]}),
        json!({"year": {"$in": 1}}),
        json!({"year": {"$exists": 1}}),
        json!({"$and": {}}),
        json!({"year": {"$gt": null}}),
    ] {
        assert_eq!(Filter::from_json(&filter).unwrap_err().code(), Code::FilterSyntax, "{filter}");
    }
}

#[test]
fn types_that_do_not_fit() {
    for text in [
        "year = '2020'",
        "year LIKE '2%'",
        "kind > 3",
        "kind = true",
        "draft > false",
        "draft = 1",
        "tags = 'fda'",
        "tags IN ('fda')",
        "tags CONTAINS 3",
        "kind CONTAINS 'label'",
        "kind IN ('label', 3)",
    ] {
        assert_eq!(find(&Filter::parse(text).unwrap()).unwrap_err().code(), Code::FilterType, "{text}");
    }
}

#[test]
fn strict_names_the_unknown_field() {
    let filter = Filter::parse("yaer = 3").unwrap();
    let error = columns().select(&filter, &RowSet::full(5), true).unwrap_err();
    assert_eq!(error.code(), Code::FilterField);
    assert!(error.message().contains("yaer"));
}

#[test]
fn nothing_outside_the_scope_shows() {
    // Only 'd' is in scope: it has no year, so that a comparison of the wrong type is no error either.
    let scope: RowSet = [3].into_iter().collect();
    let select = |text: &str| columns().select(&Filter::parse(text).unwrap(), &scope, false).unwrap().count();
    assert_eq!(select("year = 'text'"), 0);
    assert_eq!(select("year IS NULL"), 1);
    assert_eq!(select("id = 'a'"), 0);
}

#[test]
fn hostile_filters_are_bounded() {
    let deep = format!("{}x = 1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(Filter::parse(&deep).unwrap_err().code(), Code::FilterSyntax);
    let nots = format!("{}x = 1", "NOT ".repeat(10_000));
    assert_eq!(Filter::parse(&nots).unwrap_err().code(), Code::FilterSyntax);
    let mut json = json!({"x": 1});
    for _ in 0..10_000 {
        json = Json::Object([("$not".to_owned(), json)].into_iter().collect());
    }
    assert_eq!(Filter::from_json(&json).unwrap_err().code(), Code::FilterSyntax);
    // serde_json would drop the deep value recursively.
    std::mem::forget(json);
    let long = format!(
        "id IN ({})",
        (0..150_000).map(|i| i.to_string()).map(|i| format!("'{i}'")).collect::<Vec<_>>().join(",")
    );
    assert!(long.len() > 1 << 20);
    check(&long, "");
    assert_eq!(Filter::parse(&"x".repeat(MAX_FILTER_SIZE + 1)).unwrap_err().code(), Code::TooLarge);
    let like = |chars: usize| Filter::parse(&format!("x LIKE '{}'", "é".repeat(chars)));
    assert!(like(MAX_LIKE_CHARS).is_ok());
    assert_eq!(like(MAX_LIKE_CHARS + 1).unwrap_err().code(), Code::TooLarge);
    let wide = vec!["year = 2020"; 20_000].join(" OR ");
    check(&wide, "be");
}

#[test]
fn removal_and_serialisation() {
    let mut columns = columns();
    columns.remove(&[0, 2].into_iter().collect());
    let bytes = postcard::to_allocvec(&columns).unwrap();
    let back: Columns = postcard::from_bytes(&bytes).unwrap();
    for columns in [columns, back] {
        let found = columns
            .select(&Filter::parse("year > 0 OR kind = 'note'").unwrap(), &RowSet::full(5), false)
            .unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [1, 4]);
    }
}

/// What a filter means for one document: true, false, or unknown.
fn holds(node: &Node, metadata: &Json) -> Option<bool> {
    match node {
        Node::All(parts) => {
            let all: Vec<_> = parts.iter().map(|p| holds(p, metadata)).collect();
            if all.contains(&Some(false)) {
                Some(false)
            } else {
                all.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
            }
        }
        Node::Any(parts) => {
            let all: Vec<_> = parts.iter().map(|p| holds(p, metadata)).collect();
            if all.contains(&Some(true)) {
                Some(true)
            } else {
                all.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
            }
        }
        Node::Null { field, negated } => Some(metadata[field.as_str()].is_null() != *negated),
        Node::Leaf { field, test, negated } => {
            let got = &metadata[field.as_str()];
            if got.is_null() {
                return None;
            }
            let equals = |value: &Value, other: &Json| order(other, value) == Some(Ordering::Equal);
            let passes = match test {
                Test::Compare(by, value) => order(got, value).is_some_and(|o| by.accepts(o)),
                Test::In(values) => values.iter().any(|value| equals(value, got)),
                Test::Contains(value) => {
                    got.as_array().is_some_and(|list| list.iter().any(|member| equals(value, member)))
                }
                Test::Like(_) => unreachable!(),
            };
            Some(passes != *negated)
        }
    }
}

fn order(got: &Json, value: &Value) -> Option<Ordering> {
    match (got, value) {
        (Json::String(a), Value::String(b)) => Some(match (instant(a), instant(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_str().cmp(b),
        }),
        (Json::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Json::Number(a), Value::Int(b)) => Some(match a.as_i64() {
            Some(a) => a.cmp(b),
            None => compare_int_float(*b, a.as_f64()?).reverse(),
        }),
        (Json::Number(a), Value::Float(b)) => match a.as_i64() {
            Some(a) => Some(compare_int_float(a, *b)),
            None => a.as_f64()?.partial_cmp(b),
        },
        _ => None,
    }
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![(-2i64..3).prop_map(Value::Int), (-4i32..5).prop_map(|h| Value::Float(f64::from(h) / 2.0))]
}

fn string() -> impl Strategy<Value = Value> {
    prop_oneof!["[ab]{0,2}", Just("2024-01-01".to_owned()), Just("2024-01-01T00:00:00Z".to_owned())]
        .prop_map(Value::String)
}

fn any_order() -> impl Strategy<Value = Order> {
    use Order::*;
    prop::sample::select(vec![Equal, Less, LessEqual, Greater, GreaterEqual])
}

fn leaf() -> impl Strategy<Value = Node> {
    prop_oneof![
        (any_order(), number()).prop_map(|(o, v)| Node::leaf("n", Test::Compare(o, v))),
        (any_order(), string()).prop_map(|(o, v)| Node::leaf("s", Test::Compare(o, v))),
        any::<bool>().prop_map(|v| Node::leaf("b", Test::Compare(Order::Equal, Value::Bool(v)))),
        (any_order(), prop_oneof![number(), string()])
            .prop_map(|(o, v)| Node::leaf("m", Test::Compare(o, v))),
        prop::collection::vec(prop_oneof![number(), string(), any::<bool>().prop_map(Value::Bool)], 0..4)
            .prop_map(|v| Node::leaf("m", Test::In(v))),
        string().prop_map(|v| Node::leaf("m", Test::Contains(v))),
        prop::collection::vec(number(), 1..4).prop_map(|v| Node::leaf("n", Test::In(v))),
        prop::collection::vec(string(), 1..4).prop_map(|v| Node::leaf("s", Test::In(v))),
        string().prop_map(|v| Node::leaf("l", Test::Contains(v))),
        prop::sample::select(vec!["n", "s", "b", "l", "m", "x"]).prop_map(Node::null),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::all),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::any),
            inner.prop_map(Node::negated),
        ]
    })
}

fn json_of(value: Value) -> Json {
    match value {
        Value::String(text) => json!(text),
        Value::Int(int) => json!(int),
        Value::Float(float) => json!(float),
        Value::Bool(bool) => json!(bool),
    }
}

fn document() -> impl Strategy<Value = Json> {
    let any_value = prop_oneof![
        number().prop_map(json_of),
        string().prop_map(json_of),
        any::<bool>().prop_map(Json::Bool),
        prop::collection::vec(string().prop_map(json_of), 0..3).prop_map(Json::Array),
        Just(json!({})),
        Just(json!({"deep": 1})),
    ];
    (
        prop::option::of(number().prop_map(json_of)),
        prop::option::of(string().prop_map(json_of)),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::collection::vec(string().prop_map(json_of), 0..3)),
        prop::option::of(any_value),
    )
        .prop_map(|(n, s, b, l, m)| json!({"n": n, "s": s, "b": b, "l": l, "m": m}))
}

proptest! {
    #[test]
    fn columns_equal_the_definition(root in node(), documents in prop::collection::vec(document(), 0..20)) {
        let mut columns = Columns::default();
        // Rows of every type, so that no test is a type error.
        let seed = [
            json!({"n": 0, "s": "", "b": true, "l": ["a"], "m": 0}),
            json!({"m": ""}),
            json!({"m": true}),
            json!({"m": ["a"]}),
        ];
        let all: Vec<&Json> = seed.iter().chain(&documents).collect();
        for (row, document) in (0..).zip(&all) {
            columns.push(row, [], document.as_object().unwrap());
        }
        let want: Vec<u32> = (0..).zip(&all).filter(|(_, d)| holds(&root, d) == Some(true)).map(|(row, _)| row).collect();
        let got = columns.select(&Filter { root: root.clone() }, &RowSet::full(all.len() as u32), false).unwrap();
        prop_assert_eq!(got.iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn no_text_panics(text in "(\\PC|[ ()'a=<>!,]|AND|OR|NOT|IN|LIKE|BETWEEN|[0-9.]){0,30}") {
        let _ = Filter::parse(&text);
    }
}

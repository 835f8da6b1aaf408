//! Are values taken that stand in a story, and no others?

use serde_json::json;

use super::*;

fn story(text: &str) -> JobStory {
    JobStory {
        situation: text.to_owned(),
        motivation: "do it".to_owned(),
        expected_outcome: "be done".to_owned(),
        ..JobStory::default()
    }
}

/// What a text gives to a property; null where it is left open.
fn given(name: &str, property: Value, text: &str) -> Value {
    let schema = json!({"type": "object", "properties": {name: property}, "required": [name]});
    let (filled, open) = fill(&schema, &story(text));
    assert_eq!(filled.len() + open.len(), 1);
    for one in &filled {
        assert!(one.path == format!("input.{name}") && text.contains(&one.words), "{one:?}");
    }
    filled.into_iter().next().map_or(Value::Null, |one| one.value)
}

#[test]
fn values_are_taken_that_stand_in_the_story_and_no_others() {
    let text = || json!({"type": "string"});
    let truth = || json!({"type": "boolean"});
    let options = |options: &[&str]| json!({"type": "string", "enum": options});
    let actions = || options(&["create", "track", "change", "cancel"]);
    let number = || json!({"type": "number"});
    let integer = || json!({"type": "integer"});
    let list = || json!({"type": "array", "items": {"type": "string"}});
    let cases: Vec<(&str, Value, &str, Value)> = vec![
        // What is named behind its name.
        ("order", text(), "order 1042 is late", json!("1042")),
        ("order", text(), "the order #17 is late", json!("17")),
        ("order", text(), "order number 17 is late", json!("17")),
        ("order", text(), "I lost order 17, and wait", json!("17")),
        ("order", text(), "order 12 boxes", json!(null)),
        ("order", text(), "I want to order 5000 masks", json!(null)),
        ("order", text(), "customers order 2nd pairs", json!(null)),
        ("order", text(), "the order no. 7F3K2 is late", json!(null)),
        ("order", text(), "the order #7F3K2 is late", json!("7F3K2")),
        ("order", text(), "orders 1042 and 1043", json!(null)),
        ("order", text(), "order 1042 and order 1043", json!(null)),
        ("order", text(), "order 1042, yes order 1042", json!("1042")),
        ("order", text(), "in order to see it", json!(null)),
        ("customer", text(), "customer c-7 calls", json!("c-7")),
        ("customer", text(), "a customer calls", json!(null)),
        ("trial", text(), "trial QX-17-301 begins", json!("QX-17-301")),
        ("trial", text(), "the trial “North Star” begins", json!("North Star")),
        ("device", text(), "device class II", json!(null)),
        ("device", text(), "Device: CardioPatch ECG recorder. It is new", json!("CardioPatch ECG recorder")),
        ("intended_use", text(), "Intended use: records 3.5 minutes; at home", json!("records 3.5 minutes")),
        ("contact", text(), "write to ann.b@example.org, please", json!("ann.b@example.org")),
        ("contact", text(), "a@example.org and b@example.org", json!(null)),
        ("contact", text(), "meet me @home", json!(null)),
        // Truth values.
        ("has_software", truth(), "a recorder with software", json!(true)),
        ("has_software", truth(), "a recorder without any software", json!(false)),
        ("has_software", truth(), "not only software", json!(true)),
        ("has_software", truth(), "find out whether it is software", json!(null)),
        ("has_software", truth(), "a recorder", json!(null)),
        ("has_software", truth(), "no software, or software", json!(null)),
        ("medicare", truth(), "Medicare's rules", json!(true)),
        ("order_522", truth(), "FDA orders a 522 study", json!(true)),
        ("order_522", truth(), "FDA calls about 522 things in order", json!(null)),
        ("formal", truth(), "formal: no", json!(false)),
        // Options.
        ("action", actions(), "the customer cancelled it", json!("cancel")),
        ("action", actions(), "tracking a parcel", json!("track")),
        ("action", actions(), "changing it", json!("change")),
        ("action", actions(), "track and cancel", json!(null)),
        ("action", actions(), "alter or cancel it", json!(null)),
        ("action", actions(), "do not cancel it", json!(null)),
        ("action", actions(), "action: Track", json!("track")),
        ("kind", options(&["drug", "device"]), "a drug is ready", json!("drug")),
        ("kind", options(&["drug", "device"]), "a drug-eluting device", json!("device")),
        ("class", options(&["I", "II", "III"]), "I have it", json!(null)),
        ("class", options(&["I", "II", "III"]), "it is class II", json!("II")),
        ("setting", options(&["in_clinic", "at_home"]), "used at home", json!("at_home")),
        // Numbers.
        ("planned_per_month", number(), "we need 12 patients per month", json!(12)),
        ("planned_per_month", number(), "we need 12.5 a month", json!(12.5)),
        ("planned_per_month", number(), "we need 12 per month or 15 per month", json!(null)),
        ("planned_per_month", number(), "in 12 weeks", json!(null)),
        ("quantity", integer(), "a quantity of 3", json!(3)),
        ("quantity", integer(), "a quantity of 3.5", json!(null)),
        ("quantity", json!({"type": "integer", "maximum": 2}), "a quantity of 3", json!(null)),
        // Lists, and what no rule reads.
        ("events", list(), "Events: a stop, an alarm", json!(["a stop", "an alarm"])),
        ("events", list(), "two events", json!(null)),
        ("order", json!({"type": "string", "pattern": "^X"}), "order 1042 is late", json!(null)),
        ("order", json!({"type": "string", "maxLength": 2}), "order 1042 is late", json!(null)),
        ("order", json!({}), "order 1042 is late", json!(null)),
        ("a.b", text(), "a.b: c", json!(null)),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(name, property, text, expected)| {
            let found = given(name, property, text);
            (found != expected).then(|| format!("{name} of '{text}': {found}, expected {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_open_is_told_with_what_the_schema_says() {
    let schema = json!({"type": "object", "required": ["b", "n"], "properties": {
        "a": {"type": "string", "description": "The device's name."},
        "b": {"type": ["null", "integer"]},
        "c": {"enum": ["x", "y"]},
        "n": {"type": "object", "required": ["p"], "properties": {"p": {"type": "string"}, "order": {"type": "string"}}},
        "priority": {"type": "integer"},
    }});
    let (filled, open) = fill(&schema, &JobStory { priority: 7, ..story("order 1042 is late") });
    let told: Vec<(&str, &str, &str, bool)> =
        open.iter().map(|o| (o.path.as_str(), o.description.as_str(), o.kind.as_str(), o.required)).collect();
    let expected = [
        ("input.b", "b (integer)", "integer", true),
        ("input.n.p", "p (string)", "string", true),
        ("input.a", "The device's name.", "string", false),
        ("input.c", "c: one of x, y", "string", false),
    ];
    assert_eq!(told, expected);
    let values = with_values(json!({"n": {"p": "kept"}}), &filled);
    assert_eq!(values, json!({"n": {"p": "kept", "order": "1042"}, "priority": 7}));
    assert_eq!(fill(&json!({}), &story("x")), (vec![], vec![]));
    assert_eq!(fill(&json!(true), &story("x")), (vec![], vec![]));
}

/// Whatever a story says: no panic, and each value in its own words.
#[test]
fn fuzz_values() {
    let schema = json!({"type": "object", "properties": {
        "order": {"type": "string"}, "has_software": {"type": "boolean"}, "per_month": {"type": "number"},
        "action": {"enum": ["create", "cancel"]}, "contact": {"type": "string"}, "events": {"type": "array", "items": {"type": "string"}},
    }});
    let pieces = [
        "order",
        " 1042",
        " #",
        ":",
        " ",
        "\"",
        "“",
        "”",
        "é",
        "🩺",
        "\n",
        ".",
        ",",
        "software",
        " no ",
        " or ",
        "12",
        ".5",
        " per month",
        "cancel",
        "led",
        "@",
        "a@b.c",
        "events",
        "-",
        "'",
        "’",
        "İ",
        "contact",
        "\u{301}",
    ];
    let mut state = 11u64;
    let mut draw = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n.max(1)
    };
    let mut seen = 0;
    for _ in 0..5_000 {
        let text: String = (0..1 + draw(14)).map(|_| pieces[draw(pieces.len())]).collect();
        let (filled, open) = fill(&schema, &story(&text));
        assert_eq!(filled.len() + open.len(), 6);
        seen += filled.len();
        for one in filled {
            assert!(text.contains(&one.words) && !one.words.is_empty(), "{text:?}: {one:?}");
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn a_piece_of_a_number_is_no_number() {
    for kind in ["integer", "number"] {
        let count = || json!({"type": kind});
        for text in [
            "1,000 patients per month come",
            "12,500 patients come",
            "12\u{202f}500 patients come",
            "2 million patients come",
            "2 thousand patients come",
            "5% of patients come",
            "5 percent of patients come",
            "12 to 15 patients come",
            "12 or 15 patients come",
            "between 12 and 15 patients come",
            "12 – 15 patients come",
            "a change of -5 patients",
            "a change of −5 patients",
            "~5 patients come",
            "<5 patients come",
            "12 sites with patients open",
            "3 nurses and patients wait",
            "patients and 3 nurses wait",
            ".5 patients come",
            "1/2 patients come",
            "patients: 12 or 13; patients: 15",
        ] {
            assert_eq!(given("patients", count(), text), Value::Null, "{kind}: {text}");
        }
        for (text, value) in [
            ("12 patients come", 12),
            ("12 new patients come", 12),
            ("in 2024, 12 patients come", 12),
            ("patients: -5", -5),
            ("patients: 5; patients: 5", 5),
        ] {
            assert_eq!(given("patients", count(), text), json!(value), "{kind}: {text}");
        }
    }
    let text_of = || json!({"type": "string"});
    for text in
        ["order 1,042 is late", "order 1042 or 1043 is late", "order 1042 and 1043 are late", "order 5% less"]
    {
        assert_eq!(given("order", text_of(), text), Value::Null, "{text}");
    }
    for text in ["order 1042, 3 days late", "order 1042 and a box", "order 1042."] {
        assert_eq!(given("order", text_of(), text), json!("1042"), "{text}");
    }
    assert_eq!(given("reason", text_of(), "reason: a fall. Reason: a rash"), Value::Null);
    assert_eq!(given("reason", text_of(), "reason: a fall. Reason: a fall"), json!("a fall"));
}

#[test]
fn no_value_ends_where_the_title_does() {
    let story = JobStory::parse(
        "When a payer denies a claim, I want to draft the letter of appeal to the payer. Reason: two earlier lines of therapy \
         have failed and a third is not to be had, so I can help the patient",
    )
    .unwrap();
    assert!(story.motivation.len() > story.title.len());
    let schema = json!({"properties": {"reason": {"type": "string"}}, "required": ["reason"]});
    let (filled, _) = fill(&schema, &story);
    assert_eq!(
        filled[0].value,
        json!("two earlier lines of therapy have failed and a third is not to be had")
    );
}

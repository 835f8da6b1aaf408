use std::time::Duration;

use quorate_state::StateStore;
use quorate_workflows::flow::{Definition, Engine, EngineOptions, StartOptions, templates};
use quorate_workflows::jobs::{JobStory, StoryStatus, generate};
use serde_json::{Value, json};

fn all() -> Vec<Definition> {
    templates().into_iter().map(|template| template.definition).collect()
}

fn story() -> JobStory {
    JobStory::parse(
        "When order 1042 is four days late, I want to find where the parcel is, so I can tell the customer",
    )
    .unwrap()
}

fn engine(store: &StateStore) -> Engine {
    Engine::new(store.clone(), EngineOptions::default()).unwrap()
}

#[test]
fn a_draft_is_what_the_story_says_in_the_form_of_its_template() {
    let story = JobStory { domain: Some("Customer-Service".into()), priority: 7, ..story() };
    let draft = generate(&story, None, &Value::Null, &all()).unwrap();
    let form = draft.definition().rendered();
    assert_eq!((draft.template.as_str(), draft.template_version.as_str()), ("track_order", "1.0.0"));
    assert!(draft.score > 0.35 && draft.score <= 1.0);
    assert!(draft.id.starts_with("jobs.find_where_the_parcel_is_"), "{}", draft.id);
    assert_eq!(form["title"], "find where the parcel is");
    assert_eq!((&form["queue"]["priority"], &form["domain"]), (&json!(7), &json!("Customer-Service")));
    assert_eq!((&draft.input, &form["example"]), (&json!({"order": "1042"}), &json!({"order": "1042"})));
    assert_eq!(draft.unfilled(), []);
    let explained = draft.explain();
    assert!(!explained.named && explained.candidates[0].template == "track_order");
    assert!(
        explained.candidates.len() == 9
            && explained.candidates[0].words.iter().any(|(word, _)| word == "late")
    );
    assert_eq!(
        (explained.filled[0].words.as_str(), explained.filled[0].part.as_str()),
        ("1042", "situation")
    );
    assert!(explained.to_string().contains("input.order = \"1042\" from '1042' (situation)"), "{explained}");
    // The same story, the same draft; another story, another id.
    assert_eq!(generate(&story, None, &json!({}), &all()).unwrap().workflow, draft.workflow);
    let other = JobStory { expected_outcome: "sleep".into(), ..story };
    assert_ne!(generate(&other, None, &Value::Null, &all()).unwrap().id, draft.id);
}

/// A draft of each template has no problems, says what it needs, and runs offline to its end.
#[test]
fn drafts_of_all_templates_run() {
    let store = StateStore::memory();
    let engine = engine(&store);
    let mut ids = Vec::new();
    for template in all() {
        let draft = generate(&story(), Some(template.id()), &Value::Null, &all()).unwrap();
        assert!(draft.explain().named && draft.template == template.id());
        let added = engine.add(&draft.workflow).unwrap();
        assert_eq!(added.hash(), draft.definition().hash());
        ids.push(draft.id.clone());
        let properties = template.rendered()["input"]["properties"].as_object().unwrap().len();
        assert_eq!(draft.unfilled().len() + draft.explain().filled.len(), properties, "{}", template.id());
        for open in draft.unfilled() {
            assert!(
                !open.description.is_empty() && draft.workflow.contains(&format!("{}: ", open.path)),
                "{open:?}"
            );
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 16, "a draft would take the place of another");
    // Nothing was started by any of it.
    assert_eq!(store.runs(None, None).unwrap(), []);
    let draft = generate(&story(), Some("create_order"), &Value::Null, &all()).unwrap();
    let run =
        engine.start(&draft.id, Value::Null, StartOptions { offline: true, ..Default::default() }).unwrap();
    let status = run.wait(Some(Duration::from_secs(30))).unwrap();
    assert_eq!((status.as_str(), &run.result().unwrap()["status"]), ("completed", &json!("ordered")));
    engine.close().unwrap();
}

#[test]
fn a_customization_is_an_overlay() {
    let patch = json!({
        "id": "support.late_parcels", "version": "2.1.0", "defaults": {"timeout": "7m"},
        "input": {"properties": {"region": {"type": "string", "description": "Where the customer lives."}}},
        "steps": {"replace": {"$delete": true}, "note": {"needs": ["answer"], "integration": {"tool": "crm.note"}, "offline": {}}},
        "output": {"replaced_by": {"$delete": true}},
    });
    let draft = generate(&story(), None, &patch, &all()).unwrap();
    let form = draft.definition().rendered();
    assert_eq!((draft.id.as_str(), draft.definition().version()), ("support.late_parcels", "2.1.0"));
    assert!(form["steps"]["replace"].is_null() && form["steps"]["note"].is_object());
    // What the patch does not name stays.
    assert_eq!(
        (&form["defaults"]["timeout"], &form["defaults"]["retry"]["max_attempts"]),
        (&json!("7m"), &json!(3))
    );
    let open: Vec<(&str, &str)> =
        draft.unfilled().iter().map(|open| (open.path.as_str(), open.description.as_str())).collect();
    assert_eq!(open, [("input.region", "Where the customer lives.")]);
    let changed = &draft.explain().customized;
    assert!(
        changed.contains(&"steps.replace".to_owned()) && changed.contains(&"defaults.timeout".to_owned()),
        "{changed:?}"
    );

    let code = |patch: Value| generate(&story(), None, &patch, &all()).unwrap_err();
    for wrong in [json!([1]), json!("x"), json!(3), json!(true)] {
        assert_eq!(code(wrong).code().as_str(), "invalid_argument");
    }
    let broken = code(
        json!({"steps": {"late": {"conditional": [{"when": "1 +", "then": "continue"}]}, "find": {"needs": ["nobody"]}}}),
    );
    assert_eq!(broken.code().as_str(), "invalid_document");
    assert!(broken.message().contains("unknown_step") && broken.message().contains("steps.late"), "{broken}");
    assert_eq!(code(json!({"extends": ["fragment:none"]})).code().as_str(), "invalid_document");
    assert_eq!(code(json!({"title": "x".repeat(2 << 20)})).code().as_str(), "too_large");
}

#[test]
fn what_no_template_does_is_told_with_the_nearest() {
    let story = |text: &str| JobStory::parse(text).unwrap();
    let code = |story: &JobStory, kind: Option<&str>, among: &[Definition]| {
        generate(story, kind, &Value::Null, among).unwrap_err()
    };
    let cooking =
        story("When I have leftovers in the fridge, I want to find a recipe, so I throw nothing away.");
    let error = code(&cooking, None, &all());
    assert_eq!(error.code().as_str(), "no_template");
    assert!(
        error.message().matches(", 0.0").count() >= 3 && error.message().contains("name one as the type"),
        "{error}"
    );
    assert_eq!(code(&cooking, None, &[]).code().as_str(), "no_template");
    assert_eq!(code(&cooking, Some("healthcare"), &all()).code().as_str(), "no_template");
    let error = code(&cooking, Some("cooking"), &all());
    assert!(error.code().as_str() == "unknown_id" && error.message().contains("track_order"), "{error}");
    // Whoever names one gets it, by the last part of its id too.
    let draft = generate(&cooking, Some("fda_510k_submission"), &Value::Null, &all()).unwrap();
    assert!(draft.template == "regulatory.fda_510k_submission" && draft.score < 0.35);
    // Of one domain only those of it are compared.
    let draft = generate(&super::drafts::story(), Some("customer_service"), &Value::Null, &all()).unwrap();
    assert_eq!((draft.template.as_str(), draft.explain().candidates.len()), ("track_order", 9));
    // What is no story is told as such.
    let empty = JobStory { motivation: String::new(), ..cooking };
    assert_eq!(code(&empty, None, &all()).code().as_str(), "invalid_argument");
}

/// A workflow of the host's own is found by what it says of itself.
#[test]
fn templates_of_a_host_take_part() {
    let engine = engine(&StateStore::memory());
    let own = engine
        .add("apiVersion: quorate/v1\nkind: Workflow\nid: hr.hire\nversion: 1.0.0\ntitle: Hire an engineer\n\
              description: Advertises a post, interviews candidates and makes an offer.\n\
              steps: {advertise: {title: Advertise the post, wait: {for: 1d}}, interview: {title: Interview candidates, wait: {for: 1d}}}\n")
        .unwrap();
    let mut among = all();
    among.push(own);
    let story = JobStory::parse(
        "When an engineer resigns, I want to advertise the post and interview candidates, so I can hire a good engineer.",
    )
    .unwrap();
    let draft = generate(&story, None, &Value::Null, &among).unwrap();
    assert_eq!((draft.template.as_str(), draft.unfilled().len()), ("hr.hire", 0));
    engine.close().unwrap();
}

/// Texts that mean something else in a workflow, in YAML or in an id.
#[test]
fn a_story_is_a_text_whatever_it_says() {
    let odd = [
        "${steps.x.output}",
        "a: b # c",
        "'\"`|>-%@&*!?{}[]",
        "- x\n- y",
        "no",
        "\t\u{85}x\u{2028}y",
        "🩺 naïve\u{301}",
        "---\nid: x",
        "\u{feff}x",
        "\\n",
    ];
    for text in odd {
        let story = JobStory {
            title: text.to_owned(),
            situation: text.to_owned(),
            motivation: text.to_owned(),
            expected_outcome: text.to_owned(),
            domain: Some(text.to_owned()),
            status: StoryStatus::Abandoned,
            ..JobStory::default()
        };
        let draft = generate(&story, Some("create_order"), &Value::Null, &all()).unwrap();
        let form = draft.definition().rendered();
        assert!(form["steps"].as_object().unwrap().len() == 8 && draft.id.starts_with("jobs."), "{text:?}");
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(form["title"], json!(plain));
    }
}

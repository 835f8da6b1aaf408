//! Which workflows come with the library?

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::files::Files;
use super::library::{Definition, Library, load};

/// A workflow that comes with the library: every engine knows it, and it runs offline as it is.
#[derive(Clone, Debug)]
pub struct Template {
    /// By which name it is started.
    pub id: String,
    /// What people read.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// `healthcare` or `customer_service`.
    pub domain: String,
    /// Its file, as it is written.
    pub yaml: &'static str,
    /// Ready to run.
    pub definition: Definition,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// Files by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../templates/", $name)))),*];
    };
}

files! {
    "fragments/healthcare.yaml",
    "fragments/customer_service.yaml",
    "healthcare/fda_510k_submission.yaml",
    "healthcare/trial_protocol.yaml",
    "healthcare/post_market_surveillance.yaml",
    "healthcare/patient_recruitment.yaml",
    "healthcare/data_collection.yaml",
    "healthcare/cpt_application.yaml",
    "healthcare/payer_strategy.yaml",
    "customer_service/customer_support.yaml",
    "customer_service/faq_handling.yaml",
    "customer_service/order_management.yaml",
    "customer_service/create_order.yaml",
    "customer_service/track_order.yaml",
    "customer_service/lead_capture.yaml",
    "customer_service/complaint_handling.yaml",
    "customer_service/technical_support.yaml",
    "customer_service/example.yaml",
    "parts/fda_ai_response.yaml",
}

static SHIPPED: LazyLock<Library> = LazyLock::new(|| {
    let files: BTreeMap<String, String> =
        FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let mut library = Library::default();
    if let Ok(loaded) = load(Files::Pack(files), None, &[]) {
        library.add(loaded);
    }
    library
});

/// What every engine knows.
pub(crate) fn shipped() -> &'static Library {
    &SHIPPED
}

/// The seven healthcare and nine customer-service workflows that come with the library.
///
/// ```
/// let all = quorate_workflows::flow::templates();
/// assert_eq!(all.len(), 16);
/// assert!(all.iter().any(|template| template.id == "regulatory.fda_510k_submission"));
/// ```
pub fn templates() -> Vec<Template> {
    let listed =
        FILES.iter().filter(|(name, _)| !name.starts_with("fragments/") && !name.starts_with("parts/"));
    let made = listed.filter_map(|(_, yaml)| {
        let id = yaml.lines().find_map(|line| line.strip_prefix("id: "))?.trim();
        let definition = shipped().own(id, None)?;
        Some(Template {
            id: id.to_owned(),
            title: definition.title().to_owned(),
            description: definition.plan.form.description.clone().unwrap_or_default(),
            domain: definition.domain().unwrap_or_default().to_owned(),
            yaml,
            definition,
        })
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that are damaged at random give problems, and neither panics nor work without end.
    #[test]
    fn fuzz_definitions() {
        let inputs = std::env::var("QUORATE_TORTURE_INPUTS").ok().and_then(|n| n.parse::<u64>().ok());
        let words = [
            "steps:",
            "{",
            "}",
            "[",
            "]",
            "${",
            "'",
            "\"",
            "null",
            "goto: ",
            "max: ",
            "needs: [",
            "&a ",
            "*a",
            "\t",
            "- ",
            ": ",
            "#",
            "$ref: '#/steps'",
            "parallel: ",
            "join: any",
            "true",
            "-1",
            "1e999",
            "P10D",
            "((((",
            "steps.a.output",
            "<<: *a",
            "\u{feff}",
            "\0",
            "é",
            "extends: [fragment:healthcare]",
            "when: 'true'",
            "id: id",
            "conditional: [",
            "offline: ",
        ];
        let mut state = 42u64;
        let mut draw = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n.max(1)
        };
        for _ in 0..inputs.unwrap_or(400) {
            let (name, text) = FILES[draw(FILES.len())];
            let mut text = text.to_owned();
            for _ in 0..1 + draw(6) {
                let at = text.floor_char_boundary(draw(text.len()));
                let end = text.ceil_char_boundary((at + draw(30)).min(text.len()));
                match draw(3) {
                    0 => text.insert_str(at, words[draw(words.len())]),
                    1 => text.replace_range(at..end, words[draw(words.len())]),
                    _ => text.replace_range(at..end, ""),
                }
            }
            let mut files: BTreeMap<String, String> = FILES
                .iter()
                .filter(|(known, _)| known.starts_with("fragments/"))
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect();
            files.insert(name.to_owned(), text.clone());
            let loaded = load(Files::Pack(files), None, &[]).unwrap();
            // What is not told to be wrong can be run.
            for (definition, _) in &loaded.definitions {
                let again = Definition::from_json(definition.rendered());
                assert!(again.is_ok_and(|again| again.hash() == definition.hash()), "{text}");
            }
            assert!(
                loaded.problems.iter().all(|problem| !problem.message.is_empty() && !problem.path.is_empty())
            );
        }
    }

    #[test]
    fn nothing_is_wrong_with_what_comes_along() {
        assert_eq!(shipped().problems, []);
        assert_eq!(templates().len(), 16);
        assert!(templates().iter().all(|template| !template.description.is_empty()));
    }
}

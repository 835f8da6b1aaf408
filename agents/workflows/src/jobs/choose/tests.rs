//! How often is the right template found, on stories that took no part in choosing numbers?

use super::*;
use crate::flow::templates;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    stories: Vec<Labelled>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labelled {
    half: String,
    #[serde(default)]
    template: Option<String>,
    text: String,
}

fn stories(half: &str) -> Vec<(JobStory, Option<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jobs/stories.yaml");
    let fixture: Fixture = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(fixture.stories.len(), 64);
    let of_half = fixture.stories.into_iter().filter(|one| one.half == half);
    of_half.map(|one| (JobStory::parse(&one.text).unwrap(), one.template)).collect()
}

/// What comes of one half.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    /// Of stories with a template: the right one first; and among three.
    first: usize,
    among_three: usize,
    /// Of these: the right one taken; another taken; none taken.
    right: usize,
    wrong: usize,
    silent: usize,
    /// Of stories with none: none taken.
    refused: usize,
}

fn figures(half: &str) -> (Figures, Vec<String>) {
    let all: Vec<Definition> = templates().into_iter().map(|template| template.definition).collect();
    let all: Vec<&Definition> = all.iter().collect();
    let (mut figures, mut told) = (Figures::default(), Vec::new());
    for (story, template) in stories(half) {
        let found = rank(&story, &all).unwrap();
        let best = &found[0];
        let taken = best.confidence >= MIN_CONFIDENCE;
        match &template {
            Some(template) => {
                let place = found.iter().position(|one| one.template == *template).unwrap();
                figures.first += usize::from(place == 0);
                figures.among_three += usize::from(place < 3);
                match (taken, place) {
                    (true, 0) => figures.right += 1,
                    (true, _) => figures.wrong += 1,
                    (false, _) => figures.silent += 1,
                }
            }
            None => figures.refused += usize::from(!taken),
        }
        told.push(format!(
            "{:.2} {} {} | {} | {}",
            best.confidence,
            if template.as_deref() == Some(&best.template) || template.is_none() && !taken {
                " "
            } else {
                "!"
            },
            template.as_deref().unwrap_or("nobody"),
            found
                .iter()
                .take(3)
                .map(|one| format!("{} {:.2} {:.2}", one.template, one.confidence, one.score))
                .collect::<Vec<_>>()
                .join(", "),
            story.motivation,
        ));
    }
    (figures, told)
}

/// Prints the calibration that is fitted on the half for choosing, and what comes of that half.
#[test]
#[ignore = "prints numbers that a person writes into the source"]
fn fit() {
    let all: Vec<Definition> = templates().into_iter().map(|template| template.definition).collect();
    let all: Vec<&Definition> = all.iter().collect();
    let known = stories("choosing");
    let questions: Vec<(String, Option<String>)> = known
        .iter()
        .map(|(story, template)| {
            let at = template.as_ref().map(|id| all.iter().position(|one| one.id() == id).unwrap());
            (question(story), at.map(|at| format!("{at:05}")))
        })
        .collect();
    let questions: Vec<(&str, Option<&str>)> =
        questions.iter().map(|(q, a)| (q.as_str(), a.as_deref())).collect();
    let fitted = registry(&all, Calibration::BUILTIN).unwrap().calibrate(&questions).unwrap();
    let (figures, told) = figures("choosing");
    panic!("{fitted:#?}\n{}\n{figures:?}", told.join("\n"));
}

/// The half that took no part in choosing anything. The figures are those of tests/jobs/README.md.
#[test]
fn held_out_stories_find_their_template_or_none() {
    let (figures, told) = figures("testing");
    let expected = Figures { first: 24, among_three: 24, right: 21, wrong: 0, silent: 3, refused: 8 };
    assert_eq!(figures, expected, "{}", told.join("\n"));
}

//! Are sentences found where they are, in the texts that clinics and guidelines write?

#![allow(clippy::unwrap_used)]

use quorate_runtime::{SentenceKind, sentences};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<&str> = sentences(text).iter().map(|s| &text[s.start..s.end]).collect();
    assert_eq!(found, expected);
}

#[test]
fn dots_inside_sentences_end_nothing() {
    check("Give 5.2 mg i.v., e.g. at 8 a.m. Then wait.", &["Give 5.2 mg i.v., e.g. at 8 a.m.", "Then wait."]);
    check(
        "See No. 3 and Fig. 2 of Smith et al. (2019). No. It is not.",
        &["See No. 3 and Fig. 2 of Smith et al. (2019).", "No.", "It is not."],
    );
    check(
        "Dr. J. R. Smith of St. Mary's saw her. She had C. difficile colitis.",
        &["Dr. J. R. Smith of St. Mary's saw her.", "She had C. difficile colitis."],
    );
    check(
        "It needs vitamin C. The dose is 1.5 g vs. 2 g.",
        &["It needs vitamin C.", "The dose is 1.5 g vs. 2 g."],
    );
    check(
        "The U.S. Food and Drug Administration (FDA) agreed. Approx. 5% did not.",
        &["The U.S. Food and Drug Administration (FDA) agreed.", "Approx. 5% did not."],
    );
    check(
        "p53 was lost (P<0.05). mTOR was not. Rates fell to 15. The rest rose.",
        &["p53 was lost (P<0.05). mTOR was not.", "Rates fell to 15.", "The rest rose."],
    );
    check(
        "Fruits, nuts, etc. are fine. Avoid fat, salt, etc. The rest is free.",
        &["Fruits, nuts, etc. are fine.", "Avoid fat, salt, etc.", "The rest is free."],
    );
}

#[test]
fn marks_take_along_what_belongs_to_them() {
    check(
        "It works.[12] It is safe.[3,4-6] \"Is it?\" he asked. \"Yes!\" Then he left...",
        &["It works.[12]", "It is safe.[3,4-6]", "\"Is it?\" he asked.", "\"Yes!\"", "Then he left..."],
    );
    check(
        "He (b. 1900) died.:12 She lived. Lost a space.The next one came.",
        &["He (b. 1900) died.:12", "She lived.", "Lost a space.", "The next one came."],
    );
    check(
        "See www.example.org/a.Html for more. Ask info@example.org.",
        &["See www.example.org/a.Html for more.", "Ask info@example.org."],
    );
}

#[test]
fn german_is_read() {
    check(
        "Am 3. Oktober begann z. B. die Therapie. Im 19. Jahrhundert war das anders.",
        &["Am 3. Oktober begann z. B. die Therapie.", "Im 19. Jahrhundert war das anders."],
    );
    check(
        "Die Dosis (vgl. Abb. 2) beträgt ca. 500 mg bzw. 1 g. Nr. 4 gilt nicht, d. h. nie. Danach usw. Die Gabe endet.",
        &[
            "Die Dosis (vgl. Abb. 2) beträgt ca. 500 mg bzw. 1 g.",
            "Nr. 4 gilt nicht, d. h. nie.",
            "Danach usw.",
            "Die Gabe endet.",
        ],
    );
}

#[test]
fn scripts_without_spaces_are_read() {
    check(
        "糖尿病の用量は500mgです。食事と一緒に！「はい。」次に待つ",
        &["糖尿病の用量は500mgです。", "食事と一緒に！", "「はい。」", "次に待つ"],
    );
    check("यह दवा है। इसे लें।", &["यह दवा है।", "इसे लें।"]);
}

#[test]
fn lines_tell_headings_items_and_rows() {
    let text = "# Dosage\n\nTake it with\nmeals. Do not chew.\n\nSide effects\n\n- Nausea\n- Rash (rare). See a doctor.\n\n\
        | Drug | Dose |\n|---|---|\n| Metformin | 500 mg |\n\n1. Wash hands\n2) Dry them\n\n**Storage**\nKeep dry.";
    let found: Vec<(&str, SentenceKind)> =
        sentences(text).iter().map(|s| (&text[s.start..s.end], s.kind)).collect();
    use SentenceKind::{Heading, Item, Prose, Row};
    assert_eq!(
        found,
        [
            ("Dosage", Heading),
            ("Take it with\nmeals.", Prose),
            ("Do not chew.", Prose),
            ("Side effects", Heading),
            ("Nausea", Item),
            ("Rash (rare).", Item),
            ("See a doctor.", Item),
            ("| Drug | Dose |", Heading),
            ("| Metformin | 500 mg |", Row),
            ("Wash hands", Item),
            ("Dry them", Item),
            ("Storage", Heading),
            ("Keep dry.", Prose),
        ]
    );
}

#[test]
fn short_lists_stay_with_the_words_that_lead_to_them() {
    let text = "Symptoms are:\n- fever\n- cough\n\nCall a doctor: - if it lasts. - if it hurts. It heals.";
    let found = sentences(text);
    assert_eq!(&text[found[0].start..found[0].end], "Symptoms are:\n- fever\n- cough");
    assert_eq!(found[0].kind, SentenceKind::List);
    assert_eq!(&text[found[1].start..found[1].end], "Call a doctor: - if it lasts. - if it hurts.");
    let long = format!("Symptoms are:\n- {}\n- {}", "a".repeat(300), "b".repeat(300));
    assert_eq!(sentences(&long).len(), 2);
}

#[test]
fn questions_are_told_and_long_texts_cut() {
    let kinds: Vec<SentenceKind> = sentences("What is it? It is this.").iter().map(|s| s.kind).collect();
    assert_eq!(kinds, [SentenceKind::Question, SentenceKind::Prose]);
    let long = "word ".repeat(1000);
    assert!(sentences(&long).iter().all(|s| s.end - s.start <= 1000));
    assert!(sentences(&"ä".repeat(3000)).iter().map(|s| s.end - s.start).sum::<usize>() == 6000);
    assert!(sentences("").is_empty() && sentences(" \n--- \n...").is_empty());
}

#[test]
fn long_texts_without_an_end_are_cut_between_characters() {
    for text in
        ["糖".repeat(1000), format!("a{}", "糖".repeat(1000)), format!("{}a", "\u{200d}".repeat(2000))]
    {
        let found = sentences(&text);
        assert!(!found.is_empty() && found.iter().all(|s| s.end - s.start <= 1000));
    }
}

#[test]
fn long_texts_without_spaces_are_read_in_time() {
    // Each of these took minutes when the words before a mark, or a bracket's end, were looked for without a bound.
    let begun = std::time::Instant::now();
    for piece in ["a.", "abc.", "a.[", "a. "] {
        assert!(!sentences(&piece.repeat(100_000)).is_empty());
    }
    assert!(begun.elapsed().as_secs() < 60);
}

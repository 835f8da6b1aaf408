//! Are sentences taken apart as people would, and is anything else told?

use serde::Deserialize;

use super::*;

/// Sentences with their parts, and incomplete ones with what their messages say.
#[derive(Deserialize)]
struct Fixture {
    whole: Vec<Group>,
    incomplete: Vec<Incomplete>,
}

#[derive(Deserialize)]
struct Group {
    stories: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    text: String,
    #[serde(default)]
    role: String,
    situation: String,
    motivation: String,
    outcome: String,
}

#[derive(Deserialize)]
struct Incomplete {
    text: String,
    says: Vec<String>,
}

fn fixture() -> (Vec<Story>, Vec<Incomplete>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jobs/sentences.json");
    let read: Fixture = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    (read.whole.into_iter().flat_map(|group| group.stories).collect(), read.incomplete)
}

#[test]
fn sentences_are_taken_apart() {
    let (stories, _) = fixture();
    let mut wrong = Vec::new();
    for story in &stories {
        let Story { text, role, situation, motivation, outcome } = story;
        let expected = Parts { role, situation, motivation, outcome };
        match parse(text) {
            Ok(parts) if parts == expected => {}
            other => wrong.push(format!("{text}\n  {other:?}\n  {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), stories.len(), wrong.join("\n"));
    assert!(stories.len() >= 60);
}

#[test]
fn what_is_missing_is_named_with_its_place() {
    let mut wrong = Vec::new();
    for Incomplete { text, says: parts } in fixture().1 {
        match parse(&text) {
            Err(error) if error.code() == Code::StorySyntax => {
                let says = |what: &str| error.message().contains(what);
                let others = ["no situation", "no motivation", "no outcome"];
                let more = others.iter().any(|other| says(other) && !parts.iter().any(|part| part == other));
                if more || !parts.iter().all(|part| says(part)) {
                    wrong.push(format!("{text}\n  {error}"));
                }
            }
            other => wrong.push(format!("{text}\n  {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(parse(&"w".repeat(MAX_SENTENCE_BYTES + 1)).unwrap_err().code(), Code::TooLarge);
}

fn is_part(text: &str, part: &str) -> bool {
    let (start, at) = (text.as_ptr() as usize, part.as_ptr() as usize);
    part.is_empty() || (at >= start && at + part.len() <= start + text.len())
}

/// Whatever is given: no panic, parts that stand in the text and do not overlap, or a message about it.
#[test]
fn fuzz_sentences() {
    let inputs = std::env::var("QUORATE_TORTURE_INPUTS").ok().and_then(|n| n.parse::<u64>().ok());
    let pieces = [
        "When ",
        "when ",
        "I want to ",
        "I want ",
        "so I can ",
        "so that ",
        "so ",
        "I ",
        "can ",
        "As a ",
        "nurse",
        ", ",
        ". ",
        "\n",
        "\"",
        "“",
        "”",
        "(",
        ")",
        "[",
        "]",
        "’",
        "'",
        "don't ",
        "want ",
        "to ",
        "if ",
        "once ",
        "in order to ",
        "be able to ",
        "the pump ",
        "alarms ",
        "-",
        "—",
        "…",
        "é",
        "\u{301}",
        "🩺",
        "\u{200b}",
        "\0",
        "İ",
        "ß",
        "3.5",
        "**",
        "and ",
        "know ",
        "me ",
        ":",
        "not ",
        "would like ",
        "every time ",
        "İstanbul ",
        "ﬁ",
        "\u{2028}",
        "名前",
        "،",
    ];
    let (stories, _) = fixture();
    let mut state = 7u64;
    let mut draw = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n.max(1)
    };
    let mut whole = 0;
    for _ in 0..inputs.unwrap_or(20_000) {
        let mut text = match draw(2) {
            0 => stories[draw(stories.len())].text.clone(),
            _ => String::new(),
        };
        for _ in 0..1 + draw(12) {
            let at = text.floor_char_boundary(draw(text.len() + 1));
            let end = text.ceil_char_boundary((at + draw(12)).min(text.len()));
            match draw(4) {
                0 => text.replace_range(at..end, ""),
                1 => text.replace_range(at..end, pieces[draw(pieces.len())]),
                2 => text.push_str(pieces[draw(pieces.len())]),
                _ => text.insert_str(at, pieces[draw(pieces.len())]),
            }
        }
        match parse(&text) {
            Ok(parts) => {
                whole += 1;
                let all = [parts.role, parts.situation, parts.motivation, parts.outcome];
                assert!(all.iter().all(|part| is_part(&text, part)), "{text:?}: {parts:?}");
                assert!(
                    all[1..].iter().all(|part| part.chars().any(char::is_alphanumeric)),
                    "{text:?}: {parts:?}"
                );
                let mut ranges: Vec<(usize, usize)> = all
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| (part.as_ptr() as usize, part.as_ptr() as usize + part.len()))
                    .collect();
                ranges.sort_unstable();
                assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{text:?}: {parts:?}");
            }
            Err(error) => assert_eq!(error.code(), Code::StorySyntax, "{text:?}"),
        }
    }
    assert!(whole > 1_000, "{whole}");
}

/// Texts that make every rule look far come to an end.
#[test]
fn long_texts_come_to_an_end() {
    for piece in ["(-", "\"a", "a\" ", "so ", "when ", "I want to ", "the nurse who ", "[", "’ ‘", "and "]
    {
        let text = piece.repeat(MAX_SENTENCE_BYTES / piece.len());
        assert!(
            parse(&text).is_err() && parse(&format!("When a, I want b, so I can {text}")).is_err(),
            "{piece}"
        );
        let text = piece.repeat(MAX_SENTENCE_BYTES / piece.len() - 20);
        let _ = parse(&format!("When a {text}, I want to b, so I can c"));
    }
}

/// Parts of plain words, put into every form that is understood, come out as they went in.
#[test]
fn every_form_gives_back_its_parts() {
    const FORMS: [&str; 14] = [
        "When {s}, I want to {m}, so I can {o}.",
        "when {s} i want to {m} so that {o}",
        "When {s}, I'd like to {m} so we can {o}",
        "WHENEVER {s}, WE NEED TO {m}, SO THAT WE CAN {o}!",
        "I want to {m} so that {o} when {s}.",
        "I want to {m} when {s} so that {o}",
        "I want to {m}, when {s}, in order to {o}",
        "So that {o}, I want to {m} when {s}.",
        "So that {o}, when {s}, I want to {m}.",
        "In order to {o}, I need to {m} when {s}",
        "When {s}, so that {o}, I would like to {m}",
        "When {s}.\nI want to {m}.\nSo that {o}.",
        "**When** {s}, **I want to** {m}, **so that** {o}",
        "“When {s} — I want to {m}; so as to {o}…”",
    ];
    const WORDS: [&str; 24] = [
        "pump",
        "alarms",
        "42",
        "3.5 mg",
        "patient’s",
        "chart,",
        "dose",
        "ward",
        "naïve",
        "Müller",
        "quickly",
        "re-order",
        "(urgent)",
        "\"North\"",
        "$5",
        "50 %",
        "A/B",
        "ann@example.org",
        "nurse",
        "file",
        "order,",
        "somewhere",
        "today",
        "510(k)",
    ];
    let mut state = 3u64;
    let mut draw = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n.max(1)
    };
    for _ in 0..4_000 {
        let mut part = || {
            let words: Vec<&str> = (0..1 + draw(6)).map(|_| WORDS[draw(WORDS.len())]).collect();
            // Each begins and ends with a plain word, since marks around a part are none of it.
            format!("see {} now", words.join(" "))
        };
        let (situation, motivation, outcome) = (part(), part(), part());
        let form = FORMS[draw(FORMS.len())];
        let text = form.replace("{s}", &situation).replace("{m}", &motivation).replace("{o}", &outcome);
        let parts = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let expected = Parts { role: "", situation: &situation, motivation: &motivation, outcome: &outcome };
        assert_eq!(parts, expected, "{text}");
    }
}

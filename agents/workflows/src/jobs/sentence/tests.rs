use super::*;

/// Sentence, role, situation, motivation, outcome.
const STORIES: &[[&str; 5]] = &[
    // The form itself.
    [
        "When a patient falls, I want to be called, so I can help at once.",
        "",
        "a patient falls",
        "be called",
        "help at once",
    ],
    [
        "When an order is late, I want to see where it is, so I can tell the customer",
        "",
        "an order is late",
        "see where it is",
        "tell the customer",
    ],
    [
        "When the audit comes, we want to show every record, so we can pass",
        "",
        "the audit comes",
        "show every record",
        "pass",
    ],
    [
        "when a lab result arrives i want to read it so i can change the dose",
        "",
        "a lab result arrives",
        "read it",
        "change the dose",
    ],
    ["WHEN THE PUMP ALARMS, I WANT TO KNOW WHY, SO I CAN ACT", "", "THE PUMP ALARMS", "KNOW WHY", "ACT"],
    [
        "When a claim is denied, I would like to appeal, so that the patient is treated.",
        "",
        "a claim is denied",
        "appeal",
        "the patient is treated",
    ],
    [
        "When a claim is denied, I'd like to appeal so that we are paid",
        "",
        "a claim is denied",
        "appeal",
        "we are paid",
    ],
    [
        "When a code is missing, I need a list of the nearest ones so that I can choose",
        "",
        "a code is missing",
        "a list of the nearest ones",
        "choose",
    ],
    [
        "When I start my shift, I need to see open tasks in order to plan my day.",
        "",
        "I start my shift",
        "see open tasks",
        "plan my day",
    ],
    [
        "Whenever stock runs out, I want to reorder, so nobody waits.",
        "",
        "stock runs out",
        "reorder",
        "nobody waits",
    ],
    [
        "Every time a device is returned, I want to record the fault, so that we can learn from it",
        "",
        "a device is returned",
        "record the fault",
        "learn from it",
    ],
    [
        "As soon as results are in, I want to be told, so I can call the patient",
        "",
        "As soon as results are in",
        "be told",
        "call the patient",
    ],
    [
        "If a dose is missed, I want to be reminded, so that I don't miss the next",
        "",
        "If a dose is missed",
        "be reminded",
        "I don't miss the next",
    ],
    [
        "After a recall, I want to find each patient, so we can write to them",
        "",
        "After a recall",
        "find each patient",
        "write to them",
    ],
    [
        "During a night shift, I want to reach a pharmacist, so I can check a dose",
        "",
        "During a night shift",
        "reach a pharmacist",
        "check a dose",
    ],
    // Other orders.
    [
        "I want to reorder supplies so that the ward is never without them when stock runs low",
        "",
        "stock runs low",
        "reorder supplies",
        "the ward is never without them",
    ],
    [
        "I want to get a warning when a patient falls so that I can help",
        "",
        "a patient falls",
        "get a warning",
        "help",
    ],
    [
        "I want to compare sites, so that we recruit in time, when a trial begins.",
        "",
        "a trial begins",
        "compare sites",
        "we recruit in time",
    ],
    [
        "So that nobody is harmed, I want to see interactions when a drug is prescribed",
        "",
        "a drug is prescribed",
        "see interactions",
        "nobody is harmed",
    ],
    [
        "In order to pass the audit, I want to keep every version when a protocol changes",
        "",
        "a protocol changes",
        "keep every version",
        "pass the audit",
    ],
    [
        "When a device is new, so that it reaches the market, I want to know its class",
        "",
        "a device is new",
        "know its class",
        "it reaches the market",
    ],
    [
        "To save time, when a form is long, I want to reuse answers.",
        "",
        "a form is long",
        "reuse answers",
        "save time",
    ],
    [
        "So I can sleep, when the pump alarms, I want to be called.",
        "",
        "the pump alarms",
        "be called",
        "sleep",
    ],
    [
        "I want to see open queries, when a site is audited, so that they can be closed",
        "",
        "a site is audited",
        "see open queries",
        "they can be closed",
    ],
    // Who wants it.
    [
        "As a nurse, when a bed is free, I want to be told, so I can admit the next patient",
        "a nurse",
        "a bed is free",
        "be told",
        "admit the next patient",
    ],
    [
        "As an on-call pharmacist, I want to see the chart so that I can advise when a dose is unclear",
        "an on-call pharmacist",
        "a dose is unclear",
        "see the chart",
        "advise",
    ],
    [
        "As a sponsor when a site enrols nobody I want to replace it so that we finish in time",
        "a sponsor",
        "a site enrols nobody",
        "replace it",
        "we finish in time",
    ],
    [
        "When the pump alarms, the nurse wants to see the reason, so that the infusion goes on",
        "the nurse",
        "the pump alarms",
        "see the reason",
        "the infusion goes on",
    ],
    [
        "As the head of quality, when a complaint is grave, I must report it, so that we keep the law",
        "the head of quality",
        "a complaint is grave",
        "report it",
        "we keep the law",
    ],
    // Words of the form within a part.
    [
        "When I want to go home, I want to call a taxi, so I can leave",
        "",
        "I want to go home",
        "call a taxi",
        "leave",
    ],
    [
        "When a customer says I want to cancel, I want to see the contract, so I can answer",
        "",
        "a customer says I want to cancel",
        "see the contract",
        "answer",
    ],
    [
        "When a patient says \"I want to go home so I can rest\", I want to ask why, so that I understand",
        "",
        "a patient says \"I want to go home so I can rest\"",
        "ask why",
        "I understand",
    ],
    [
        "When there are so many alarms that nobody listens, I want to filter them, so the grave ones are heard",
        "",
        "there are so many alarms that nobody listens",
        "filter them",
        "the grave ones are heard",
    ],
    [
        "When the ward is full, I want to know when a bed will be free, so I can plan",
        "",
        "the ward is full",
        "know when a bed will be free",
        "plan",
    ],
    [
        "When it is late, I want to do what I need to do, so I can go home when I want to",
        "",
        "it is late",
        "do what I need to do",
        "go home when I want to",
    ],
    [
        "When samples, swabs, and so on arrive, I want to sort them, so I can start",
        "",
        "samples, swabs, and so on arrive",
        "sort them",
        "start",
    ],
    [
        "When the dose is raised so that it is over the limit, I want to stop it, so that nobody is harmed",
        "",
        "the dose is raised so that it is over the limit",
        "stop it",
        "nobody is harmed",
    ],
    [
        "When a child is ill, a parent calls, and nobody is there, I want to record the call, the name, and the time, so I can call back, in order, and soon",
        "",
        "a child is ill, a parent calls, and nobody is there",
        "record the call, the name, and the time",
        "call back, in order, and soon",
    ],
    [
        "When I write a protocol, I want to write it so that anyone can read it, so I can share it",
        "",
        "I write a protocol",
        "write it so that anyone can read it",
        "share it",
    ],
    [
        "When the lab (when it is open) calls, I want to answer, so I can act",
        "",
        "the lab (when it is open) calls",
        "answer",
        "act",
    ],
    [
        "When a form asks whether or not I want to pay, I want to see the price, so I can decide",
        "",
        "a form asks whether or not I want to pay",
        "see the price",
        "decide",
    ],
    [
        "When a step is done once a day, I want to be asked at once, so that it is not forgotten",
        "",
        "a step is done once a day",
        "be asked at once",
        "it is not forgotten",
    ],
    [
        "When the patient, who wants to leave, is weak, I want to call the doctor, so she decides",
        "",
        "the patient, who wants to leave, is weak",
        "call the doctor",
        "she decides",
    ],
    // What is not wanted.
    [
        "When I am at work, I don't want to be called, so I can work",
        "",
        "I am at work",
        "don't want to be called",
        "work",
    ],
    [
        "When I fill in a form, I do not want to repeat myself, so that it is quick",
        "",
        "I fill in a form",
        "do not want to repeat myself",
        "it is quick",
    ],
    [
        "When the batch is bad, I want to stop it, so I can't ship it",
        "",
        "the batch is bad",
        "stop it",
        "I can't ship it",
    ],
    [
        "When data are exported, I want to mask names so as not to break the law",
        "",
        "data are exported",
        "mask names",
        "not to break the law",
    ],
    [
        "When I choose a plan, I'd rather be called than read a letter, so I can ask",
        "",
        "I choose a plan",
        "be called than read a letter",
        "ask",
    ],
    // How it is written.
    [
        "“When a patient’s chart is open, I’d like to see allergies, so that I don’t harm them.”",
        "",
        "a patient’s chart is open",
        "see allergies",
        "I don’t harm them",
    ],
    [
        "When the invoice is wrong — as it often is — I want to correct it; so I can be paid…",
        "",
        "the invoice is wrong — as it often is",
        "correct it",
        "be paid",
    ],
    [
        "When a trial begins.\nI want to choose sites.\nSo that we recruit in time.",
        "",
        "a trial begins",
        "choose sites",
        "we recruit in time",
    ],
    [
        "**When** a trial begins, **I want to** choose sites **so I can** recruit",
        "",
        "a trial begins",
        "choose sites",
        "recruit",
    ],
    [
        "- When a trial begins\n- I want to choose sites\n- so I can recruit",
        "",
        "a trial begins",
        "choose sites",
        "recruit",
    ],
    [
        "Story 4: When a trial begins, I want to choose sites, so I can recruit",
        "",
        "a trial begins",
        "choose sites",
        "recruit",
    ],
    [
        "When [a trial begins], I want to [choose sites], so I can [recruit].",
        "",
        "a trial begins",
        "choose sites",
        "recruit",
    ],
    [
        "[When] a trial begins [I want to] choose sites [so I can] recruit",
        "",
        "a trial begins",
        "choose sites",
        "recruit",
    ],
    [
        "  When\ta trial   begins ,I want to choose\r\nsites ,so I can recruit  ",
        "",
        "a trial   begins",
        "choose\r\nsites",
        "recruit",
    ],
    [
        "When the creatinine is > 3.5 mg/dl, I want to see it within 5 min., so I can stop the drug",
        "",
        "the creatinine is > 3.5 mg/dl",
        "see it within 5 min",
        "stop the drug",
    ],
    [
        "When it is below -20 °C, I want to be warned, so that we lose less than 5 %",
        "",
        "it is below -20 °C",
        "be warned",
        "we lose less than 5 %",
    ],
    [
        "When Dr. Ng is away, I want to ask Prof. Li, so I can go on, e.g. when a dose is unclear",
        "",
        "Dr. Ng is away",
        "ask Prof. Li",
        "go on, e.g. when a dose is unclear",
    ],
    [
        "When the naïve Müller GmbH orders 10 × Gerät 7, I want to bill it, so we can ship",
        "",
        "the naïve Müller GmbH orders 10 × Gerät 7",
        "bill it",
        "ship",
    ],
    [
        "My patients are old. When one falls, I want to be called, so I can help",
        "",
        "My patients are old. When one falls",
        "be called",
        "help",
    ],
    [
        "Please help me to find a predicate when a device is new so that we can submit",
        "",
        "a device is new",
        "find a predicate",
        "submit",
    ],
    [
        "When a device is new, help me find a predicate, so that we can submit",
        "",
        "a device is new",
        "find a predicate",
        "submit",
    ],
    [
        "When I get a bill, and I need to pay it, I want to see what it is for, so I am able to check",
        "",
        "I get a bill, and I need to pay it",
        "see what it is for",
        "check",
    ],
    [
        "When a shipment is lost, I want to be able to replace it, so that I'm able to keep my word",
        "",
        "a shipment is lost",
        "replace it",
        "keep my word",
    ],
    [
        "When an adverse event is entered, I want to have it coded and reconciled, so nurses lose no time",
        "",
        "an adverse event is entered",
        "have it coded and reconciled",
        "nurses lose no time",
    ],
];

/// Sentence, and what each message must say of what is missing.
const INCOMPLETE: &[(&str, &[&str])] = &[
    ("", &["no situation", "no motivation", "no outcome", "at its beginning"]),
    ("   \n\t ", &["no situation", "no motivation", "no outcome"]),
    ("Hello world", &["no situation", "no motivation", "no outcome"]),
    ("When a patient falls", &["no motivation", "no outcome", "character 21, behind 'When a patient falls'"]),
    ("When a patient falls, I want to be called", &["no outcome", "behind '..."]),
    ("I want to be called, so I can help", &["no situation", "at its beginning"]),
    ("When a patient falls, so I can help", &["no motivation"]),
    ("When , I want to be called, so I can help", &["no situation"]),
    ("When a patient falls, I want to , so I can help", &["no motivation"]),
    ("When a patient falls, I want to be called, so I can", &["no outcome"]),
    ("When a patient falls, I want to be called, so I can ...", &["no outcome"]),
    ("As a nurse, I want to be called so that I can help", &["no situation", "behind 'As a nurse'"]),
    ("I want to know when my order ships so that I can plan", &["no situation"]),
    ("When a patient falls, I want to know why there are so many falls", &["no outcome"]),
    ("When a patient says \"I want to go home so I can rest\"", &["no motivation", "no outcome"]),
    (
        "Wenn ein Patient stürzt, möchte ich gerufen werden, damit ich helfen kann",
        &["no situation", "no motivation", "no outcome", "in English"],
    ),
    ("when when when", &["no motivation", "no outcome"]),
    ("so that so that so that", &["no situation", "no motivation"]),
    ("I want to I want to I want to", &["no situation", "no outcome"]),
    ("\"\"", &["no situation", "no motivation", "no outcome"]),
];

#[test]
fn sentences_are_taken_apart() {
    let mut wrong = Vec::new();
    for story in STORIES {
        let [text, role, situation, motivation, outcome] = *story;
        let expected = Parts { role, situation, motivation, outcome };
        match parse(text) {
            Ok(parts) if parts == expected => {}
            other => wrong.push(format!("{text}\n  {other:?}\n  {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), STORIES.len(), wrong.join("\n"));
    assert!(STORIES.len() >= 60);
}

#[test]
fn what_is_missing_is_named_with_its_place() {
    let mut wrong = Vec::new();
    for (text, parts) in INCOMPLETE {
        match parse(text) {
            Err(error) if error.code() == Code::StorySyntax => {
                let says = |what: &str| error.message().contains(what);
                let others = ["no situation", "no motivation", "no outcome"];
                let more = others.iter().any(|other| says(other) && !parts.contains(other));
                if more || !parts.iter().all(|part| says(part)) {
                    wrong.push(format!("{text}\n  {error}"));
                }
            }
            other => wrong.push(format!("{text}\n  {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), INCOMPLETE.len(), wrong.join("\n"));
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
    let mut state = 7u64;
    let mut draw = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n.max(1)
    };
    let mut whole = 0;
    for _ in 0..inputs.unwrap_or(20_000) {
        let mut text = match draw(2) {
            0 => STORIES[draw(STORIES.len())][0].to_owned(),
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

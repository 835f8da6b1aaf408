//! Do the one-topic examples say what is written beside them? Python's and Node's tests compare theirs with the same files.

use std::path::Path;

use crate::alone;
use crate::topics::ALL;

#[test]
fn topics_say_what_is_written_beside_them() {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/topics");
    let mut wrong = Vec::new();
    for (name, run) in ALL {
        let mut out = Vec::new();
        let outcome = run(&mut out);
        let said = String::from_utf8_lossy(&out);
        let written = std::fs::read_to_string(folder.join(format!("{name}.txt"))).expect(name);
        if let Err(error) = outcome {
            wrong.push(format!("{name} ends with {error}"));
        } else if said.trim_end() != written.trim_end() {
            wrong.push(format!("{name} says\n{said}in place of\n{written}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_topic_is_there_in_three_languages_and_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/topics");
    let list = std::fs::read_to_string(folder.join("../README.md")).expect("examples/README.md");
    let mut found: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter_map(|file| file.strip_suffix(".txt").map(str::to_owned))
        .collect();
    found.sort();
    let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known, "what is in all.rs, and the files that say what it prints");
    for name in known {
        for language in ["py", "mjs", "rs"] {
            assert!(folder.join(format!("{name}.{language}")).is_file(), "{name}.{language}");
        }
        assert!(list.contains(&format!("| `{name}` |")), "examples/README.md does not list {name}");
    }
}

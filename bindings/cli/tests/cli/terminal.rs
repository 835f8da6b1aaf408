//! Is a terminal safe from what documents say, and are lines as wide as it is?

use super::support::Shell;

const EVIL: &str =
    "Metformin\u{1b}]0;owned\u{7} and \u{1b}[2J\u{9b}31mred\u{202e}txet and more about metformin.";

#[test]
fn nothing_that_a_terminal_obeys_is_written() {
    let shell = Shell::new();
    let added = shell.piped(["add", "-", "--id", "a\u{1b}[31m", "--title", "t\u{7}itle"], EVIL);
    assert_eq!(added.code, 0, "{}", added.err);
    for args in [
        vec!["search", "metformin"],
        vec!["search", "metformin", "--explain"],
        vec!["search", "metformin", "--json"],
        vec!["context", "metformin", "--json"],
        vec!["ask", "What is said about metformin?"],
        vec!["ask", "What is said about metformin?", "--json"],
        vec!["ask", "What is said about metformin?", "--json", "--stream"],
        vec!["runs", "list"],
        vec!["ask", "x", "--agent", "no\u{1b}[31mbody"],
        vec!["ask", "x", "--agent", "no\u{9b}31mbody", "--json"],
        vec!["se\u{1b}[31march"],
        vec!["search", "x", "--kb", "no\u{1b}[31mwhere"],
    ] {
        let said = shell.run(&args);
        for text in [&said.out, &said.err] {
            let obeyed = text.chars().find(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202e}'));
            assert_eq!(obeyed, None, "{args:?}: {text:?}");
        }
    }
    let hit = &shell.json(["search", "metformin"])["hits"][0];
    assert_eq!(hit["text"], EVIL);
    assert_eq!(hit["doc_id"], "a\u{1b}[31m");
}

#[test]
fn lines_are_as_wide_as_columns_say() {
    let shell = Shell::new();
    let wide = "糖尿病の第一選択薬はメトホルミンです。".repeat(20);
    shell.piped(
        ["add", "-", "--id", "japanese", "--title", &"長い題名".repeat(30)],
        format!("metformin {wide}"),
    );
    for columns in [30_usize, 60, 120] {
        for args in [
            vec!["search", "metformin"],
            vec!["agents", "list"],
            vec!["match", "510(k)"],
            vec!["workflows", "list"],
        ] {
            let output = shell.command(&args).env("COLUMNS", columns.to_string()).output().unwrap();
            let out = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && !out.is_empty(), "{args:?}");
            for line in out.lines() {
                let wide: usize = line
                    .chars()
                    .map(|c| {
                        if c.is_ascii() {
                            1
                        } else if c == '\u{2026}' {
                            1
                        } else {
                            2
                        }
                    })
                    .sum();
                assert!(wide <= columns + 2, "{args:?} in {columns}: {wide} {line}");
            }
        }
    }
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let shell = Shell::with_documents();
    let plain = shell.run(["search", "metformin"]);
    assert!(!plain.out.contains('\u{1b}'));
    let always = shell.run(["search", "metformin", "--color", "always"]);
    assert!(always.out.contains("\u{1b}[1m"));
    assert_eq!(always.out.replace("\u{1b}[1m", "").replace("\u{1b}[0m", ""), plain.out);
    let never = shell.run(["search", "metformin", "--color", "never"]);
    assert_eq!(never.out, plain.out);
    // What was asked for counts more than the environment.
    let output =
        shell.command(["search", "metformin", "--color", "always"]).env("NO_COLOR", "1").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains('\u{1b}'));
    assert!(!shell.json(["search", "metformin", "--color", "always"]).to_string().contains('\u{1b}'));
}

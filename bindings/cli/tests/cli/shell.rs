//! Does a shell find what it needs: help, version, completions, and speed?

use std::time::Instant;

use super::support::Shell;

const COMMANDS: [&str; 15] = [
    "init",
    "add",
    "search",
    "context",
    "ask",
    "panel",
    "match",
    "agents",
    "eval",
    "workflows",
    "runs",
    "serve",
    "mcp",
    "doctor",
    "completions",
];

#[test]
fn help_names_every_command_and_shows_examples() {
    let shell = Shell::new();
    let help = shell.run(["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for command in COMMANDS {
        assert!(help.out.contains(&format!("\n  {command}")), "{command}: {}", help.out);
        let own = shell.run([command, "--help"]);
        assert_eq!(own.code, 0, "{command}");
        assert!(own.out.contains("--json") && own.out.contains("--kb"), "{command}: {}", own.out);
    }
    for (command, example) in [
        ("add", "quorate add docs/"),
        ("ask", "--model openai:"),
        ("eval", "questions.jsonl"),
        ("panel", "--html"),
    ] {
        assert!(shell.run([command, "--help"]).out.contains(example), "{command}");
    }
    assert!(help.out.contains("quorate add docs/") && help.out.contains("130 interrupted"));
    let version = shell.run(["--version"]);
    assert_eq!(version.out.trim(), format!("quorate {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(shell.run([] as [&str; 0]).code, 2);
}

#[test]
fn shells_complete() {
    let shell = Shell::new();
    for (name, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef quorate"),
        ("fish", "complete -c quorate"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = shell.run(["completions", name]);
        assert_eq!(script.code, 0);
        assert!(script.out.contains(mark) && script.out.contains("workflows"), "{name}");
    }
}

#[test]
fn help_opens_nothing() {
    let shell = Shell::new();
    let least = (0..5).map(|_| {
        let begun = Instant::now();
        assert_eq!(shell.run(["--help"]).code, 0);
        begun.elapsed()
    });
    // The target is 150 ms on a machine that does nothing else.
    let least = least.min().unwrap();
    assert!(least.as_millis() < 1500, "{least:?}");
    assert!(std::fs::read_dir(shell.path()).unwrap().next().is_none());
}

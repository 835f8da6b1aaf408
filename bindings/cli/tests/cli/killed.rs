//! Is everything there after an interruption, and after a kill at any moment?

use std::time::{Duration, Instant};

use super::support::Shell;

/// Documents that take some seconds to add.
fn many(shell: &Shell) {
    for i in 0..30 {
        let text: String = (0..400)
            .map(|j| {
                format!(
                    "Passage {j} of file {i} is about metformin, kidneys and warfarin number {}.\n\n",
                    i * j
                )
            })
            .collect();
        shell.write(&format!("docs/{i}.txt"), text);
    }
}

#[test]
fn a_kill_while_adding_leaves_a_whole_knowledge_base() {
    let shell = Shell::new();
    many(&shell);
    for wait in [30, 120, 300, 600] {
        let mut child = shell.command(["add", "docs"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        if shell.path().join(".quorate/truth").is_dir() {
            let doctor = shell.run(["doctor", "--json"]);
            // Before its first commit there is nothing.
            assert!(matches!(doctor.code, 0 | 3), "after {wait} ms: {} {}", doctor.out, doctor.err);
        }
    }
    let added = shell.json(["add", "docs"]);
    let number = |name: &str| added[name].as_u64().unwrap();
    assert_eq!(number("added") + number("unchanged") + number("replaced"), 30, "{added}");
    let doctor = shell.json(["doctor"]);
    assert_eq!(
        (doctor["ok"].as_bool(), doctor["stats"]["documents"].as_u64()),
        (Some(true), Some(30)),
        "{doctor}"
    );
}

#[cfg(unix)]
#[test]
fn an_interruption_is_obeyed_and_damages_nothing() {
    let shell = Shell::new();
    many(&shell);
    let child = shell.command(["add", "docs", "--json"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    // It may have been faster.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 130)), "{:?} {said}", output.status);
    assert!(output.status.code() == Some(0) || said.contains("\"cancelled\""), "{said}");
    assert_eq!(shell.run(["add", "docs"]).code, 0);
    assert_eq!(shell.json(["doctor"])["stats"]["documents"], 30);
}

#[cfg(unix)]
#[test]
fn who_waits_for_input_can_be_interrupted() {
    let shell = Shell::new();
    let mut child = shell.command(["add", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take();
    std::thread::sleep(Duration::from_millis(700));
    let begun = Instant::now();
    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(!shell.path().join(".quorate").exists());
    drop(held);
}

#[cfg(unix)]
fn interrupt(process: u32) {
    let sent = std::process::Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

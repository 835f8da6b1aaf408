//! Does each kind of mistake have its exit code, and is it said well?

use std::process::Stdio;

use super::support::{METFORMIN, Shell};

#[test]
fn what_cannot_be_understood_is_usage() {
    let shell = Shell::new();
    for args in [
        vec!["serach", "x"],
        vec!["search"],
        vec!["search", "x", "--mode", "magic"],
        vec!["search", "x", "-k", "many"],
        vec!["add"],
        vec!["ask", "x", "--stream"],
        vec!["agents"],
        vec!["workflows", "decide", "x", "y"],
        vec!["completions", "tcsh"],
        vec!["add", "-", "-"],
        vec!["--colour", "never", "doctor"],
    ] {
        let said = shell.run(&args);
        assert_eq!(said.code, 2, "{args:?}: {}", said.err);
        assert!(said.out.is_empty() && said.err.starts_with("quorate: "), "{args:?}: {}", said.err);
        assert!(said.err.trim_end().ends_with("[usage]"), "{args:?}: {}", said.err);
    }
    let said = shell.run(["serach", "x", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (2, Some("usage")), "{}", said.err);
    assert!(shell.run(["serach"]).err.contains("search"));
}

#[test]
fn what_is_not_there_is_not_made() {
    let shell = Shell::new();
    for args in [
        vec!["search", "x"],
        vec!["context", "x"],
        vec!["ask", "x"],
        vec!["panel", "x"],
        vec!["add", "missing.txt"],
        vec!["add", "docs/", "-"],
        vec!["runs", "show", "nobody"],
        vec!["runs", "cancel", "nobody"],
        vec!["workflows", "status", "nobody"],
        vec!["workflows", "resume", "nobody"],
        vec!["workflows", "show", "nobody"],
        vec!["agents", "show", "nobody"],
        vec!["agents", "add", "nobody.yaml"],
        vec!["doctor"],
    ] {
        let said = shell.piped(&args, "text");
        assert_eq!(said.code, 3, "{args:?}: {} {}", said.out, said.err);
        assert!(!shell.path().join(".quorate").exists(), "{args:?}");
    }
    let said = shell.run(["search", "x", "--json"]);
    assert_eq!(said.error()["code"], "not_found");
    assert!(said.error()["message"].as_str().unwrap().contains("quorate add"));
    let shell = Shell::with_documents();
    let said = shell.run(["ask", "x y", "--agent", "nobody", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (3, Some("unknown_id")), "{}", said.err);
    assert_eq!(shell.run(["panel", "x y", "--member", "nobody", "--member", "else"]).code, 3);
}

#[test]
fn what_cannot_be_used_is_invalid() {
    let shell = Shell::with_documents();
    shell.write("file", "a file");
    for (args, code) in [
        (vec!["search", ""], "empty_input"),
        (vec!["search", "  ", "\n"], "empty_input"),
        (vec!["ask", " "], "empty_input"),
        (vec!["match", ""], "empty_input"),
        (vec!["search", "-"], "empty_input"),
        (vec!["search", "x", "--where", "year >="], "filter_syntax"),
        (vec!["ask", "x", "--where", "year >="], "filter_syntax"),
        (vec!["search", "x", "-k", "200000"], "invalid_argument"),
        (vec!["search", "x", "--min-relevance", "7"], "invalid_argument"),
        (vec!["search", "x", "--kb", "file"], "invalid_argument"),
        (vec!["add", "docs", "--kb", "file"], "invalid_argument"),
        (vec!["add", "docs", "--metadata", "year"], "invalid_argument"),
        (vec!["panel", "x", "--type", "brawl"], "invalid_argument"),
        (vec!["panel", "x", "--quorum", "3"], "invalid_argument"),
        (vec!["ask", "x", "--model", "martian:one"], "invalid_argument"),
        (vec!["ask", "x", "--base-url", "http://127.0.0.1:9"], "invalid_argument"),
        (vec!["ask", "x", "--max-seconds", "-1"], "invalid_argument"),
        (vec!["search", "x", "--tenant", ""], "invalid_argument"),
        (vec!["workflows", "start", "customer_support", "--input", "{"], "invalid_argument"),
        (vec!["ask", "x", "--output", "file"], "invalid_argument"),
    ] {
        let mut all = args.clone();
        all.push("--json");
        let said = shell.run(&all);
        assert_eq!(said.code, 6, "{args:?}: {} {}", said.out, said.err);
        assert_eq!(said.error()["code"], code, "{args:?}: {}", said.err);
        let said = shell.run(&args);
        assert!(said.out.is_empty(), "{args:?}: {}", said.out);
        assert!(said.err.trim_end().ends_with(&format!("[{code}]")), "{args:?}: {}", said.err);
    }
    let said = shell.piped(["search", "-"], [0xff, 0xfe, 0x41]);
    assert!(said.code == 6 && said.err.contains("[invalid_text]"), "{}", said.err);
    assert_eq!(shell.piped(["add", "-", "--kb", "fresh"], "  \n").code, 6);
    assert!(!shell.path().join("fresh").exists());
}

#[cfg(unix)]
#[test]
fn arguments_that_are_no_unicode_are_refused_by_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let shell = Shell::new();
    let odd = OsStr::from_bytes(b"\xff\xfe");
    assert_eq!(shell.run([OsStr::new("search"), odd]).code, 2);
    assert_eq!(shell.run([OsStr::new("search"), OsStr::new("x"), OsStr::new("--kb"), odd]).code, 6);
    // A file may be called so.
    let path = shell.path().join(odd);
    if std::fs::write(&path, METFORMIN).is_ok() {
        let said = shell.run([OsStr::new("add"), odd]);
        assert!(matches!(said.code, 0 | 6), "{} {}", said.code, said.err);
    }
}

#[test]
fn a_second_writer_is_told_and_readers_go_on() {
    let shell = Shell::with_documents();
    // What a writer holds as long as it has the knowledge base open.
    let writer = std::fs::OpenOptions::new().write(true).open(shell.path().join(".quorate/lock")).unwrap();
    writer.lock().unwrap();
    let said = shell.run(["add", "docs/", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (4, Some("locked")), "{}", said.err);
    assert_eq!(shell.json(["search", "metformin", "-k", "1"])["hits"].as_array().unwrap().len(), 1);
    assert_eq!(shell.json(["doctor"])["writer"], true);
    drop(writer);
    assert_eq!(shell.json(["doctor"])["writer"], false);
    assert_eq!(shell.run(["add", "docs/"]).code, 0);
}

#[test]
fn damage_is_found_and_named() {
    let shell = Shell::with_documents();
    let good = shell.json(["doctor"]);
    assert_eq!((good["ok"].as_bool(), good["verify"]["ok"].as_bool()), (Some(true), Some(true)), "{good}");
    assert_eq!(good["stats"]["documents"], 2);
    // One byte in each file of documents.
    let data = shell.path().join(".quorate/truth/documents.lance/data");
    for file in std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(&file, bytes).unwrap();
    }
    let bad = shell.run(["doctor", "--json"]);
    assert_eq!(bad.code, 5, "{} {}", bad.out, bad.err);
    assert_eq!(bad.document()["ok"], false);
    let told = shell.run(["doctor"]);
    assert!(told.code == 5 && told.out.contains("BAD") && told.out.contains("[corrupt]"), "{}", told.out);
    // A knowledge base of which nothing can be read.
    let versions = shell.path().join(".quorate/truth/documents.lance/_versions");
    for file in std::fs::read_dir(&versions).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::write(file, "garbage").unwrap();
    }
    assert_eq!(shell.run(["search", "metformin"]).code, 5);
    assert_eq!(shell.run(["doctor"]).code, 5);
}

#[test]
fn a_service_that_is_not_there_is_the_network() {
    let shell = Shell::with_documents();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command =
        shell.command(["ask", "Which dose?", "--model", "openai:none", "--max-seconds", "5", "--json"]);
    command.arg("--base-url").arg(format!("http://{closed}/v1")).env("OPENAI_API_KEY", "sk-very-secret-key");
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(7 | 8)), "{out} {err}");
    assert!(!out.contains("very-secret") && !err.contains("very-secret"), "{out} {err}");
    let mut doctor = shell.command(["doctor", "--json"]);
    let output = doctor.env("OPENAI_API_KEY", "sk-very-secret-key").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\"OPENAI_API_KEY\":true") && !said.contains("very-secret"), "{said}");
    // Without a price, a budget of money refuses.
    let said = shell.run(["ask", "Which dose?", "--model", "openai:none", "--max-cost", "0.1"]);
    assert_ne!(said.code, 0);
}

#[cfg(unix)]
#[test]
fn who_may_not_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let shell = Shell::new();
    let folder = shell.write("closed/a.txt", "text").parent().unwrap().to_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything.
    let root = std::fs::read_dir(&folder).is_ok();
    let said = shell.run(["add", "closed"]);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(root && said.code == 0 || said.code == 7, "{} {}", said.code, said.err);
    assert!(root || said.err.contains("[permission_denied]"), "{}", said.err);
}

#[test]
fn who_stops_reading_is_not_told_of_it() {
    let shell = Shell::with_documents();
    let mut child = shell.command(["agents", "list", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

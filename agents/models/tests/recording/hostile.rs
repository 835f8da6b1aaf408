//! What does an enemy find in a recording? Each test here fails until its fault is mended.

use super::*;

#[test]
fn a_recording_of_deep_arguments_can_be_read() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(123), "]".repeat(123));
    let server = Server::start(move |_, _| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}});
        refuse(200, &json!({"choices": [{"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}).to_string())
    });
    let recording = record(&path, &[]).unwrap();
    self::model(&server).complete(&question("deep"), &never()).unwrap();
    drop(recording);
    let replaying = replay(&path);
    assert!(replaying.is_ok(), "{replaying:?}");
}

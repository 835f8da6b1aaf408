//! Does the store in memory forget what it may, and nothing else?

use super::*;

#[test]
fn runs_that_have_ended_are_forgotten_beyond_the_newest_thousand() {
    let memory = Arc::new(Memory::new());
    for i in 0..1_500 {
        let id = format!("r{i}");
        let new = NewRun { id: Some(&id), kind: "k", key: Some(&id), ..NewRun::default() };
        let Begun::New(run) = memory.begin(&new, &[Entry::new(1, "e", i)]).unwrap() else { panic!() };
        run.append(&[], Some("done")).unwrap();
    }
    let new = NewRun { id: Some("open"), kind: "k", ..NewRun::default() };
    drop(memory.begin(&new, &[]).unwrap());
    let runs = memory.runs(None, None).unwrap();
    assert_eq!((runs.len(), runs[0].id.as_str()), (1_001, "r500"));
    assert_eq!(runs[1_000].status, "interrupted");
    let tables = lock(&memory.0);
    assert_eq!((tables.ids.len(), tables.keys.len(), tables.runs.len()), (1_001, 1_000, 1_001));
}

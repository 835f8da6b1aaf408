//! Is the log of a table what was written, also after it was rewritten, pruned, or overtaken?

use quorate_core::Cancel;

use super::*;

const DIM: usize = 4;

fn put(seq: u64, id: &str, chunks: u32) -> Numbered {
    let text = format!("text of {id}").repeat(chunks as usize);
    let span = |i: u32| Span { start: i, end: i + 1, headings: String::new() };
    let record = Record {
        id: id.to_owned(),
        title: String::new(),
        source: String::new(),
        metadata: "{}".to_owned(),
        text,
        chunks: (0..chunks).map(span).collect(),
        vectors: vec![seq as f32; DIM * chunks as usize],
    };
    Numbered { seq, entry: Entry::Put(record) }
}

fn gone(seq: u64, ids: &[&str]) -> Numbered {
    Numbered { seq, entry: Entry::Delete(ids.iter().map(|&id| id.to_owned()).collect()) }
}

fn database(folder: &Path) -> Database {
    Database::connect(folder.to_str().unwrap(), &HashMap::new(), true).unwrap()
}

/// An object store, as far as anything here knows.
fn remote(folder: &Path) -> Database {
    let uri = format!("file-object-store://{}", folder.display());
    Database::connect(&uri, &HashMap::new(), true).unwrap()
}

#[test]
fn rewriting_keeps_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut table = database.create("t", DIM, HashMap::new()).unwrap();
    table.append(&[put(0, "a", 1), put(1, "b", 3), put(4, "c", 1)]).unwrap();
    table.append(&[gone(5, &["a"]), put(6, "b", 2)]).unwrap();
    table.append(&[put(8, "a", 1), gone(9, &["c", "d"]), put(10, "d", 1)]).unwrap();
    let plan = table.plan_rewrite(9).unwrap();
    assert_eq!((plan.documents(), plan.rows(), table.rows()), (3, 5, 11));
    let cancel = Cancel::new();
    cancel.cancel();
    assert_eq!(table.rewrite(&plan, &cancel).unwrap_err().code(), Code::Cancelled);
    assert_eq!((table.rows(), table.base_seq()), (11, 0));
    table.rewrite(&plan, &Cancel::new()).unwrap();
    let kept = [put(6, "b", 2), put(8, "a", 1), gone(9, &["c", "d"]), put(10, "d", 1)];
    assert_eq!(table.read(0).unwrap(), kept);
    assert_eq!((table.rows(), table.base_seq(), table.fragments()), (5, 9, 1));
    assert_eq!(table.read(9).unwrap(), kept[2..]);
    // The plan was for the version before.
    assert!(table.rewrite(&plan, &Cancel::new()).is_err());
    let plan = table.plan_rewrite(11).unwrap();
    table.rewrite(&plan, &Cancel::new()).unwrap();
    assert_eq!(table.rows(), 4);
    table.prune(1).unwrap();
    let again = database.open("t").unwrap().unwrap();
    assert_eq!((again.read(0).unwrap().len(), again.base_seq(), again.versions().unwrap().len()), (3, 11, 1));
    // Nothing of the past is left.
    let count = |name: &str| {
        let entries = std::fs::read_dir(folder.path().join("t.lance").join(name)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "latest_version_hint.json")
            .count()
    };
    assert_eq!((count("data"), count("_versions")), (1, 1));
}

#[test]
fn a_table_of_nothing_can_be_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = database(folder.path()).create("t", DIM, HashMap::new()).unwrap();
    table.append(&[put(0, "a", 2)]).unwrap();
    table.append(&[gone(2, &["a"])]).unwrap();
    let plan = table.plan_rewrite(3).unwrap();
    assert_eq!(plan.rows(), 0);
    table.rewrite(&plan, &Cancel::new()).unwrap();
    assert!(table.read(0).unwrap().is_empty());
    table.append(&[put(3, "b", 1)]).unwrap();
    assert_eq!(table.read(0).unwrap(), [put(3, "b", 1)]);
}

#[test]
fn who_was_overtaken_is_refused_and_tables_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut one = database.create("one", DIM, HashMap::new()).unwrap();
    let mut two = database.create("two", DIM, HashMap::new()).unwrap();
    let mut other = database.open("one").unwrap().unwrap();
    let guard = one.commits.only(one.version() + 1);
    two.append(&[put(0, "a", 1)]).unwrap();
    drop(guard);
    one.append(&[put(0, "a", 1)]).unwrap();
    assert_eq!(other.append(&[put(0, "b", 1)]).unwrap_err().code(), Code::VersionConflict);
    assert!(other.refresh().unwrap());
    other.append(&[put(1, "b", 1)]).unwrap();
    assert_eq!(other.read(0).unwrap().len(), 2);
    assert_eq!(
        database.create("one", DIM, HashMap::new()).map(|_| ()).unwrap_err().code(),
        Code::VersionConflict
    );
}

/// Another machine has uploaded rows and has not committed them yet, when this one prunes.
#[test]
fn pruning_an_object_store_leaves_what_is_not_committed_yet() {
    let folder = tempfile::tempdir().unwrap();
    let database = remote(folder.path());
    let mut table = database.create("t", DIM, HashMap::new()).unwrap();
    for seq in 0..3 {
        table.append(&[put(seq, &format!("d{seq}"), 1)]).unwrap();
    }
    let other = database.open("t").unwrap().unwrap();
    let batches = schema::encode(&other.schema, DIM, &[put(3, "late", 1)]).unwrap();
    let uploaded = block_on(async {
        InsertBuilder::new(other.dataset.clone())
            .with_params(&write_params(WriteMode::Append))
            .execute_uncommitted(batches)
            .await
            .map_err(|e| writing(e, "t"))
    })
    .unwrap();
    let plan = table.plan_rewrite(3).unwrap();
    table.rewrite(&plan, &Cancel::new()).unwrap();
    table.prune(1).unwrap();
    assert_eq!(table.versions().unwrap().len(), 1);
    let lance::dataset::transaction::Operation::Append { fragments } = &uploaded.operation else {
        panic!("an append")
    };
    for file in fragments.iter().flat_map(|f| &f.files) {
        assert!(folder.path().join("t.lance/data").join(&file.path).exists(), "{}", file.path);
    }
}

#[test]
fn odd_names_of_folders_are_what_they_say() {
    let home = tempfile::tempdir().unwrap();
    for name in [
        "two words",
        "hash#1",
        "100%25 done%",
        "ünïcode ☃",
        "question?mark",
        "[x]",
        "a+b&c=d",
        "plus:colon",
        "back\\slash",
        "'quote'",
    ] {
        let folder = home.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut table = database(&folder).create("t", DIM, HashMap::new()).unwrap();
        table.append(&[put(0, "a", 1)]).unwrap();
        assert!(folder.join("t.lance/_versions").is_dir(), "{name}");
        assert_eq!(database(&folder).open("t").unwrap().unwrap().read(0).unwrap().len(), 1, "{name}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 10);
}

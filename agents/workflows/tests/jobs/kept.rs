use std::sync::Arc;

use quorate_state::StateStore;
use quorate_workflows::flow::ManualClock;
use quorate_workflows::jobs::{JobStory, Outcome, Stories, StoryStatus};

fn story() -> JobStory {
    let outcome = |metric: &str, baseline, target| Outcome {
        metric: metric.to_owned(),
        baseline: Some(baseline),
        target,
        ..Outcome::default()
    };
    JobStory {
        outcomes: vec![
            outcome("hours", 30.0, Some(4.0)),
            outcome("share", 0.5, Some(0.9)),
            outcome("calls", 9.0, None),
        ],
        ..JobStory::parse("When an order is late, I want to see where it is, so I can tell the customer")
            .unwrap()
    }
}

#[test]
fn the_status_follows_from_the_newest_measurements() {
    let clock = Arc::new(ManualClock::new(1_000.0));
    let stories = Stories::new(StateStore::memory(), None).with_clock(clock.clone());
    let id = stories.add(&story()).unwrap().id;
    let status = |metric: &str, value: f64| stories.outcome(&id, metric, value).unwrap().story.status;
    assert_eq!(stories.get(&id).unwrap().story.status, StoryStatus::Open);
    assert_eq!(status("hours", 3.0), StoryStatus::Measuring);
    assert_eq!(status("calls", 3.0), StoryStatus::Measuring);
    assert_eq!(status("share", 0.9), StoryStatus::Achieved);
    // It was reached once; now it is not.
    assert_eq!(status("hours", 5.0), StoryStatus::Measuring);
    assert_eq!(status("hours", 4.0), StoryStatus::Achieved);
    let kept = stories.get(&id).unwrap();
    let hours: Vec<(f64, Option<bool>)> = kept.history("hours").map(|one| (one.value, one.reached)).collect();
    // At one and the same time, in the order of writing.
    assert_eq!(hours, [(3.0, Some(true)), (5.0, Some(false)), (4.0, Some(true))]);
    assert_eq!(kept.latest("calls").unwrap().reached, None);
    assert_eq!((kept.added, kept.measurements.len()), (1_000.0, 5));

    assert_eq!(stories.abandon(&id, true).unwrap().story.status, StoryStatus::Abandoned);
    assert_eq!(status("hours", 1.0), StoryStatus::Abandoned);
    assert_eq!(stories.abandon(&id, false).unwrap().story.status, StoryStatus::Achieved);
    assert_eq!(stories.list(Some(StoryStatus::Achieved)).unwrap().len(), 1);
    assert_eq!(stories.list(Some(StoryStatus::Open)).unwrap(), []);
}

#[test]
fn what_cannot_be_measured_is_refused_and_nothing_is_kept_of_it() {
    let stories = Stories::new(StateStore::memory(), None);
    let id = stories.add(&story()).unwrap().id;
    let code =
        |id: &str, metric: &str, value| stories.outcome(id, metric, value).unwrap_err().code().as_str();
    assert_eq!(code(&id, "hour", 1.0), "not_found");
    assert_eq!(code(&id, " ", 1.0), "invalid_argument");
    assert_eq!(code(&id, &"x".repeat(1_000), 1.0), "too_large");
    assert_eq!(code(&id, "hours", f64::NAN), "not_finite");
    assert_eq!(code(&id, "hours", f64::INFINITY), "not_finite");
    for unknown in ["", "nobody", &"x".repeat(600)] {
        assert_eq!(code(unknown, "hours", 1.0), "unknown_id");
        assert_eq!(stories.get(unknown).unwrap_err().code().as_str(), "unknown_id");
        assert_eq!(stories.remove(unknown).unwrap_err().code().as_str(), "unknown_id");
        assert_eq!(stories.abandon(unknown, true).unwrap_err().code().as_str(), "unknown_id");
    }
    assert_eq!(stories.get(&id).unwrap().measurements, []);
    let empty = JobStory { motivation: " ".into(), ..story() };
    assert_eq!(stories.add(&empty).unwrap_err().code().as_str(), "invalid_argument");
    assert_eq!(stories.list(None).unwrap().len(), 1);
    // A story without outcomes is measured by anything.
    let free = stories.add(&JobStory { outcomes: vec![], ..story() }).unwrap().id;
    assert_eq!(stories.outcome(&free, "anything", -1.0).unwrap().story.status, StoryStatus::Measuring);
}

#[test]
fn stories_outlive_the_store_and_belong_to_their_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let open = || StateStore::open(folder.path()).unwrap();
    let (first, second) = {
        let store = open();
        let (a, b) = (Stories::new(store.clone(), Some("a")), Stories::new(store, Some("b")));
        let abandoned = JobStory { status: StoryStatus::Abandoned, ..story() };
        let ids = (a.add(&story()).unwrap().id, a.add(&abandoned).unwrap().id);
        a.outcome(&ids.0, "hours", 12.0).unwrap();
        assert_eq!(b.outcome(&ids.0, "hours", 1.0).unwrap_err().code().as_str(), "unknown_id");
        ids
    };
    let a = Stories::new(open(), Some("a"));
    a.outcome(&first, "hours", 3.0).unwrap();
    let kept = a.list(None).unwrap();
    let told: Vec<(&str, StoryStatus)> = kept.iter().map(|one| (one.id.as_str(), one.story.status)).collect();
    assert_eq!(told, [(first.as_str(), StoryStatus::Measuring), (second.as_str(), StoryStatus::Abandoned)]);
    assert_eq!(kept[0].history("hours").map(|one| one.value).collect::<Vec<_>>(), [12.0, 3.0]);
    assert_eq!(kept[0].story, JobStory { status: StoryStatus::Measuring, ..story() });
    for other in [None, Some("b")] {
        assert_eq!(Stories::new(open(), other).list(None).unwrap(), []);
    }
    a.remove(&first).unwrap();
    assert_eq!(a.get(&first).unwrap_err().code().as_str(), "unknown_id");
    assert_eq!(a.list(None).unwrap().len(), 1);
}

/// Measurements that many write at once through stores of their own: each is there.
#[test]
fn no_measurement_overwrites_another() {
    let folder = tempfile::tempdir().unwrap();
    let first = Stories::new(StateStore::open(folder.path()).unwrap(), None);
    let id = first.add(&story()).unwrap().id;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let stories = Stories::new(StateStore::open(folder.path()).unwrap(), None);
            let id = &id;
            scope.spawn(move || {
                for i in 0..25 {
                    stories.outcome(id, "hours", f64::from(thread * 100 + i)).unwrap();
                }
            });
        }
    });
    let kept = first.get(&id).unwrap();
    assert_eq!(kept.measurements.len(), 100);
    for thread in 0..4 {
        let of_thread = |one: &f64| *one >= f64::from(thread * 100) && *one < f64::from(thread * 100 + 100);
        let own: Vec<f64> = kept.history("hours").map(|one| one.value).filter(of_thread).collect();
        assert!(own.len() == 25 && own.is_sorted(), "{own:?}");
    }
}

/// What a newer release wrote is no damage, and what is damaged is told.
#[test]
fn what_cannot_be_read_is_told_with_its_story() {
    let store = StateStore::memory();
    let stories = Stories::new(store.clone(), None);
    let id = stories.add(&story()).unwrap().id;
    let (key, mut value) = store.list(None, "jobs.stories").unwrap().remove(0);
    assert!(key == id && value["format"] == 1);
    for (format, code) in [(2, "format_version"), (1, "corrupt")] {
        value["format"] = format.into();
        value["story"]["later"] = true.into();
        store.put(None, "jobs.stories", &id, &value).unwrap();
        let error = stories.get(&id).unwrap_err();
        assert!(error.code().as_str() == code && error.message().contains(&id), "{error}");
        assert_eq!(stories.list(None).unwrap_err().code().as_str(), code);
        assert_eq!(stories.outcome(&id, "hours", 1.0).unwrap_err().code().as_str(), code);
    }
}

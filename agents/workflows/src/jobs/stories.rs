//! What has become of the stories that were written down?
//!
//! A story, what was decided about it, and each measurement are values of their own in the store: nobody who writes one of them
//! can undo what another has written at the same time. The status follows from them when it is read.

use std::fmt;
use std::sync::Arc;

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::{StateStore, fresh_id};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::story::{JobStory, Outcome, StoryStatus};
use crate::flow::{Clock, SystemClock};

/// Stories by id.
const STORIES: &str = "jobs.stories";
/// What was decided about them, by id.
const DECIDED: &str = "jobs.decided";
/// Before the id of a story: the space of its measurements.
const MEASURED: &str = "jobs.measured.";
/// The format of what is stored.
const FORMAT: u32 = 1;
/// The longest id of a story, in bytes: with the name of its space it is a name of the store.
const MAX_ID_BYTES: usize = 200;

/// The stories of a tenant in a store, with all that was measured. It may be used from any thread, and by any number of processes.
///
/// ```
/// use quorate_state::StateStore;
/// use quorate_workflows::jobs::{JobStory, Outcome, Stories, StoryStatus};
/// let stories = Stories::new(StateStore::memory(), None);
/// let mut story = JobStory::parse("When an order is late, I want to see where it is, so I can tell the customer")?;
/// story.outcomes = vec![Outcome { metric: "hours".into(), baseline: Some(30.0), target: Some(4.0), ..Default::default() }];
///
/// let id = stories.add(&story)?.id;
/// assert_eq!(stories.outcome(&id, "hours", 12.0)?.story.status, StoryStatus::Measuring);
/// let kept = stories.outcome(&id, "hours", 3.0)?;
/// assert_eq!(kept.story.status, StoryStatus::Achieved);
/// assert_eq!(kept.history("hours").map(|one| one.value).collect::<Vec<_>>(), [12.0, 3.0]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Stories {
    store: StateStore,
    tenant: Option<String>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Stories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stories").field("store", &self.store).field("tenant", &self.tenant).finish()
    }
}

/// A story as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptStory {
    /// By which it is named.
    pub id: String,
    /// When it was added, in seconds since 1970.
    pub added: f64,
    /// What it says, with its status as it is now.
    pub story: JobStory,
    /// Everything that was measured, the oldest first.
    pub measurements: Vec<Measurement>,
}

/// What was measured once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What.
    pub metric: String,
    /// How much.
    pub value: f64,
    /// When, in seconds since 1970.
    pub time: f64,
    /// Whether it reaches the target of the story's outcome; none where that has none.
    pub reached: Option<bool>,
}

impl KeptStory {
    /// The measurements of a metric, the oldest first.
    pub fn history(&self, metric: &str) -> impl Iterator<Item = &Measurement> {
        let metric = metric.to_owned();
        self.measurements.iter().filter(move |one| one.metric == metric)
    }

    /// The newest measurement of a metric.
    pub fn latest(&self, metric: &str) -> Option<&Measurement> {
        self.measurements.iter().rev().find(|one| one.metric == metric)
    }
}

/// A story as it is stored.
#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    added: f64,
    story: JobStory,
}

/// A measurement as it is stored.
#[derive(Serialize, Deserialize)]
struct Measured {
    format: u32,
    /// One more than that of any that was there before: clocks may go back, and differ between machines.
    number: u64,
    metric: String,
    value: f64,
    time: f64,
}

impl Stories {
    /// The stories of a tenant; `None`: those of nobody.
    pub fn new(store: StateStore, tenant: Option<&str>) -> Stories {
        Stories { store, tenant: tenant.map(str::to_owned), clock: Arc::new(SystemClock) }
    }

    /// The same with another clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Stories {
        Stories { clock, ..self }
    }

    /// Keeps a story under an id of its own. It is on the disk when this returns. A status beside `abandoned` follows from what is
    /// measured, and counts for nothing here.
    ///
    /// Errors: those of [`JobStory::validate`] and of [`StateStore::put`].
    pub fn add(&self, story: &JobStory) -> Result<KeptStory> {
        story.validate()?;
        let (id, added) = (fresh_id(), self.now()?);
        let abandoned = story.status == StoryStatus::Abandoned;
        if abandoned {
            // First: whoever finds the story finds it abandoned.
            self.put(DECIDED, &id, &StoryStatus::Abandoned)?;
        }
        self.put(STORIES, &id, &Written { format: FORMAT, added, story: story.clone() })?;
        let status = if abandoned { StoryStatus::Abandoned } else { StoryStatus::Open };
        Ok(KeptStory { id, added, story: JobStory { status, ..story.clone() }, measurements: Vec::new() })
    }

    /// A story with all that was measured. Errors: `unknown_id`, `corrupt`, `io`.
    pub fn get(&self, id: &str) -> Result<KeptStory> {
        let written = self.written(id)?;
        self.kept(id, written)
    }

    /// All stories, the oldest first; with `status`, those that have it. Errors: `corrupt`, `io`.
    pub fn list(&self, status: Option<StoryStatus>) -> Result<Vec<KeptStory>> {
        let mut all = Vec::new();
        for (id, value) in self.store.list(self.tenant(), STORIES)? {
            // One that is removed meanwhile is there as it was.
            let kept = self.kept(&id, read(value, &id)?)?;
            if status.is_none_or(|status| kept.story.status == status) {
                all.push(kept);
            }
        }
        all.sort_by(|a, b| a.added.total_cmp(&b.added).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    /// Keeps a measurement beside the earlier ones. It is on the disk when this returns. A story that states outcomes is measured
    /// by their metrics alone, so that none is misspelt; any other story by any metric.
    ///
    /// Errors: `unknown_id` for the story; `not_found` for a metric that is none of the story's, with those that are; `not_finite`;
    /// `invalid_argument` for a metric without a name, `too_large`; those of [`StateStore::put`].
    pub fn outcome(&self, id: &str, metric: &str, value: f64) -> Result<KeptStory> {
        let written = self.written(id)?;
        if metric.trim().is_empty() {
            return Err(Error::invalid("the metric is empty; name what was measured"));
        }
        if metric.len() > super::MAX_NAME_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!("the metric has {} bytes, {} are possible", metric.len(), super::MAX_NAME_BYTES),
            ));
        }
        if !value.is_finite() {
            return Err(Error::new(
                Code::NotFinite,
                format!("the value of '{}' is {value}, expected a finite number", shorten(metric)),
            ));
        }
        let outcomes = &written.story.outcomes;
        if !outcomes.is_empty() && !outcomes.iter().any(|outcome| outcome.metric == metric) {
            let known: Vec<String> =
                outcomes.iter().map(|outcome| format!("'{}'", shorten(&outcome.metric))).collect();
            return Err(Error::new(
                Code::NotFound,
                format!(
                    "the story has no outcome '{}'; it is measured by {}",
                    shorten(metric),
                    known.join(", ")
                ),
            ));
        }
        let time = self.now()?;
        let number = self.measured(id)?.last().map_or(0, |(last, _)| last.number).saturating_add(1);
        self.put(
            &measured(id),
            &fresh_id(),
            &Measured { format: FORMAT, number, metric: metric.to_owned(), value, time },
        )?;
        self.kept(id, written)
    }

    /// Says that nobody wants it any more, or with `false` that somebody does again; what was measured stays.
    /// Errors: `unknown_id`; those of [`StateStore::put`].
    pub fn abandon(&self, id: &str, abandoned: bool) -> Result<KeptStory> {
        let written = self.written(id)?;
        self.put(DECIDED, id, &if abandoned { StoryStatus::Abandoned } else { StoryStatus::Open })?;
        self.kept(id, written)
    }

    /// Removes a story and all that was measured; no file of the store has a byte of them when this returns.
    /// Errors: `unknown_id`; those of [`StateStore::remove`].
    pub fn remove(&self, id: &str) -> Result<()> {
        self.written(id)?;
        let space = measured(id);
        let clear = || -> Result<()> {
            for (key, _) in self.store.list(self.tenant(), &space)? {
                self.store.remove(self.tenant(), &space, &key)?;
            }
            self.store.remove(self.tenant(), DECIDED, id)?;
            Ok(())
        };
        // The story behind what belongs to it: whoever is interrupted finds it, and can remove it again.
        clear()?;
        self.store.remove(self.tenant(), STORIES, id)?;
        // What others have written meanwhile.
        clear()
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    fn now(&self) -> Result<f64> {
        let now = self.clock.now();
        match now.is_finite() {
            true => Ok(now),
            false => {
                Err(Error::new(Code::NotFinite, format!("the clock says {now}, expected seconds since 1970")))
            }
        }
    }

    fn put(&self, space: &str, key: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)
            .map_err(|e| Error::with_source(Code::Internal, format!("a story cannot be written: {e}"), e))?;
        self.store.put(self.tenant(), space, key, &value)
    }

    fn written(&self, id: &str) -> Result<Written> {
        let unknown = || Error::new(Code::UnknownId, format!("no story has the id '{}'", shorten(id)));
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(unknown());
        }
        read(self.store.get(self.tenant(), STORIES, id)?.ok_or_else(unknown)?, id)
    }

    /// In their order, each with its key.
    fn measured(&self, id: &str) -> Result<Vec<(Measured, String)>> {
        let mut found = Vec::new();
        for (key, value) in self.store.list(self.tenant(), &measured(id))? {
            found.push((read::<Measured>(value, id)?, key));
        }
        // Those that were written at the same time by several have the same number.
        found.sort_by(|(a, x), (b, y)| {
            a.number.cmp(&b.number).then_with(|| a.time.total_cmp(&b.time)).then_with(|| x.cmp(y))
        });
        Ok(found)
    }

    fn kept(&self, id: &str, Written { added, mut story, .. }: Written) -> Result<KeptStory> {
        let found = self.measured(id)?;
        let of = |metric: &str| story.outcomes.iter().find(|outcome| outcome.metric == metric);
        let measurements: Vec<Measurement> = found
            .into_iter()
            .map(|(one, _)| Measurement {
                reached: of(&one.metric).and_then(|outcome| outcome.reached(one.value)),
                metric: one.metric,
                value: one.value,
                time: one.time,
            })
            .collect();
        let decided = self.store.get(self.tenant(), DECIDED, id)?;
        let decided = decided.map(|value| read::<StoryStatus>(value, id)).transpose()?;
        story.status = match decided {
            Some(StoryStatus::Abandoned) => StoryStatus::Abandoned,
            _ => status(&story.outcomes, &measurements),
        };
        Ok(KeptStory { id: id.to_owned(), added, story, measurements })
    }
}

fn measured(id: &str) -> String {
    format!("{MEASURED}{id}")
}

/// Errors: `corrupt`; `format_version` where a newer release wrote it.
fn read<T: DeserializeOwned>(value: Value, id: &str) -> Result<T> {
    let format = value.get("format").and_then(Value::as_u64).unwrap_or(u64::from(FORMAT));
    if format > u64::from(FORMAT) {
        return Err(Error::new(
            Code::FormatVersion,
            format!("the story '{id}' is in format {format}; this release reads {FORMAT}: use a newer one"),
        ));
    }
    serde_json::from_value(value).map_err(|e| {
        let message =
            format!("what is stored of the story '{id}' cannot be read: {e}; restore it from a copy");
        Error::with_source(Code::Corrupt, message, e)
    })
}

fn status(outcomes: &[Outcome], measurements: &[Measurement]) -> StoryStatus {
    if measurements.is_empty() {
        return StoryStatus::Open;
    }
    let mut aims = outcomes.iter().filter(|outcome| outcome.target.is_some()).peekable();
    let any = aims.peek().is_some();
    let all = aims.all(|outcome| {
        let latest = measurements.iter().rev().find(|one| one.metric == outcome.metric);
        latest.is_some_and(|one| one.reached == Some(true))
    });
    if any && all { StoryStatus::Achieved } else { StoryStatus::Measuring }
}

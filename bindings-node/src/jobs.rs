//! How does Node say what somebody tries to get done?

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::Result;
use quorate::workflows::jobs::{JobStory, Stories};
use quorate_bindings::{Host, jobs};
use serde_json::Value;

use crate::convert::{Out, arg, boolean, marked, number, text};
use crate::door::{Held, Lane, Promised, promise, quick};
use crate::embed::Opening;
use crate::errors::{OrThrow, Thrown};
use crate::hands::said;
use crate::runtime::maybe;
use crate::state::NativeStateStore;
use crate::workflow::NativeWorkflowEngine;

const HOST: Host = Host::Node;

/// The stories of a store.
#[napi(js_name = "Stories")]
pub struct NativeStories(Held<Opening<Stories>>);

fn written(found: Value) -> Out {
    Out::Text(marked(found).to_string())
}

fn story_of(env: &Env, given: &Unknown<'_>) -> Result<JobStory, Thrown> {
    jobs::story(HOST, arg(env, given, "the story", said)?).or_throw()
}

/// All members of a story, checked, as JSON.
#[napi]
pub fn check_story(env: Env, story: Unknown<'_>) -> Result<String, Thrown> {
    let story = story_of(&env, &story)?;
    quick(|| Ok(jobs::shown(HOST, &story).to_string()))
}

/// The members of the story that a sentence tells, as JSON.
#[napi]
pub fn parse_story(env: Env, sentence: Unknown<'_>) -> Result<String, Thrown> {
    let sentence = arg(&env, &sentence, "the sentence", text)?;
    quick(|| Ok(jobs::shown(HOST, &JobStory::parse(&sentence)?).to_string()))
}

/// The draft of a workflow for a story, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn generate(
    env: Env,
    engine: &NativeWorkflowEngine,
    story: Unknown<'_>,
    kind: Unknown<'_>,
    customization: Unknown<'_>,
) -> Result<Promised, Thrown> {
    let story = story_of(&env, &story)?;
    let kind = maybe(&env, &kind, "type")?;
    let customization = arg(&env, &customization, "customization", said)?;
    let engine = engine.opening();
    promise(&env, Lane::Slow, move || {
        let draft = jobs::generate(&engine.get()?, &story, kind.as_deref(), &customization)?;
        Ok(written(jobs::draft(HOST, &draft)))
    })
}

impl NativeStories {
    fn ask(
        &self,
        env: &Env,
        work: impl FnOnce(&Stories) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let stories = self.0.clone();
        promise(env, Lane::Slow, move || work(&stories.get()?))
    }
}

#[napi]
impl NativeStories {
    /// The stories of a store, which may be opening.
    #[napi(factory)]
    pub fn of(store: &NativeStateStore) -> Result<NativeStories, Thrown> {
        let (store, tenant) = (store.opening().or_throw()?, store.given.tenant.clone());
        let open = move || Ok(Stories::new(store.get()?, tenant.as_deref()));
        Ok(NativeStories(Held::new(Opening::start(open).or_throw()?)))
    }

    /// Keeps a story, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn add(&self, env: Env, story: Unknown<'_>) -> Result<Promised, Thrown> {
        let story = story_of(&env, &story)?;
        self.ask(&env, move |stories| Ok(written(jobs::kept(HOST, &stories.add(&story)?))))
    }

    /// A story, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn get(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.ask(&env, move |stories| Ok(written(jobs::kept(HOST, &stories.get(&id)?))))
    }

    /// All stories with a status, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn list(&self, env: Env, status: Unknown<'_>) -> Result<Promised, Thrown> {
        let status = maybe(&env, &status, "status")?;
        let status = status.as_deref().map(jobs::status).transpose().or_throw()?;
        self.ask(&env, move |stories| {
            Ok(written(stories.list(status)?.iter().map(|one| jobs::kept(HOST, one)).collect()))
        })
    }

    /// Keeps a measurement; the story, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn outcome(
        &self,
        env: Env,
        id: Unknown<'_>,
        metric: Unknown<'_>,
        value: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (id, metric) = (arg(&env, &id, "id", text)?, arg(&env, &metric, "metric", text)?);
        let value = arg(&env, &value, "value", number)?;
        self.ask(&env, move |stories| Ok(written(jobs::kept(HOST, &stories.outcome(&id, &metric, value)?))))
    }

    /// Says that nobody wants it any more, or that somebody does again; the story, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn abandon(&self, env: Env, id: Unknown<'_>, abandoned: Unknown<'_>) -> Result<Promised, Thrown> {
        let (id, abandoned) = (arg(&env, &id, "id", text)?, arg(&env, &abandoned, "abandoned", boolean)?);
        self.ask(&env, move |stories| Ok(written(jobs::kept(HOST, &stories.abandon(&id, abandoned)?))))
    }

    /// Removes a story.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn remove(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.ask(&env, move |stories| stories.remove(&id).map(|()| Out::Nothing))
    }
}

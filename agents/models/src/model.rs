//! What is a model, and how is it asked as a whole?

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::http::{Address, Secret};
use quorate_core::{Cancel, Code, Error, Result, shorten};

use crate::output;
use crate::price::{Price, known_price};
use crate::provider::{AttemptLimits, Failure, OutputWay, Provider, TokenCount, Used};
use crate::record;
use crate::reply::{Finish, Reply, Usage};
use crate::request::Request;
use crate::resilience::{Admission, CallTime, Clock, Guard, Resilience, SystemClock};
use crate::stream::Stream;
use crate::tokens;
use crate::wire::{self, ServiceOptions};

/// How a model is opened.
#[derive(Clone, Default)]
pub struct ModelOptions {
    /// Where the service is; `None`: where its interface's own provider is, or what the environment says.
    pub base_url: Option<String>,
    /// The key; `None`: from the environment. It shows in no log, error, recording or debug output.
    pub api_key: Option<Secret>,
    /// How calls are retried and bounded.
    pub resilience: Resilience,
    /// What tokens cost; `None`: as the price file says.
    pub price: Option<Price>,
    /// How output of a given form is asked for; `None`: the best way that the service takes.
    pub output_way: Option<OutputWay>,
    /// The clock of retries, limits and breakers; `None`: the machine's.
    pub clock: Option<Arc<dyn Clock>>,
    /// Threads of a model that runs in this process; `None`: as many as other work has.
    pub threads: Option<usize>,
}

/// A language model. Cheap to clone; clones share limits and breaker, and it can be used from many threads.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_models::{Message, Model, Request, ScriptedModel};
/// let model = Model::new(ScriptedModel::of_texts(["5 mg"]), Default::default())?;
/// let reply = model.complete(&Request::new(vec![Message::user("Which dose?")]), &Cancel::new())?;
/// assert_eq!(reply.text(), "5 mg");
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Model(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) provider: Box<dyn Provider>,
    pub(crate) guard: Arc<Guard>,
    price: Option<Price>,
}

/// Tokens that a model is taken to write at most where nobody knows.
const WRITTEN: u64 = 1024;

/// What a call has used so far, over all its requests.
#[derive(Clone, Debug)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    pub(crate) attempts: u32,
    /// Of those, that may have to be paid for, and of which nobody knows what they used.
    pub(crate) billed: u32,
    pub(crate) unknown: u32,
    /// Dollars; `None` once something of unknown price or number was used.
    pub(crate) cost: Option<f64>,
    pub(crate) time: CallTime,
}

impl Model {
    /// Opens the model that `name` (`WIRE:NAME`, such as `openai:gpt-4o-mini`) names. Nothing is sent. `local:PATH` opens
    /// a GGUF file or a folder with safetensors, which costs nothing per token (feature `local`).
    /// Errors: `invalid_argument`, `not_finite`; `model_not_found`, `model_invalid`, `model_unsupported` and those of
    /// reading files for a local one.
    pub fn open(name: &str, options: ModelOptions) -> Result<Self> {
        if let Some(path) = name.strip_prefix("local:") {
            return Model::open_local(path, options);
        }
        if options.threads.is_some() {
            return Err(Error::invalid(format!(
                "'{}' runs elsewhere: threads are those of local models",
                shorten(name)
            )));
        }
        let service = ServiceOptions {
            base_url: options.base_url.clone(),
            api_key: options.api_key.clone(),
            output_way: options.output_way,
        };
        let provider = wire::open(name, service)?;
        Model::new(provider, options)
    }

    #[cfg(feature = "local")]
    fn open_local(path: &str, mut options: ModelOptions) -> Result<Self> {
        let elsewhere = [
            ("base_url", options.base_url.is_some()),
            ("api_key", options.api_key.is_some()),
            ("output_way", options.output_way.is_some()),
        ];
        if let Some((name, _)) = elsewhere.iter().find(|(_, given)| *given) {
            return Err(Error::invalid(format!("a local model has no {name}")));
        }
        let local = crate::local::LocalOptions { threads: options.threads, context: None };
        let provider = crate::local::LocalModel::open(path, local)?;
        if options.price.is_none() {
            options.price = Some(Price::new(0.0, 0.0)?);
        }
        Model::new(provider, options)
    }

    #[cfg(not(feature = "local"))]
    fn open_local(_path: &str, _options: ModelOptions) -> Result<Self> {
        let message = "local models are not part of this build: the feature 'local' was not compiled in";
        Err(Error::new(Code::Unsupported, message))
    }

    /// A model that `provider` answers for; of the options, those of the resilience, the price and the clock count.
    /// Errors: `invalid_argument`, `not_finite`.
    pub fn new(provider: impl Provider + 'static, options: ModelOptions) -> Result<Self> {
        options.resilience.validate()?;
        options.price.as_ref().map_or(Ok(()), Price::validate)?;
        let clock = options.clock.unwrap_or_else(|| Arc::new(SystemClock::default()));
        let price = options.price.or_else(|| known_price(provider.id()));
        let guard = Arc::new(Guard::new(options.resilience, clock));
        Ok(Model(Arc::new(Inner { provider: Box::new(provider), guard, price })))
    }

    /// The model's name: `WIRE:NAME`.
    pub fn id(&self) -> &str {
        self.0.provider.id()
    }

    /// What answers for it, where it is a `T` and [says so](Provider::as_any).
    pub fn provider<T: 'static>(&self) -> Option<&T> {
        self.0.provider.as_any()?.downcast_ref()
    }

    /// Whether this is a clone of the other: two that were opened by one name are not.
    pub fn is_same(&self, other: &Model) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What its tokens cost, where that is known.
    pub fn price(&self) -> Option<&Price> {
        self.0.price.as_ref()
    }

    /// Most attempts of one call at this model.
    pub fn attempts(&self) -> u32 {
        self.0.guard.options().attempts
    }

    /// The models that are asked one after the other when this one fails, with those that are asked when they do.
    pub fn fallbacks(&self) -> Vec<Model> {
        let mut all = std::collections::VecDeque::new();
        crate::stream::chain(self, &mut all);
        all.into()
    }

    /// Asks and waits for the whole answer. Takes at most `attempts` times `attempt_timeout` and the waits between, and
    /// the same again for each fallback and repair; all of it at most the `deadline`.
    ///
    /// Errors: those of [`Request::validate`]; `offline`, `timeout`, `rate_limited`, `circuit_open`, `remote_failed`,
    /// `remote_invalid`, `stream_incomplete`, `model_not_found`, `context_overflow`; `output_invalid`, `model_refused`
    /// where a form was asked for; `replay_mismatch`; `cancelled`.
    pub fn complete(&self, request: &Request, cancel: &Cancel) -> Result<Reply> {
        self.complete_or_used(request, cancel).map_err(|failed| failed.0)
    }

    /// The same; beside its error a call that fails tells what it has used, as a reply that says nothing. Errors: those of
    /// [`Model::complete`].
    pub fn complete_or_used(&self, request: &Request, cancel: &Cancel) -> Result<Reply, Box<(Error, Reply)>> {
        let mut spent = Spent::default();
        self.complete_within(request, cancel, &mut spent).map_err(|error| {
            let mut used = Reply::default();
            spent.settle(&mut used);
            Box::new((error, used))
        })
    }

    fn complete_within(&self, request: &Request, cancel: &Cancel, spent: &mut Spent) -> Result<Reply> {
        request.validate()?;
        let mut request = Cow::Borrowed(request);
        let mut repairs = 0;
        loop {
            let mut way = OutputWay::Native;
            let mut reply =
                self.answer(&request, &mut way, spent, cancel).map_err(|failure| failure.error)?;
            let settled = output::settle(&request, way, &mut reply);
            let Err(complaint) = settled else {
                spent.settle(&mut reply);
                return Ok(reply);
            };
            let most = request.output.as_ref().map_or(0, output::Output::most_repairs);
            if !complaint.mends || repairs >= most || spent.is_used_up(&request) {
                return Err(complaint.error);
            }
            repairs += 1;
            tracing::debug!(error = %complaint.error, repairs, "asking for a repair");
            request = Cow::Owned(output::repair(&request, &reply, &complaint.error));
        }
    }

    /// One answer from this model or, when it fails for a reason that may not hold for them, its fallbacks.
    fn answer(
        &self,
        request: &Request,
        way: &mut OutputWay,
        spent: &mut Spent,
        cancel: &Cancel,
    ) -> Result<Reply, Failure> {
        let mut failure = match self.attempt(request, way, spent, cancel) {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        for other in &self.0.guard.options().fallback {
            if !failure.elsewhere || cancel.is_cancelled() || spent.is_used_up(request) {
                break;
            }
            tracing::debug!(error = %failure.error, model = other.id(), "asking the next model");
            match other.answer(request, way, spent, cancel) {
                Ok(reply) => return Ok(reply),
                Err(next) => failure = next.after(failure),
            }
        }
        Err(failure)
    }

    fn attempt(
        &self,
        request: &Request,
        way: &mut OutputWay,
        spent: &mut Spent,
        cancel: &Cancel,
    ) -> Result<Reply, Failure> {
        let mut attempt = 1;
        let mut before: Option<Failure> = None;
        loop {
            *way = self.0.provider.output_way(request);
            let prepared = output::prepare(request, *way);
            let answered =
                self.admit(&prepared, false, &mut spent.time, cancel).and_then(|(mut admission, limits)| {
                    admission.sent();
                    let answered = record::complete(&*self.0.provider, &prepared, limits, cancel);
                    let answered = answered.map_err(|failure| spent.time.blame(&self.0.guard, failure));
                    match &answered {
                        Ok(reply) => admission.succeeded(&reply.usage),
                        Err(failure) => admission.failed(failure, false),
                    }
                    answered
                });
            let failure = match answered {
                Ok(reply) => {
                    self.charge(&reply, spent);
                    return Ok(reply);
                }
                Err(failure) => failure,
            };
            self.charge_failure(&failure, spent);
            if self.other_way(request, *way, &failure) {
                continue;
            }
            let failure = match before.take() {
                Some(before) => failure.after(before),
                None => failure,
            };
            if spent.is_used_up(request) {
                return Err(failure);
            }
            let (failure, wait) = self.pause(attempt, failure, &prepared, &spent.time)?;
            tracing::debug!(error = %failure.error, ?wait, attempt, "trying again");
            self.wait(wait, cancel).map_err(Failure::unsent)?;
            before = Some(failure);
            attempt += 1;
        }
    }

    /// Waits until an attempt may go, and says how long it may take.
    pub(crate) fn admit(
        &self,
        prepared: &Request,
        stream: bool,
        time: &mut CallTime,
        cancel: &Cancel,
    ) -> Result<(Admission, AttemptLimits), Failure> {
        let guard = &self.0.guard;
        time.begin(guard);
        // Counting takes time, at models in this process as much as reading.
        let limited = guard.options().tokens_per_minute.is_some();
        let tokens = if limited { self.worst_tokens(prepared) } else { 0 };
        let admitted = guard.admit(tokens, time, cancel);
        let admitted = admitted.and_then(|admission| Ok((admission, guard.limits(stream, time)?)));
        if let Err(failure) = &admitted {
            record::refused(&*self.0.provider, prepared, failure).map_err(Failure::unsent)?;
        }
        admitted
    }

    /// `failure` and how long to wait after it before another attempt. Errors: the failure that ends the attempts.
    pub(crate) fn pause(
        &self,
        attempt: u32,
        failure: Failure,
        prepared: &Request,
        time: &CallTime,
    ) -> Result<(Failure, Duration), Failure> {
        let guard = &self.0.guard;
        let Some(wait) = guard.pause(attempt, &failure) else { return Err(failure) };
        let late = time.left(guard).filter(|left| wait >= *left).map(|_| {
            let wait = wait.as_secs_f64();
            let message = format!("another attempt in {wait:.1} s would be after the call's deadline");
            Failure::unsent(Error::new(Code::Timeout, message))
        });
        match record::late(&*self.0.provider, prepared, late)? {
            Some(late) => Err(late.after(failure)),
            None => Ok((failure, wait)),
        }
    }

    /// Whether a request that was refused because of how its form was asked for is asked in another way from now on.
    pub(crate) fn other_way(&self, request: &Request, way: OutputWay, failure: &Failure) -> bool {
        request.output.is_some()
            && !failure.passing
            && output::is_about_form(&failure.error, way)
            && self.0.provider.output_refused(request, way)
    }

    /// Waits between attempts; replayed calls do not.
    pub(crate) fn wait(&self, wait: Duration, cancel: &Cancel) -> Result<()> {
        if record::replaying() { cancel.check() } else { self.0.guard.clock().sleep(wait, cancel) }
    }

    /// Adds what an answer used.
    pub(crate) fn charge(&self, reply: &Reply, spent: &mut Spent) {
        spent.attempts += 1;
        // Whoever answers has read something; who counts nothing tells nothing.
        let used = Some(reply.usage).filter(|usage| usage.total() > 0);
        self.spend(used, spent);
    }

    /// Adds what an attempt that failed used.
    pub(crate) fn charge_failure(&self, failure: &Failure, spent: &mut Spent) {
        let used = match failure.used {
            Used::Unsent => return,
            Used::Nothing => Some(Usage::default()),
            Used::Counted(usage) => Some(usage),
            Used::Unknown => None,
        };
        spent.attempts += 1;
        self.spend(used, spent);
    }

    fn spend(&self, used: Option<Usage>, spent: &mut Spent) {
        spent.usage += used.unwrap_or_default();
        spent.billed += u32::from(used != Some(Usage::default()));
        spent.unknown += u32::from(used.is_none());
        let price = self.0.price.as_ref();
        let cost = match used {
            // Nothing costs nothing, also where the price is unknown.
            Some(used) if used == Usage::default() => Some(0.0),
            Some(used) => price.map(|price| price.cost(&used)),
            None => price.filter(|price| price.is_free()).map(|_| 0.0),
        };
        spent.cost = spent.cost.zip(cost).map(|(before, more)| before + more);
    }

    /// Asks and gives the answer piece by piece. Nothing is sent before the first [`Stream::next_event`]. Errors: those
    /// of [`Request::validate`]; all others come as the stream's last event.
    pub fn stream(&self, request: &Request, cancel: &Cancel) -> Result<Stream> {
        request.validate()?;
        Ok(Stream::new(self.clone(), request.clone(), cancel.clone()))
    }

    /// Tokens that the request takes before the model writes any. Errors: those of the provider's tokenizer.
    pub fn count_tokens(&self, request: &Request) -> Result<TokenCount> {
        if request.messages.is_empty() {
            return Err(Error::new(Code::EmptyInput, "there are no messages"));
        }
        self.0.provider.count_tokens(request)
    }

    /// The most tokens that one attempt at `request` is taken to use: what it reads, with a fifth more where that is an
    /// estimate, and the most that may be written, or 1,024 where neither the request nor the interface has a limit.
    pub fn worst_tokens(&self, request: &Request) -> u64 {
        let provider = &self.0.provider;
        let count = provider.count_tokens(request).unwrap_or_else(|_| tokens::estimate(request));
        let read = if count.exact { count.tokens } else { count.tokens.saturating_add(count.tokens / 5) };
        read.saturating_add(provider.most_written(request).unwrap_or(WRITTEN))
    }
}

impl Default for Spent {
    fn default() -> Self {
        Spent {
            usage: Usage::default(),
            attempts: 0,
            billed: 0,
            unknown: 0,
            cost: Some(0.0),
            time: CallTime::default(),
        }
    }
}

impl Spent {
    /// Whether as many requests were sent as the caller pays for.
    pub(crate) fn is_used_up(&self, request: &Request) -> bool {
        request.most_billed.is_some_and(|most| self.billed >= most)
    }

    /// Puts the sums of all requests of a call into its answer.
    pub(crate) fn settle(&self, reply: &mut Reply) {
        reply.usage = self.usage;
        reply.attempts = self.attempts;
        reply.unknown = self.unknown;
        reply.cost = self.cost;
        if reply.finish == Some(Finish::ToolCalls) && reply.message.calls().next().is_none() {
            reply.finish = Some(Finish::Stop);
        }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ModelOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let base_url = self.base_url.as_deref().map(Address::plain);
        f.debug_struct("ModelOptions").field("base_url", &base_url).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Resilience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resilience").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

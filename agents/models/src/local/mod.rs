//! How does a language model run in this process?
//!
//! [`LocalModel`] opens a GGUF file, or a folder with safetensors, of the families that `shape` names. Weights keep the integers of
//! the file and are packed for the vector unit; a few threads go through each forward pass together. Tokenizer
//! and chat template come from the file itself.

mod answer;
#[cfg(test)]
mod behaviour;
mod bounds;
mod calls;
mod decoder;
mod files;
mod forward;
mod gguf;
#[cfg(test)]
mod growth;
mod guide;
mod kernel;
mod marks;
mod matrix;
mod memory;
#[cfg(test)]
mod opening;
mod pages;
mod sample;
mod scratch;
mod shape;
mod speech;
mod team;
mod template;
mod tensor;
#[cfg(test)]
mod tests;
mod tokenizer;
mod words;
mod written;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use quorate_core::{Cancel, Code, Error, Result, parallel};
use serde_json::Value;

use crate::provider::{AttemptLimits, Failure, OutputWay, Piece, Provider, Source, TokenCount};
use crate::reply::Reply;
use crate::request::Request;
use answer::{Answer, Kept};
use decoder::Decoder;
use files::Files;
use gguf::Meta;
use guide::Guides;
use kernel::Isa;
use team::Team;
use template::Template;
use tokenizer::Tokenizer;

/// The most threads of a model.
const MAX_THREADS: usize = 512;

/// How a local model is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalOptions {
    /// Threads that go through a forward pass, 1 to 512; `None`: as many as other work of this process has. Passes of
    /// several requests take turns.
    pub threads: Option<usize>,
    /// The most tokens of messages and answer together; `None`: as many as the model was made for.
    pub context: Option<usize>,
}

/// A language model that runs in this process. Cheap to clone; requests may come from many threads.
///
/// It takes the likeliest token where a request has no temperature, and the seed 0 where it has no seed, so that the same
/// request gives the same answer. `top_p`, `top_k` and `template` (fields for the chat template) are read from
/// [`Request::extra`].
///
/// ```no_run
/// use quorate_core::Cancel;
/// use quorate_models::{Message, Model, Request};
/// let model = Model::open("local:SmolLM2-135M-Instruct.Q4_1.gguf", Default::default())?;
/// let reply = model.complete(&Request::new(vec![Message::user("Which dose?")]), &Cancel::new())?;
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalModel(Arc<Inner>);

pub(crate) struct Inner {
    id: String,
    decoder: Decoder,
    tokenizer: Tokenizer,
    template: Template,
    team: Team,
    context: usize,
    guides: OnceLock<Guides>,
    /// What the last request has left.
    kept: Mutex<Option<Kept>>,
}

impl LocalModel {
    /// Opens a GGUF file, or a folder with `config.json`, `tokenizer.json` and safetensors.
    ///
    /// Errors: `model_not_found`, `model_invalid`, `model_unsupported`, `invalid_argument`, `too_large`, and those of
    /// reading files.
    pub fn open(path: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        let path = path.as_ref();
        match options.threads {
            Some(0) => return Err(Error::invalid("threads is 0; at least 1 is needed")),
            Some(n) if n > MAX_THREADS => {
                let message = format!("threads is {n}; at most {MAX_THREADS} are allowed");
                return Err(Error::new(Code::TooLarge, message));
            }
            _ => {}
        }
        let files = Files::open(path)?;
        let shape = files.shape()?;
        let context = match options.context {
            Some(n) if n < 2 || n > shape.context => {
                return Err(Error::invalid(format!(
                    "context is {n}, expected 2 to the model's {}",
                    shape.context
                )));
            }
            Some(n) => n,
            None => shape.context,
        };
        let vocabulary = files.need(&shape, "token_embd.weight")?.rows;
        let (mut tokenizer, template) = match &files {
            Files::Gguf(file) => {
                let source = file.meta("tokenizer.chat_template").and_then(Meta::as_text).map(str::to_owned);
                (Tokenizer::of_gguf(file, vocabulary)?, source)
            }
            Files::Folder(folder) => {
                let config = folder.json("tokenizer_config.json")?.unwrap_or_default();
                let generation = folder.json("generation_config.json")?.unwrap_or_default();
                let mut ends = Vec::new();
                for value in [&folder.config["eos_token_id"], &generation["eos_token_id"]] {
                    let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
                    ends.extend(
                        list.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()),
                    );
                }
                let json = files::text(&folder.path.join("tokenizer.json"))?;
                let jinja = folder.path.join("chat_template.jinja");
                let source = if jinja.is_file() {
                    Some(files::text(&jinja)?)
                } else {
                    config["chat_template"].as_str().map(str::to_owned)
                };
                (Tokenizer::of_json(&json, &config, &ends, vocabulary)?, source)
            }
        };
        let (begin, end) = tokenizer.mark_texts();
        let template = Template::new(template.as_deref(), begin, end)?;
        tokenizer.guard(template.source());
        let decoder = Decoder::open(&files, shape, Isa::detect())?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let threads = options.threads.unwrap_or_else(parallel::threads);
        tracing::debug!(model = %name, bytes = decoder.bytes(), threads, unit = ?decoder.isa, "opened a local model");
        Ok(LocalModel(Arc::new(Inner {
            id: format!("local:{name}"),
            decoder,
            tokenizer,
            template,
            team: Team::new(threads),
            context,
            guides: OnceLock::new(),
            kept: Mutex::new(None),
        })))
    }

    /// The most tokens of messages and answer together.
    pub fn context(&self) -> usize {
        self.0.context
    }

    /// Tokens of a text; marks in it are read as marks. Errors: `internal`.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.0.tokenizer.encode(text)
    }

    /// The text that the model reads for a request. A mark that a message holds looks here as one of the template's; the
    /// model reads it as text. Errors: `invalid_argument`, `unsupported`.
    pub fn prompt(&self, request: &Request) -> Result<String> {
        let marks = self.0.tokenizer.marks();
        Ok(marks.show(&self.0.template.render(request, marks)?))
    }
}

impl Inner {
    /// The tokens of a request.
    fn prompt(&self, request: &Request) -> Result<Vec<u32>> {
        let written = self.template.render(request, self.tokenizer.marks())?;
        let tokens = self.tokenizer.encode_prompt(&written)?;
        if tokens.is_empty() {
            return Err(Error::new(Code::EmptyInput, "the messages give no tokens"));
        }
        Ok(tokens)
    }

    fn guides(&self) -> Result<&Guides> {
        if let Some(guides) = self.guides.get() {
            return Ok(guides);
        }
        let guides = Guides::new(&self.tokenizer)?;
        Ok(self.guides.get_or_init(|| guides))
    }

    fn take_kept(&self) -> Kept {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or_else(|| Kept::new(self))
    }

    fn keep(&self, kept: Kept) {
        tracing::trace!(bytes = kept.bytes(), "kept what was read");
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

impl Provider for LocalModel {
    fn id(&self) -> &str {
        &self.0.id
    }

    fn complete(&self, request: &Request, limits: AttemptLimits, cancel: &Cancel) -> Result<Reply, Failure> {
        let mut answer = Answer::new(&self.0, request, limits, cancel).map_err(answer::lasting)?;
        loop {
            match answer.next_piece() {
                Some(Piece::End(reply)) => return Ok(*reply),
                Some(Piece::Failed(failure, partial)) => return Err(failure.counted(partial.usage)),
                Some(_) => {}
                None => return Err(Failure::lasting(Error::new(Code::Internal, "an answer has no end"))),
            }
        }
    }

    fn stream(
        &self,
        request: &Request,
        limits: AttemptLimits,
        cancel: &Cancel,
    ) -> Result<Box<dyn Source>, Failure> {
        let answer = Answer::new(&self.0, request, limits, cancel).map_err(answer::lasting)?;
        Ok(Box::new(answer))
    }

    fn count_tokens(&self, request: &Request) -> Result<TokenCount> {
        Ok(TokenCount { tokens: self.0.prompt(request)?.len() as u64, exact: true })
    }

    fn most_written(&self, request: &Request) -> Option<u64> {
        let context = self.0.context as u64;
        Some(request.max_tokens.map_or(context, |most| context.min(u64::from(most))))
    }

    fn output_way(&self, request: &Request) -> OutputWay {
        let guided =
            |output: &crate::output::Output| self.0.guides().and_then(|g| g.guide(output.schema())).is_ok();
        match &request.output {
            Some(output) if cfg!(feature = "constrained") && guided(output) => OutputWay::Native,
            _ => OutputWay::Prompt,
        }
    }
}

impl std::fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalModel").field("id", &self.0.id).finish_non_exhaustive()
    }
}

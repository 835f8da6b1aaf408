//! How does the extractive expert stand in for a language model?

use std::collections::VecDeque;
use std::sync::Arc;

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{
    AttemptLimits, Failure, Finish, Message, Model, ModelOptions, Opaque, OutputWay, Part, Piece, Price,
    Provider, Reply, Request, Role, Source, TokenCount, ToolChoice, tokens,
};
use serde_json::json;

use crate::{Citation, Retrieve, Wanted};

use super::extract::{ExtractOptions, Extracted, extract};

/// How prices, recordings and messages name the model, and the source of its [`Opaque`] parts.
pub const EXTRACTIVE: &str = "extractive";

/// The whole answer when the passages do not answer.
pub const NOT_IN_SOURCES: &str = "This is not in the sources.";

/// A model that answers with sentences of what is retrieved, cited, and writes nothing of its own.
///
/// The question is the last message of the user; what was said before is not read. The answer is one text: the
/// sentences with their markers, an empty line, and a list of `Sources:` with a line such as `[1] title (doc_id,
/// start-end)` for each. Behind it comes an [`Opaque`] part of the source [`EXTRACTIVE`] with `citations` and
/// `confidence`. When the passages do not answer, the text is [`NOT_IN_SOURCES`] and nothing else. Tools are not called,
/// and `temperature` and `seed` change nothing. With `max_tokens`, whole sentences are left out, the last ones first;
/// the best one is always given.
///
/// Errors of a request: `unsupported` for one that asks for data of a form or must call a tool, `empty_input` for one
/// without a question, and those of the retrieval.
pub struct ExtractiveModel {
    retrieve: Arc<dyn Retrieve>,
    wanted: Wanted,
    options: ExtractOptions,
}

impl ExtractiveModel {
    /// A model that answers from what `retrieve` finds. Errors: `invalid_argument`.
    pub fn new(retrieve: Arc<dyn Retrieve>, wanted: Wanted, options: ExtractOptions) -> Result<Self> {
        options.validate()?;
        Ok(ExtractiveModel { retrieve, wanted, options })
    }

    /// The same as a [`Model`] that costs nothing.
    pub fn into_model(self) -> Result<Model> {
        Model::new(self, ModelOptions { price: Some(Price::new(0.0, 0.0)?), ..ModelOptions::default() })
    }

    /// How it chooses sentences.
    pub fn options(&self) -> &ExtractOptions {
        &self.options
    }

    fn answer(&self, request: &Request, cancel: &Cancel) -> Result<(Vec<String>, Reply)> {
        cancel.check()?;
        if request.output.is_some() {
            return Err(Error::new(
                Code::Unsupported,
                "the extractive model gives sentences of the sources and no data of a form; ask without output, or ask a language model",
            ));
        }
        if matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) {
            return Err(Error::new(
                Code::Unsupported,
                "the extractive model calls no tools; set tool_choice to auto, or ask a language model",
            ));
        }
        let asked = request.messages.iter().rev().find(|message| message.role == Role::User);
        let question = asked.map(Message::text).unwrap_or_default();
        if !question.contains(char::is_alphanumeric) {
            return Err(Error::new(Code::EmptyInput, "there is no message of the user with a question"));
        }
        let passages = self.retrieve.passages(&question, &self.wanted, cancel)?;
        let embedder = self.retrieve.embedder();
        let mut options = self.options.clone();
        loop {
            let found = extract(&question, &passages, embedder.as_deref(), &options, cancel)?;
            let pieces = pieces(&found);
            let said = Request::new(vec![Message::assistant(pieces.concat())]);
            let tokens = tokens::estimate(&said).tokens;
            let fits = request.max_tokens.is_none_or(|most| tokens <= u64::from(most));
            if fits || found.citations.len() <= 1 {
                let cut = options.max_sentences < self.options.max_sentences || !fits;
                let finish = if cut { Finish::Length } else { Finish::Stop };
                return Ok((pieces.clone(), reply(request, &found, pieces.concat(), tokens, finish)));
            }
            options.max_sentences = found.citations.len() - 1;
        }
    }
}

/// How a runtime with this model chooses sentences: as `given`, else as the model has it, else by the defaults.
/// Errors: `invalid_argument`, also for a filter of the model's, to which the runtime would not hold.
pub(crate) fn options_of(model: Option<&Model>, given: Option<ExtractOptions>) -> Result<ExtractOptions> {
    let own = model.and_then(|model| model.provider::<ExtractiveModel>());
    if own.is_some_and(|own| own.wanted.filter.is_some()) {
        return Err(Error::invalid(
            "the extractive model has a filter of its own, which a runtime would not hold to; give the filter with the \
             question, or sources that have it",
        ));
    }
    let options = given.or_else(|| own.map(|own| own.options.clone())).unwrap_or_default();
    options.validate()?;
    Ok(options)
}

/// The answer in the pieces in which it is streamed: a sentence each, then the sources.
fn pieces(found: &Extracted) -> Vec<String> {
    if found.citations.is_empty() {
        return vec![NOT_IN_SOURCES.into()];
    }
    let mut out = Vec::with_capacity(found.citations.len() + 1);
    let mut rest = found.text.as_str();
    for citation in &found.citations {
        let end = rest.find(&citation.text).map_or(0, |at| at + citation.text.len());
        let end =
            rest[end..].find(&citation.marker).map_or(rest.len(), |at| end + at + citation.marker.len());
        let (piece, tail) = rest.split_at(end);
        out.push(piece.to_owned());
        rest = tail;
    }
    let lines: Vec<String> = found.citations.iter().map(source_line).collect();
    out.push(format!("{rest}\n\nSources:\n{}", lines.join("\n")));
    out
}

fn source_line(citation: &Citation) -> String {
    let Citation { marker, title, doc_id, start, end, .. } = citation;
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let gap = if title.is_empty() { "" } else { " " };
    format!("{marker}{gap}{title} ({doc_id}, {start}-{end})")
}

fn reply(request: &Request, found: &Extracted, text: String, tokens: u64, finish: Finish) -> Reply {
    let data = json!({"citations": found.citations, "confidence": found.confidence});
    let mut reply = Reply::text_of(text);
    reply.message.content.push(Part::Opaque(Opaque { source: EXTRACTIVE.into(), data }));
    reply.finish = Some(finish);
    reply.model = EXTRACTIVE.into();
    reply.cost = Some(0.0);
    reply.usage.input = tokens::estimate(request).tokens;
    reply.usage.output = tokens;
    reply
}

impl Provider for ExtractiveModel {
    fn id(&self) -> &str {
        EXTRACTIVE
    }

    fn complete(&self, request: &Request, _limits: AttemptLimits, cancel: &Cancel) -> Result<Reply, Failure> {
        self.answer(request, cancel).map(|(_, reply)| reply).map_err(Failure::by_code)
    }

    fn stream(
        &self,
        request: &Request,
        _limits: AttemptLimits,
        cancel: &Cancel,
    ) -> Result<Box<dyn Source>, Failure> {
        let (pieces, reply) = self.answer(request, cancel).map_err(Failure::by_code)?;
        Ok(Box::new(Sentences { left: pieces.into(), reply: Some(reply), cancel: cancel.clone() }))
    }

    fn count_tokens(&self, request: &Request) -> Result<TokenCount> {
        Ok(tokens::estimate(request))
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }

    /// The request keeps its form, so that it is refused and not taken for a free one.
    fn output_way(&self, _request: &Request) -> OutputWay {
        OutputWay::Native
    }
}

/// An answer that comes sentence by sentence.
struct Sentences {
    left: VecDeque<String>,
    reply: Option<Reply>,
    cancel: Cancel,
}

impl Source for Sentences {
    fn next_piece(&mut self) -> Option<Piece> {
        self.reply.as_ref()?;
        if let Err(error) = self.cancel.check() {
            let reply = self.reply.take().unwrap_or_default();
            let said =
                Reply { message: Message { content: Vec::new(), ..reply.message }, finish: None, ..reply };
            return Some(Piece::Failed(Failure::lasting(error), Box::new(said)));
        }
        match self.left.pop_front() {
            Some(text) => Some(Piece::Text(text)),
            None => self.reply.take().map(|reply| Piece::End(Box::new(reply))),
        }
    }
}

impl std::fmt::Debug for ExtractiveModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtractiveModel").field("options", &self.options).finish_non_exhaustive()
    }
}

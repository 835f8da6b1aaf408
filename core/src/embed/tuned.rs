//! How do the options of an embedder apply to the built-in model, which has no settings of its own?

use std::ops::Range;
use std::sync::Arc;

use super::options::EmbedderOptions;
use super::pooling;
use super::static_model::StaticModel;
use super::traits::{Embed, TokenEmbeddings};
use crate::parallel::Workers;
use crate::vector::Matrix;
use crate::{Cancel, Error, Result};

/// A static model behind prefixes, a limit of tokens, fewer dimensions, or threads of its own.
/// Its arithmetic is the same in either precision.
pub(crate) struct Tuned {
    model: Arc<StaticModel>,
    id: String,
    dim: usize,
    max_tokens: Option<usize>,
    query_prefix: String,
    document_prefix: String,
    /// Tokens of the prefix of each document.
    added_tokens: usize,
    workers: Workers,
}

impl Tuned {
    /// Errors: `invalid_argument` for more dimensions than the model has.
    pub(crate) fn new(model: Arc<StaticModel>, options: &EmbedderOptions) -> Result<Self> {
        let dim = options.dimensions.unwrap_or(model.dim());
        if dim > model.dim() {
            return Err(Error::invalid(format!("dimensions is {dim}; the model has {}", model.dim())));
        }
        let query_prefix = options.query_prefix.clone().unwrap_or_default();
        let document_prefix = options.document_prefix.clone().unwrap_or_default();
        let settings =
            serde_json::json!([dim, options.max_tokens, query_prefix, document_prefix]).to_string();
        let plain = serde_json::json!([model.dim(), null, "", ""]).to_string();
        let id = if settings == plain {
            model.id().to_string()
        } else {
            format!("{}-{}", model.id(), &blake3::hash(settings.as_bytes()).to_hex()[..16])
        };
        let workers = Workers::new(options.threads);
        let added_tokens = model.special_tokens() + model.tokenize(&document_prefix)?.len();
        Ok(Tuned {
            model,
            id,
            dim,
            max_tokens: options.max_tokens,
            query_prefix,
            document_prefix,
            added_tokens,
            workers,
        })
    }

    fn embed_all(&self, texts: &[&str], prefix: &str, cancel: &Cancel) -> Result<Matrix> {
        let whole = if prefix.is_empty() && self.max_tokens.is_none() {
            self.workers.run(|| self.model.embed(texts, cancel))??
        } else {
            let texts = texts.iter().map(|text| self.cut(format!("{prefix}{text}")));
            let texts = texts.collect::<Result<Vec<String>>>()?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.workers.run(|| self.model.embed(&texts, cancel))??
        };
        if self.dim == whole.cols() {
            return Ok(whole);
        }
        let rows = whole.iter().flat_map(|row| pooling::finish(row.to_vec(), &[], self.dim));
        Matrix::new(rows.collect(), whole.rows(), self.dim)
    }

    /// The beginning of `text` that has no more tokens than the limit.
    fn cut(&self, mut text: String) -> Result<String> {
        if let Some(limit) = self.max_tokens
            && let Some(first) = self.model.tokenize(&text)?.get(limit)
        {
            text.truncate(first.start);
        }
        Ok(text)
    }
}

impl Embed for Tuned {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens.unwrap_or(self.model.max_tokens())
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.embed_all(texts, &self.document_prefix, cancel)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        Ok(self.embed_queries(&[text], &Cancel::new())?.into_vec())
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.embed_all(texts, &self.query_prefix, cancel)
    }

    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        let prefix = self.document_prefix.len();
        let whole = self.model.embed_tokens(&self.cut(format!("{}{text}", self.document_prefix))?)?;
        let rows = whole.vectors.iter().flat_map(|row| pooling::finish(row.to_vec(), &[], self.dim));
        let vectors = Matrix::new(rows.collect(), whole.vectors.rows(), self.dim)?;
        let offsets = whole.offsets.into_iter();
        let offsets = offsets.map(|at| at.start.saturating_sub(prefix)..at.end.saturating_sub(prefix));
        Ok(TokenEmbeddings { vectors, offsets: offsets.collect() })
    }

    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        self.model.tokenize(text)
    }

    fn special_tokens(&self) -> usize {
        self.added_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(options: EmbedderOptions) -> Tuned {
        Tuned::new(StaticModel::builtin().unwrap(), &options).unwrap()
    }

    const TEXT: &str = "metformin lowers glucose in renal failure";

    #[test]
    fn without_options_it_is_the_model_itself() {
        let (plain, tuned) = (
            StaticModel::builtin().unwrap(),
            open(EmbedderOptions { threads: Some(1), ..Default::default() }),
        );
        assert_eq!(
            (tuned.id(), tuned.dim(), tuned.max_tokens()),
            (plain.id(), plain.dim(), plain.max_tokens())
        );
        let texts = [TEXT, "", "other"];
        let wanted = plain.embed(&texts, &Cancel::new()).unwrap();
        assert_eq!(tuned.embed(&texts, &Cancel::new()).unwrap(), wanted);
        assert_eq!(tuned.embed_query(TEXT).unwrap(), wanted.row(0));
    }

    #[test]
    fn each_option_does_what_it_says() {
        let plain = StaticModel::builtin().unwrap();
        let embed = |options| open(options).embed(&[TEXT], &Cancel::new()).unwrap().into_vec();
        let prefixed =
            EmbedderOptions { document_prefix: Some("dose of ".to_string()), ..Default::default() };
        assert_eq!(embed(prefixed), plain.embed_query(&format!("dose of {TEXT}")).unwrap());
        let first = EmbedderOptions { max_tokens: Some(1), ..Default::default() };
        let token = plain.tokenize(TEXT).unwrap()[0].clone();
        assert_eq!(embed(first), plain.embed_query(&TEXT[token]).unwrap());
        let short = embed(EmbedderOptions { dimensions: Some(8), ..Default::default() });
        assert_eq!(short, pooling::finish(plain.embed_query(TEXT).unwrap(), &[], 8));
        let ids = [
            open(EmbedderOptions::default()).id,
            open(EmbedderOptions { max_tokens: Some(1), ..Default::default() }).id,
            open(EmbedderOptions { dimensions: Some(8), ..Default::default() }).id,
            open(EmbedderOptions { query_prefix: Some("q".to_string()), ..Default::default() }).id,
        ];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        let wide = EmbedderOptions { dimensions: Some(100_000), ..Default::default() };
        assert_eq!(Tuned::new(plain, &wide).err().unwrap().code(), crate::Code::InvalidArgument);
    }
}

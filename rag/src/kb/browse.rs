//! Which values and which documents are there, without a question?

use std::cmp::Ordering;

use quorate_core::{Cancel, Code, Error, Result};
use serde_json::{Value as Json, json};

use super::KnowledgeBase;
use crate::RowSet;
use crate::document::Document;
use crate::filter::{Columns, Filter, Sort, SortKey, Value};
use crate::retrieve::SearchOptions;

/// Which documents are listed, in which order, from where on. Fields have the defaults named.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Only documents that match. Default all.
    pub filter: Option<Filter>,
    /// The order; documents without a value of the field come last, equal ones by their ids. Default by their ids.
    pub sort: Option<Sort>,
    /// The most documents of one page, 1 to [`MAX_K`](SearchOptions::MAX_K). Default 100.
    pub limit: usize,
    /// Where the page begins: what [`DocumentPage::next`] of the page before says. Default at the beginning.
    pub after: Option<String>,
    /// Stops the listing between steps.
    pub cancel: Cancel,
}

impl Default for ListOptions {
    fn default() -> Self {
        ListOptions { filter: None, sort: None, limit: 100, after: None, cancel: Cancel::new() }
    }
}

/// Documents in order, and where the next page begins.
#[derive(Clone, Debug, Default)]
pub struct DocumentPage {
    /// Without their chunks.
    pub documents: Vec<Document>,
    /// What [`ListOptions::after`] of the next page is; none when this one is the last. It names the last document and its
    /// value, so that pages fit together also when documents come and go meanwhile.
    pub next: Option<String>,
}

impl KnowledgeBase {
    /// The values of a field, each with the number of documents that have it: those of most documents first, of equally
    /// many the lesser first. Each member of a list is a value. A field that no document has gives nothing.
    /// Errors: `invalid_argument` (`limit` above [`MAX_K`](SearchOptions::MAX_K)), `filter_type`, `closed`.
    pub fn facets(&self, field: &str, filter: Option<&Filter>, limit: usize) -> Result<Vec<(Value, usize)>> {
        if limit > SearchOptions::MAX_K {
            let most = SearchOptions::MAX_K;
            return Err(Error::invalid(format!("limit is {limit}; at most {most} values are possible")));
        }
        self.over_columns(filter, |parts| Ok(Columns::facets(parts, field, limit)))
    }

    /// The least and the greatest value of a field, members of lists included; none where no document has one. Texts that
    /// are all times compare as such. Errors: `filter_type` where the values have no common order (numbers and texts,
    /// bools), `closed`.
    pub fn min_max(&self, field: &str, filter: Option<&Filter>) -> Result<Option<(Value, Value)>> {
        self.over_columns(filter, |parts| Columns::extremes(parts, field))
    }

    /// A page of documents. Time: one look at each document that matches; memory: one key of each, and the page.
    /// Errors: `invalid_argument` (`limit`, or an `after` of another order), `filter_type`, `cancelled`, `closed`.
    ///
    /// ```
    /// use quorate_rag::{Document, KnowledgeBase, ListOptions, OpenOptions, Sort};
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("kb").display().to_string();
    /// let kb = KnowledgeBase::open(place, OpenOptions::default())?;
    /// kb.add((0..5).map(|i| Document::new(format!("d{i}"), "text").metadata_field("year", 2020 + i)).collect())?;
    /// let mut options = ListOptions { sort: Some(Sort::parse("-year")?), limit: 2, ..ListOptions::default() };
    /// let mut ids = Vec::new();
    /// loop {
    ///     let page = kb.documents(&options)?;
    ///     ids.extend(page.documents.into_iter().map(|document| document.id));
    ///     options.after = page.next;
    ///     if options.after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(ids, ["d4", "d3", "d2", "d1", "d0"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn documents(&self, options: &ListOptions) -> Result<DocumentPage> {
        self.base.check_open()?;
        if options.limit == 0 || options.limit > SearchOptions::MAX_K {
            let most = SearchOptions::MAX_K;
            return Err(Error::invalid(format!(
                "limit is {}; 1 to {most} documents are possible",
                options.limit
            )));
        }
        let after =
            options.after.as_deref().map(|text| Token::read(text, options.sort.as_ref())).transpose()?;
        let snapshot = self.seen()?;
        let selected = options.filter.as_ref().map(|filter| snapshot.select(filter, false)).transpose()?;
        let mut places: Vec<Place<'_>> = Vec::new();
        for (i, view) in snapshot.views().iter().enumerate() {
            options.cancel.check()?;
            let docs = selected.as_ref().map_or(&view.live.docs, |selected| &selected[i]);
            let keys = options.sort.as_ref().map(|sort| view.segment.columns().sort_keys(sort, docs));
            for doc in docs.iter() {
                let key = keys.as_ref().and_then(|keys| keys.get(doc as usize).copied().flatten());
                let id = view.segment.catalog.doc(doc).id;
                let place = Place { key, id, view: i, doc };
                let beyond = |after: &Token| {
                    order(options.sort.as_ref(), (place.key, id), after.position()) == Ordering::Greater
                };
                if after.as_ref().is_none_or(beyond) {
                    places.push(place);
                }
            }
        }
        options.cancel.check()?;
        let by = |a: &Place<'_>, b: &Place<'_>| order(options.sort.as_ref(), (a.key, a.id), (b.key, b.id));
        let more = places.len() > options.limit;
        if more {
            places.select_nth_unstable_by(options.limit, by);
            places.truncate(options.limit);
        }
        places.sort_unstable_by(by);
        let next = places.last().filter(|_| more).map(|last| Token::write(last, options.sort.as_ref()));
        let document = |place: &Place<'_>| {
            let view = snapshot.views()[place.view].segment.catalog.doc(place.doc);
            Document {
                id: view.id.to_owned(),
                text: view.text.to_owned(),
                title: view.title.to_owned(),
                source: view.source.to_owned(),
                metadata: serde_json::from_str(view.metadata).unwrap_or_default(),
                chunks: None,
            }
        };
        Ok(DocumentPage { documents: places.iter().map(document).collect(), next })
    }

    fn over_columns<T>(
        &self,
        filter: Option<&Filter>,
        look: impl FnOnce(&[(&Columns, &RowSet)]) -> Result<T>,
    ) -> Result<T> {
        let snapshot = self.seen()?;
        let selected = filter.map(|filter| snapshot.select(filter, false)).transpose()?;
        let parts: Vec<(&Columns, &RowSet)> = snapshot
            .views()
            .iter()
            .enumerate()
            .map(|(i, view)| {
                let docs = selected.as_ref().map_or(&view.live.docs, |selected| &selected[i]);
                (view.segment.columns(), docs)
            })
            .collect();
        look(&parts)
    }
}

/// A document on its way into a page.
struct Place<'a> {
    key: Option<SortKey<'a>>,
    id: &'a str,
    view: usize,
    doc: u32,
}

type Position<'a> = (Option<SortKey<'a>>, &'a str);

/// By the field in its direction, then those without it, then by id.
fn order(sort: Option<&Sort>, a: Position<'_>, b: Position<'_>) -> Ordering {
    let keys = match (a.0, b.0) {
        (Some(a), Some(b)) if sort.is_some_and(|sort| sort.descending) => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    keys.then_with(|| a.1.cmp(b.1))
}

/// The last document of a page: JSON of its id, the field, and its value.
struct Token {
    id: String,
    field: String,
    value: Option<Value>,
}

impl Token {
    fn write(last: &Place<'_>, sort: Option<&Sort>) -> String {
        let value = last.key.map_or(Json::Null, |key| key.value().to_json());
        json!({ "id": last.id, "sort": sort_text(sort), "value": value }).to_string()
    }

    /// Errors: `invalid_argument`.
    fn read(text: &str, sort: Option<&Sort>) -> Result<Self> {
        let refuse = |why: &str| {
            Error::new(
                Code::InvalidArgument,
                format!("after is {why}; give what the page before says is next, with the same sort"),
            )
        };
        let found: Json = serde_json::from_str(text).map_err(|_| refuse("not the end of a page"))?;
        let (Some(id), Some(given)) = (found["id"].as_str(), found["sort"].as_str()) else {
            return Err(refuse("not the end of a page"));
        };
        if given != sort_text(sort) {
            return Err(refuse("the end of a page in another order"));
        }
        let field = sort.map(|sort| sort.field.clone()).unwrap_or_default();
        Ok(Token { id: id.to_owned(), field, value: Value::from_json(&found["value"]) })
    }

    fn position(&self) -> Position<'_> {
        (self.value.as_ref().map(|value| SortKey::of_field(value, &self.field)), &self.id)
    }
}

fn sort_text(sort: Option<&Sort>) -> String {
    sort.map_or(String::new(), |sort| format!("{}{}", if sort.descending { "-" } else { "" }, sort.field))
}

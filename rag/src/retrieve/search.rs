//! How does one query run: filter, legs, fusion, grouping, reranking, page?

use std::collections::HashSet;
use std::sync::Arc;

use quorate_core::{Code, Error, Result};

use super::fusion::{Fused, Part, fuse};
use super::hits::Origin;
use super::rerank::{Ready, page};
use super::{Hit, Hits, Mode, SearchOptions};
use crate::RowSet;
use crate::index::dense::DenseIndex;
use crate::index::lexical::{Analyzer, LexicalView, Plan, Scores};
use crate::index::{Scored, TopRows};
use crate::kb::Snapshot;
use quorate_core::parallel;

/// The least depth of a leg of a hybrid search.
const MIN_DEPTH: usize = 100;
/// How many times deeper than the page a leg is at least.
const DEPTH_PER_HIT: usize = 10;

/// What is searched for.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    /// The words of the lexical leg.
    pub(crate) text: &'a str,
    /// The vector of the dense leg, of unit length.
    pub(crate) vector: &'a [f32],
}

/// Searches a snapshot. Errors: `invalid_argument`, `invalid_shape`, `filter_type`, `filter_field`, `cancelled`, and
/// those of the reranker.
pub(crate) fn search(
    snapshot: &Arc<Snapshot>,
    analyzer: &Analyzer,
    query: Query<'_>,
    options: &SearchOptions,
    rerank: Option<&Ready<'_>>,
) -> Result<Hits> {
    options.validate()?;
    options.cancel.check()?;
    let admitted = Admitted::new(snapshot, options)?;
    if options.k == 0 || admitted.rows == 0 {
        check_dim(snapshot, query, options)?;
        return Ok(Hits::default());
    }
    let stage = FirstStage::new(snapshot, analyzer, query, options, &admitted)?;
    Ok(Hits::new(page(options, rerank, |n| stage.candidates(n))?))
}

/// How deep the first layer of each leg is: as deep as one page of `k` hits, or what is reranked at a time, needs.
/// Pages beyond it come from further layers, so that the hits of one page do not depend on which page is asked for.
pub(super) fn layer(options: &SearchOptions) -> usize {
    let reranked = options.rerank.as_ref().map_or(0, |rerank| rerank.depth);
    MIN_DEPTH.max(DEPTH_PER_HIT * options.k).max(options.depth).max(reranked)
}

/// The rows that may be found.
pub(super) struct Admitted {
    /// Of each segment; none for all.
    sets: Vec<Option<RowSet>>,
    /// How many in all.
    pub(super) rows: usize,
}

impl Admitted {
    pub(super) fn new(snapshot: &Snapshot, options: &SearchOptions) -> Result<Self> {
        let sets = snapshot.admit(options.filter.as_ref(), options.strict)?;
        let count = |(i, set): (usize, &Option<RowSet>)| {
            set.as_ref().map_or(snapshot.segment(i as u32).catalog.chunks() as usize, RowSet::count)
        };
        let rows = sets.iter().enumerate().map(count).sum();
        Ok(Admitted { sets, rows })
    }
}

pub(super) fn check_dim(snapshot: &Snapshot, query: Query<'_>, options: &SearchOptions) -> Result<()> {
    let (dim, given) = (snapshot.dim(), query.vector.len());
    if options.mode != Mode::Lexical && given != dim {
        return Err(Error::new(
            Code::InvalidShape,
            format!("the query vector has {given} components, the knowledge base has {dim}"),
        ));
    }
    Ok(())
}

/// The legs of one query.
pub(super) struct FirstStage<'a> {
    snapshot: &'a Arc<Snapshot>,
    admitted: &'a Admitted,
    query: Query<'a>,
    options: &'a SearchOptions,
    origin: Arc<Origin>,
}

impl<'a> FirstStage<'a> {
    pub(super) fn new(
        snapshot: &'a Arc<Snapshot>,
        analyzer: &Analyzer,
        query: Query<'a>,
        options: &'a SearchOptions,
        admitted: &'a Admitted,
    ) -> Result<Self> {
        check_dim(snapshot, query, options)?;
        let plan = match options.mode {
            Mode::Dense => None,
            Mode::Hybrid | Mode::Lexical => Some(Plan::new(
                query.text,
                options.lexical.as_ref(),
                analyzer,
                &options.bm25,
                &lexical_views(snapshot),
            )?),
        };
        let origin = Arc::new(Origin { mode: options.mode, fusion: options.fusion, plan });
        Ok(FirstStage { snapshot, admitted, query, options, origin })
    }

    /// The best `n` candidates, grouped if so asked; fewer when there are no more.
    pub(super) fn candidates(&self, n: usize) -> Result<Vec<Hit>> {
        let layer = layer(self.options);
        let mut depth = layer;
        while depth < n {
            depth *= 2;
        }
        let ranked = loop {
            self.options.cancel.check()?;
            let (mut ranked, exhausted) = self.ranked(layer, depth)?;
            if self.options.group_by.is_some() {
                let mut seen = HashSet::new();
                ranked.retain(|fused| {
                    let catalog = &self.snapshot.segment(fused.at.segment).catalog;
                    seen.insert((fused.at.segment, catalog.doc_of(fused.at.row)))
                });
                if ranked.len() < n && !exhausted {
                    depth *= 4;
                    continue;
                }
            }
            break ranked;
        };
        let hit = |fused| Hit::new(self.snapshot.clone(), self.origin.clone(), fused);
        Ok(ranked.into_iter().take(n).map(hit).collect())
    }

    /// The candidates of legs of `depth`, best first, and whether deeper legs would bring no more.
    fn ranked(&self, layer: usize, depth: usize) -> Result<(Vec<Fused>, bool)> {
        let single = |leg: Vec<Scored>, part: fn(&mut Fused) -> &mut Part| {
            let exhausted = leg.len() < depth;
            let ranked = leg.into_iter().enumerate().map(|(i, at)| {
                let mut fused = Fused { at, lexical: Part::default(), dense: Part::default() };
                *part(&mut fused) = Part::leg(i, at.score);
                fused
            });
            (ranked.collect(), exhausted)
        };
        match self.options.mode {
            Mode::Lexical => Ok(single(self.lexical(depth)?.0, |fused| &mut fused.lexical)),
            Mode::Dense => Ok(single(self.dense(depth)?, |fused| &mut fused.dense)),
            Mode::Hybrid => {
                let (lexical, dense) = parallel::join(|| self.lexical(depth), || self.dense(depth));
                let ((lexical, scores), dense) = (lexical?, dense?);
                let exhausted = lexical.len() < depth && dense.len() < depth;
                let similarity = |segment: u32, row: u32| {
                    self.snapshot.segment(segment).vectors.similarity(self.query.vector, row)
                };
                let ranked =
                    fuse(self.options.fusion, &lexical, &dense, layer, |s, r| scores.get(s, r), similarity);
                Ok((ranked, exhausted))
            }
        }
    }

    fn lexical(&self, depth: usize) -> Result<(Vec<Scored>, Scores)> {
        let mut scores = Scores::default();
        let Some(plan) = &self.origin.plan else { return Ok((Vec::new(), scores)) };
        let mut top = TopRows::new(depth.min(self.admitted.rows), 0.0);
        for (i, view) in self.snapshot.views().iter().enumerate() {
            plan.search(
                &view.segment.lexical,
                &view.segment.catalog,
                i as u32,
                self.admitted.sets[i].as_ref(),
                &mut scores,
                &mut top,
            )?;
        }
        Ok((top.into_sorted(), scores))
    }

    fn dense(&self, depth: usize) -> Result<Vec<Scored>> {
        let depth = depth.min(self.admitted.rows);
        let mut top = TopRows::new(depth, f32::NEG_INFINITY);
        for (i, view) in self.snapshot.views().iter().enumerate() {
            let admit = self.admitted.sets[i].as_ref();
            match &view.segment.graph {
                None => view.segment.vectors.scan(self.query.vector, i as u32, admit, &mut top),
                Some(graph) => {
                    for near in graph.search(self.query.vector, depth, self.options.ef_search, admit)? {
                        top.offer(i as u32, near.row, near.similarity);
                    }
                }
            }
        }
        Ok(top.into_sorted())
    }
}

/// The inverted indexes of a snapshot, with what is dead of them.
pub(crate) fn lexical_views(snapshot: &Snapshot) -> Vec<LexicalView<'_>> {
    snapshot
        .views()
        .iter()
        .map(|view| LexicalView {
            segment: &view.segment.lexical,
            dead: &view.live.dead_terms,
            live_rows: view.live.row_count,
            live_docs: view.live.doc_count,
        })
        .collect()
}

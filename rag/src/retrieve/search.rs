//! How does a query run: filter, legs, fusion, grouping, page?

use std::collections::HashSet;
use std::sync::Arc;

use quorate_core::vector::dot;
use quorate_core::{Code, Error, Result};

use super::fusion::{Fused, Part, fuse};
use super::hits::Origin;
use super::{Hit, Hits, Mode, SearchOptions};
use crate::RowSet;
use crate::index::dense::DenseIndex;
use crate::index::lexical::{Analyzer, LexicalView, Plan, Scores};
use crate::index::{Scored, TopRows};
use crate::kb::Snapshot;
use crate::store::forks;

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

/// Searches a snapshot. Errors: `invalid_argument`, `invalid_shape`, `filter_type`, `filter_field`, `cancelled`.
pub(crate) fn search(
    snapshot: &Arc<Snapshot>,
    analyzer: &Analyzer,
    query: Query<'_>,
    options: &SearchOptions,
) -> Result<Hits> {
    options.validate()?;
    options.cancel.check()?;
    let dim = snapshot.dim();
    if options.mode != Mode::Lexical && query.vector.len() != dim {
        return Err(Error::new(
            Code::InvalidShape,
            format!("the query vector has {} components, the knowledge base has {dim}", query.vector.len()),
        ));
    }
    let admit = snapshot.admit(options.filter.as_ref(), options.strict)?;
    let admitted: usize = admit
        .iter()
        .enumerate()
        .map(|(i, set)| {
            set.as_ref().map_or(snapshot.segment(i as u32).catalog.chunks() as usize, RowSet::count)
        })
        .sum();
    let want = options.offset + options.k;
    if options.k == 0 || admitted == 0 {
        return Ok(Hits::default());
    }
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
    let search = Search { snapshot, admit: &admit, admitted, query, options, plan: plan.as_ref() };
    // The first layer is as deep as one page of `k` hits needs; pages beyond it come from further layers, so that
    // the hits of one page do not depend on which page is asked for.
    let layer = MIN_DEPTH.max(DEPTH_PER_HIT * options.k).max(options.depth);
    let mut depth = layer;
    while depth < want {
        depth *= 2;
    }
    let ranked = loop {
        options.cancel.check()?;
        let (mut ranked, exhausted) = search.ranked(layer, depth)?;
        if let Some(least) = options.min_score {
            ranked.retain(|fused| fused.at.score >= least);
        }
        if options.group_by.is_some() {
            let mut seen = HashSet::new();
            ranked.retain(|fused| {
                let catalog = &snapshot.segment(fused.at.segment).catalog;
                seen.insert((fused.at.segment, catalog.doc_of(fused.at.row)))
            });
            if ranked.len() < want && !exhausted && options.min_score.is_none() {
                depth *= 4;
                continue;
            }
        }
        break ranked;
    };
    let origin = Arc::new(Origin { mode: options.mode, fusion: options.fusion, plan });
    let hits = ranked
        .into_iter()
        .skip(options.offset)
        .take(options.k)
        .map(|fused| Hit::new(snapshot.clone(), origin.clone(), fused))
        .collect();
    Ok(Hits::new(hits))
}

pub(crate) fn lexical_views(snapshot: &Snapshot) -> Vec<LexicalView<'_>> {
    snapshot
        .views()
        .iter()
        .map(|view| LexicalView {
            segment: &view.segment.lexical,
            dead: &view.live.dead_terms,
            live_rows: view.live.row_count,
        })
        .collect()
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    admit: &'a [Option<RowSet>],
    admitted: usize,
    query: Query<'a>,
    options: &'a SearchOptions,
    plan: Option<&'a Plan>,
}

impl Search<'_> {
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
                let (lexical, dense) = join(|| self.lexical(depth), || self.dense(depth));
                let ((lexical, scores), dense) = (lexical?, dense?);
                let exhausted = lexical.len() < depth && dense.len() < depth;
                let similarity = |segment: u32, row: u32| {
                    let vectors = &self.snapshot.segment(segment).vectors;
                    dot(self.query.vector, vectors.row(row))
                };
                let ranked =
                    fuse(self.options.fusion, &lexical, &dense, layer, |s, r| scores.get(s, r), similarity);
                Ok((ranked, exhausted))
            }
        }
    }

    fn lexical(&self, depth: usize) -> Result<(Vec<Scored>, Scores)> {
        let mut scores = Scores::default();
        let Some(plan) = self.plan else { return Ok((Vec::new(), scores)) };
        let mut top = TopRows::new(depth.min(self.admitted), 0.0);
        for (i, view) in self.snapshot.views().iter().enumerate() {
            plan.search(&view.segment.lexical, i as u32, self.admit[i].as_ref(), &mut scores, &mut top)?;
        }
        Ok((top.into_sorted(), scores))
    }

    fn dense(&self, depth: usize) -> Result<Vec<Scored>> {
        let depth = depth.min(self.admitted);
        let mut top = TopRows::new(depth, f32::NEG_INFINITY);
        for (i, view) in self.snapshot.views().iter().enumerate() {
            let admit = self.admit[i].as_ref();
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

/// Both at once where that is possible: a forked child has none of its parent's worker threads.
fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if forks() > 0 { (a(), b()) } else { rayon::join(a, b) }
}

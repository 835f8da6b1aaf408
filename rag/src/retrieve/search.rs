//! How does one query run: filter, legs, fusion, grouping, reranking, page?

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use quorate_core::{Code, Error, Result};

use super::fusion::{Fused, Part, fuse, ranks};
use super::hits::Origin;
use super::relevance::Judge;
use super::rerank::{Ready, page};
use super::{Hit, Hits, Mode, SearchOptions};
use crate::RowSet;
use crate::index::dense::DenseIndex;
use crate::index::lexical::{Analyzer, LexicalView, Plan, Scores};
use crate::index::{Scored, TopRows};
use crate::kb::Snapshot;
use quorate_core::parallel;

/// The least depth of a leg of a search. It does not grow with `k`, since then the first hits would depend on how many
/// are asked for; beyond it legs go deeper in steps, whose hits come after all that the steps before have brought.
const MIN_DEPTH: usize = 100;

/// What is searched for.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    /// The words of the lexical leg.
    pub(crate) text: &'a str,
    /// The vector of the dense leg, of unit length, or of zeros where the query has no meaning to the model.
    pub(crate) vector: &'a [f32],
}

impl Query<'_> {
    fn is_meaningful(&self) -> bool {
        self.vector.iter().any(|&x| x != 0.0)
    }
}

/// Searches a snapshot. Errors: `invalid_argument`, `invalid_shape`, `filter_type`, `filter_field`, `cancelled`, and
/// those of the reranker.
pub(crate) fn search(
    snapshot: &Arc<Snapshot>,
    analyzer: &Analyzer,
    query: Query<'_>,
    options: &SearchOptions,
    rerank: Option<&Ready<'_>>,
    judge: &Arc<Judge>,
) -> Result<Hits> {
    options.validate()?;
    options.cancel.check()?;
    let admitted = Admitted::new(snapshot, options)?;
    if options.k == 0 || admitted.rows == 0 {
        check_dim(snapshot, query, options)?;
        return Ok(Hits::default());
    }
    let stage = FirstStage::new(snapshot, analyzer, query, options, &admitted, judge)?;
    Ok(Hits::new(page(options, rerank, |n| stage.candidates(n))?))
}

/// How deep the first layer of each leg is: as deep as was asked for, or as what is reranked at a time needs. Pages beyond
/// it come from further layers, so that a hit's place depends neither on `k` nor on which page is asked for.
pub(super) fn layer(options: &SearchOptions) -> usize {
    let reranked = options.rerank.as_ref().map_or(0, |rerank| rerank.depth);
    MIN_DEPTH.max(options.depth).max(reranked)
}

/// The rows that may be found.
#[derive(Clone)]
pub(super) struct Admitted {
    /// Of each segment; none for all.
    sets: Vec<Option<RowSet>>,
    /// How many in all.
    pub(super) rows: usize,
}

impl Admitted {
    pub(super) fn new(snapshot: &Snapshot, options: &SearchOptions) -> Result<Self> {
        let sets = snapshot.admit(options.filter.as_ref(), options.strict)?;
        Ok(Admitted::of(snapshot, sets))
    }

    fn of(snapshot: &Snapshot, sets: Vec<Option<RowSet>>) -> Self {
        let count = |(i, set): (usize, &Option<RowSet>)| {
            set.as_ref().map_or(snapshot.segment(i as u32).catalog.chunks() as usize, RowSet::count)
        };
        let rows = sets.iter().enumerate().map(count).sum();
        Admitted { sets, rows }
    }

    /// Those that also meet the conditions of a structured query.
    fn restricted(&self, snapshot: &Snapshot, plan: &Plan) -> Result<Self> {
        let mut sets = self.sets.clone();
        for (view, set) in snapshot.views().iter().zip(&mut sets) {
            plan.restrict(&view.segment.lexical, &view.segment.catalog, set)?;
        }
        Ok(Admitted::of(snapshot, sets))
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
    admitted: Cow<'a, Admitted>,
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
        judge: &Arc<Judge>,
    ) -> Result<Self> {
        check_dim(snapshot, query, options)?;
        let conditions = options.lexical.as_ref().is_some_and(|query| query.conditions().is_some());
        let plan = match options.mode {
            Mode::Dense if !conditions => None,
            Mode::Dense | Mode::Hybrid | Mode::Lexical => Some(Plan::new(
                query.text,
                options.lexical.as_ref(),
                analyzer,
                &options.bm25,
                &lexical_views(snapshot),
            )?),
        };
        let admitted = match &plan {
            Some(plan) if plan.has_conditions() => Cow::Owned(admitted.restricted(snapshot, plan)?),
            _ => Cow::Borrowed(admitted),
        };
        let origin = Origin {
            mode: options.mode,
            fusion: options.fusion,
            meaningful: query.is_meaningful(),
            plan,
            text: query.text.into(),
            analyzer: analyzer.clone(),
            judge: judge.clone(),
            asked: OnceLock::new(),
        };
        let origin = Arc::new(origin);
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
            let ranks = ranks(&leg);
            let ranked = leg.into_iter().zip(ranks).zip(1..).map(|((at, rank), place)| {
                let mut fused = Fused { at, lexical: Part::default(), dense: Part::default(), place };
                *part(&mut fused) = Part { rank: Some(rank), score: at.score, mapped: at.score };
                fused
            });
            (ranked.collect(), exhausted)
        };
        match self.options.mode {
            Mode::Lexical => Ok(single(self.lexical(depth)?.0, |fused| &mut fused.lexical)),
            Mode::Dense => Ok(single(self.dense(layer, depth)?, |fused| &mut fused.dense)),
            Mode::Hybrid => {
                let (lexical, dense) = parallel::join(|| self.lexical(depth), || self.dense(layer, depth));
                let ((lexical, scores), dense) = (lexical?, dense?);
                let exhausted = lexical.len() < depth && dense.len() < depth;
                let similarity = |segment: u32, row: u32| {
                    self.snapshot.segment(segment).vectors.similarity(self.query.vector, row)
                };
                let ranked = fuse(
                    self.options.fusion,
                    &lexical,
                    &dense,
                    layer,
                    self.query.is_meaningful(),
                    |s, r| scores.get(s, r),
                    similarity,
                );
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

    /// The first `depth` rows of the dense leg. A graph that is searched more widely may find something nearer, so what
    /// a deeper search adds comes after what the first `layer` are, and so on in powers of two.
    fn dense(&self, layer: usize, depth: usize) -> Result<Vec<Scored>> {
        let graphs = self.snapshot.views().iter().any(|view| view.segment.graph.is_some());
        if !graphs || self.options.is_exact() || depth <= layer {
            return self.nearest(depth);
        }
        let mut reach = layer;
        let mut out = self.nearest(reach)?;
        let mut seen: HashSet<(u32, u32)> = out.iter().map(|at| (at.segment, at.row)).collect();
        while reach < depth && out.len() == reach {
            self.options.cancel.check()?;
            reach = depth.min(2 * reach);
            for at in self.nearest(reach)? {
                if out.len() < reach && seen.insert((at.segment, at.row)) {
                    out.push(at);
                }
            }
        }
        Ok(out)
    }

    /// The `depth` rows nearest to the query, by graphs where there are any.
    fn nearest(&self, depth: usize) -> Result<Vec<Scored>> {
        let depth = depth.min(self.admitted.rows);
        let mut top = TopRows::new(depth, f32::NEG_INFINITY);
        let ef = self.options.width();
        for (i, view) in self.snapshot.views().iter().enumerate() {
            let admit = self.admitted.sets[i].as_ref();
            match view.segment.graph.as_ref().filter(|_| !self.options.is_exact()) {
                None => view.segment.vectors.scan(self.query.vector, i as u32, admit, &mut top),
                Some(graph) => {
                    for near in graph.search(self.query.vector, depth, ef, admit)? {
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

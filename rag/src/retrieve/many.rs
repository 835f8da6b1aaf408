//! How do several wordings of one question find together what none finds alone?

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::Result;

use super::explain::QueryExplanation;
use super::relevance::Judge;
use super::rerank::{Ready, page};
use super::search::{Admitted, FirstStage, Query, check_dim, layer};
use super::{Fusion, Hit, Hits, SearchOptions};
use crate::index::lexical::Analyzer;
use crate::kb::Snapshot;
use quorate_core::parallel;

/// Searches a snapshot for several queries and fuses their hits by reciprocal rank (Cormack, Clarke & Buettcher 2009).
/// Errors: as [`search`](super::search).
pub(crate) fn search_many(
    snapshot: &Arc<Snapshot>,
    analyzer: &Analyzer,
    queries: &[Query<'_>],
    options: &SearchOptions,
    rerank: Option<&Ready<'_>>,
    judge: &Arc<Judge>,
) -> Result<Hits> {
    options.validate()?;
    options.cancel.check()?;
    queries.iter().try_for_each(|query| check_dim(snapshot, *query, options))?;
    let admitted = Admitted::new(snapshot, options)?;
    if options.k == 0 || admitted.rows == 0 {
        return Ok(Hits::default());
    }
    let stages = queries
        .iter()
        .map(|&query| FirstStage::new(snapshot, analyzer, query, options, &admitted, judge))
        .collect::<Result<Vec<_>>>()?;
    let texts: Vec<&str> = queries.iter().map(|query| query.text).collect();
    let layer = layer(options);
    let candidates = |n: usize| {
        let mut depth = layer;
        while depth < n {
            depth *= 2;
        }
        let lists: Vec<Vec<Hit>> = parallel::try_map(&stages, |stage| stage.candidates(depth))?;
        let mut fused = fuse(&texts, lists, layer, options.group_by.is_some());
        fused.truncate(n);
        Ok(fused)
    };
    Ok(Hits::new(page(options, rerank, candidates)?))
}

/// One list of several. Hits of equal score have one rank in their list. A hit that no list has within the first `layer` ranks comes after all that some list has, and
/// so on by powers of two; ranks beyond a hit's own layer add nothing. So longer lists only add hits at the end.
fn fuse(queries: &[&str], lists: Vec<Vec<Hit>>, layer: usize, by_document: bool) -> Vec<Hit> {
    struct Found {
        /// As the query that ranks it best found it.
        hit: Hit,
        best: usize,
        /// The place and the rank in each list.
        ranks: Vec<Option<(usize, u32)>>,
    }
    let mut index: HashMap<(u32, u32), usize> = HashMap::new();
    let mut all: Vec<Found> = Vec::new();
    for (query, list) in lists.into_iter().enumerate() {
        let mut last: Option<(f32, usize)> = None;
        for (i, hit) in list.into_iter().enumerate() {
            let place = i + 1;
            let rank = last.filter(|(score, _)| *score == hit.score()).map_or(place, |(_, rank)| rank);
            last = Some((hit.score(), rank));
            let at = *index.entry(hit.key(by_document)).or_insert_with(|| {
                all.push(Found { hit: hit.clone(), best: usize::MAX, ranks: vec![None; queries.len()] });
                all.len() - 1
            });
            let found = &mut all[at];
            found.ranks[query] = Some((place, rank as u32));
            if place < found.best {
                (found.hit, found.best) = (hit, place);
            }
        }
    }
    let mut out: Vec<(usize, usize, Hit)> = all
        .into_iter()
        .map(|Found { hit, best, ranks }| {
            let deepest = best.div_ceil(layer).next_power_of_two();
            let explained: Vec<QueryExplanation> = queries
                .iter()
                .zip(ranks)
                .map(|(query, rank)| {
                    let rank = rank.filter(|(place, _)| *place <= layer * deepest).map(|(_, rank)| rank);
                    let score = rank.map_or(0.0, |rank| 1.0 / (Fusion::RRF_K + rank as f32));
                    QueryExplanation { query: (*query).to_owned(), rank, score }
                })
                .collect();
            let score = explained.iter().map(|query| query.score).sum();
            (deepest, best, hit.with_queries(explained, score))
        })
        .collect();
    out.sort_by(|(layer_a, place_a, a), (layer_b, place_b, b)| {
        let scores = b.score().total_cmp(&a.score());
        let places = layer_a.cmp(layer_b).then(scores).then(place_a.cmp(place_b));
        places.then_with(|| a.key(false).cmp(&b.key(false)))
    });
    out.into_iter().map(|(_, _, hit)| hit).collect()
}

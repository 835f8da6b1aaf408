//! Which passages go into a context, and how far does each reach?

use std::ops::Range;

use quorate_core::Result;

use super::cut::beginning;
use super::shingles::Shingles;
use super::{ContextOptions, Counter, SEPARATOR};
use crate::retrieve::Hit;

/// A title is shown up to this many bytes.
const MAX_TITLE_BYTES: usize = 200;

/// A part of a document.
#[derive(Clone)]
pub(super) struct Passage<'a> {
    /// The best hit in it.
    pub(super) hit: &'a Hit,
    /// Where it stands in the document's text, in bytes.
    pub(super) range: Range<usize>,
    /// The first and last chunk of the document that it has.
    chunks: (usize, usize),
    tokens: usize,
}

/// Passages on their way into one context, best first.
pub(super) struct Passages<'a, 'c> {
    chosen: Vec<Passage<'a>>,
    tokens: usize,
    budget: usize,
    counter: &'c Counter<'c>,
}

impl<'a, 'c> Passages<'a, 'c> {
    /// The passages for `hits`, which come best first, of at most about `budget` tokens. Errors: `cancelled`, and those
    /// of counting.
    pub(super) fn choose(
        hits: &'a [Hit],
        options: &ContextOptions,
        budget: usize,
        counter: &'c Counter<'c>,
    ) -> Result<Vec<Passage<'a>>> {
        let mut passages = Passages { chosen: Vec::new(), tokens: 0, budget, counter };
        let mut told: Vec<(&Hit, Shingles)> = Vec::new();
        for hit in hits {
            options.search.cancel.check()?;
            if options.dedupe < 1.0 {
                let shingles = Shingles::new(hit.text());
                // Chunks of one document that repeat each other's edges are joined, not dropped.
                let told_already = told.iter().any(|(other, theirs)| {
                    !overlap(hit, other) && shingles.similarity(theirs) >= options.dedupe
                });
                if told_already {
                    continue;
                }
                told.push((hit, shingles));
            }
            if !passages.take(hit)? {
                return Ok(passages.chosen);
            }
        }
        for distance in 1..=options.neighbours {
            // What lies beyond one neighbour is asked for when all have that one.
            if !passages.widen(distance)? {
                break;
            }
            options.search.cancel.check()?;
        }
        Ok(passages.chosen)
    }

    /// Takes the chunk of a hit if it fits, or its beginning. Whether there is room for more.
    fn take(&mut self, hit: &'a Hit) -> Result<bool> {
        let index = hit.chunk_index();
        let fresh = Passage { hit, range: hit.range(), chunks: (index, index), tokens: 0 };
        if self.insert(fresh.clone())? {
            return Ok(true);
        }
        // The chunk does not fit whole. A part of one that touches another passage is left alone.
        if self.chosen.iter().any(|p| p.touches(&fresh)) {
            return Ok(true);
        }
        let text = hit.text();
        let marker = self.marker();
        let room = self.budget - self.tokens;
        let fits = |end: usize| {
            let part = Passage { range: fresh.range.start..fresh.range.start + end, ..fresh.clone() };
            Ok(self.count(&part, &marker)? <= room)
        };
        // Half a sentence is better than nothing, but not than a full stop.
        let end = beginning(text, self.chosen.is_empty(), fits)?;
        if end == 0 {
            return Ok(true);
        }
        let mut part = Passage { range: fresh.range.start..fresh.range.start + end, ..fresh };
        part.tokens = self.count(&part, &marker)?;
        self.tokens += part.tokens;
        self.chosen.push(part);
        Ok(false)
    }

    /// Joins to each passage the chunk that lies `distance` after it, and the one before it, where they fit. Whether
    /// any did.
    fn widen(&mut self, distance: usize) -> Result<bool> {
        let mut any = false;
        // A passage can be joined with a better one meanwhile; hits stay what they are.
        let hits: Vec<&'a Hit> = self.chosen.iter().map(|p| p.hit).collect();
        for hit in hits {
            let Some(passage) = self.chosen.iter().find(|p| std::ptr::eq(p.hit, hit)) else { continue };
            let (first, last) = passage.chunks;
            // Each round adds one chunk at either end, as long as the ones before it fitted.
            for index in [last.checked_add(1), first.checked_sub(1)].into_iter().flatten() {
                let near = hit.chunk_index().abs_diff(index) >= distance;
                let Some(range) = hit.sibling(index).filter(|_| near) else { continue };
                let neighbour = Passage { hit, range, chunks: (index, index), tokens: 0 };
                if self.chosen.iter().any(|p| p.touches(&neighbour)) {
                    any |= self.insert(neighbour)?;
                }
            }
        }
        Ok(any)
    }

    /// Adds a passage, joined with those that it touches, if the result fits. Whether it did.
    fn insert(&mut self, fresh: Passage<'a>) -> Result<bool> {
        let mut joined = fresh;
        let mut place = None;
        let mut freed = 0;
        let mut rest: Vec<Passage<'a>> = Vec::with_capacity(self.chosen.len() + 1);
        for passage in &self.chosen {
            if passage.touches(&joined) {
                freed += passage.tokens;
                // The best hit names it, at the best place.
                let hit = if place.is_none() { passage.hit } else { joined.hit };
                place.get_or_insert(rest.len());
                joined = Passage {
                    hit,
                    range: passage.range.start.min(joined.range.start)
                        ..passage.range.end.max(joined.range.end),
                    chunks: (passage.chunks.0.min(joined.chunks.0), passage.chunks.1.max(joined.chunks.1)),
                    tokens: 0,
                };
            } else {
                rest.push(passage.clone());
            }
        }
        joined.tokens = self.count(&joined, &self.marker())?;
        let tokens = self.tokens - freed + joined.tokens;
        if tokens > self.budget {
            return Ok(false);
        }
        let place = place.unwrap_or(rest.len());
        rest.insert(place, joined);
        (self.chosen, self.tokens) = (rest, tokens);
        Ok(true)
    }

    /// The longest marker that a further passage can have.
    fn marker(&self) -> String {
        format!("[{}]", self.chosen.len() + 1)
    }

    fn count(&self, passage: &Passage<'_>, marker: &str) -> Result<usize> {
        let mut block = passage.block(marker);
        if !self.chosen.is_empty() {
            block.insert_str(0, SEPARATOR);
        }
        self.counter.count(&block)
    }
}

impl Passage<'_> {
    /// What stands in the context: the marker and the title, then the passage itself.
    pub(super) fn block(&self, marker: &str) -> String {
        let title = one_line(self.hit.title());
        let text = &self.hit.document_text()[self.range.clone()];
        match (title.is_empty(), text.is_empty()) {
            (true, _) => format!("{marker} {text}"),
            (false, true) => format!("{marker} {title}"),
            (false, false) => format!("{marker} {title}\n{text}"),
        }
    }

    pub(super) fn same_document(&self, hit: &Hit) -> bool {
        same_document(self.hit, hit)
    }

    /// Whether nothing but white space lies between them.
    fn touches(&self, other: &Passage<'_>) -> bool {
        if !self.same_document(other.hit) {
            return false;
        }
        let (a, b) = match self.range.start <= other.range.start {
            true => (&self.range, &other.range),
            false => (&other.range, &self.range),
        };
        let between = self.hit.document_text().get(a.end..b.start);
        a.end >= b.start || between.is_some_and(|gap| gap.trim().is_empty())
    }
}

/// One document at one version: after a change, the same id stands for another text.
fn same_document(a: &Hit, b: &Hit) -> bool {
    a.doc_id() == b.doc_id() && a.document_text() == b.document_text()
}

fn overlap(a: &Hit, b: &Hit) -> bool {
    let (x, y) = (a.range(), b.range());
    x.start < y.end && y.start < x.end && same_document(a, b)
}

/// The title on one line, not too long.
fn one_line(title: &str) -> String {
    // More of it would not be shown.
    let title = &title[..title.floor_char_boundary(MAX_TITLE_BYTES * 4)];
    let mut line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > MAX_TITLE_BYTES {
        line.truncate(line.floor_char_boundary(MAX_TITLE_BYTES));
        line.truncate(line.rfind(' ').unwrap_or(line.len()));
        line.push_str("...");
    }
    line
}

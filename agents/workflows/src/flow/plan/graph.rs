//! Which steps are there, and which come before which?

use std::collections::{BTreeMap, BTreeSet};

use super::{Builder, Draft, below, is_name};
use crate::flow::form::Step;

/// All that come after each step: those that need it, and those within them.
pub(super) fn closure(needs: &[Vec<usize>], steps: &[Draft]) -> Vec<BTreeSet<usize>> {
    (0..needs.len())
        .map(|start| {
            let (mut found, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(next) = open.pop() {
                for (other, needed) in needs.iter().enumerate() {
                    if needed.contains(&next) && found.insert(other) {
                        open.push(other);
                    }
                }
            }
            let mut within: Vec<usize> = found.iter().copied().collect();
            while let Some(next) = within.pop() {
                for child in &steps[next].children {
                    if found.insert(*child) {
                        within.push(*child);
                    }
                }
            }
            found
        })
        .collect()
}

/// All that have ended before each step begins.
pub(super) fn inverse(after: &[BTreeSet<usize>], steps: &[Draft]) -> Vec<BTreeSet<usize>> {
    (0..steps.len())
        .map(|i| {
            let mut before: BTreeSet<usize> =
                (0..steps.len()).filter(|other| after[*other].contains(&i)).collect();
            // What is within one that has ended has ended too.
            let mut within: Vec<usize> = before.iter().copied().collect();
            while let Some(next) = within.pop() {
                for child in &steps[next].children {
                    if before.insert(*child) {
                        within.push(*child);
                    }
                }
            }
            before
        })
        .collect()
}

impl Builder<'_> {
    pub(super) fn names(&mut self, steps: &BTreeMap<String, Step>, parent: Option<usize>, at: &[String]) {
        for (id, step) in steps {
            let at = below(at, &[id]);
            if !is_name(id, false) {
                let message =
                    format!("'{}' is no name of letters, digits, '_' and '-'", quorate_core::shorten(id));
                self.fault(&at, "bad_id", message);
            }
            let number = self.steps.len();
            if self.by_id.insert(id.clone(), number).is_some() {
                let message =
                    format!("two steps have the id '{id}'; those within others too have ids of their own");
                self.fault(&at, "duplicate_step", message);
            }
            self.steps.push(Draft {
                id: id.clone(),
                parent,
                form: step.clone(),
                at: at.clone(),
                children: Vec::new(),
            });
            if let Some(parent) = parent {
                self.steps[parent].children.push(number);
            }
            if let Some(parallel) = &step.parallel {
                let below = below(&at, &["parallel", "steps"]);
                if parallel.steps.is_empty() {
                    self.fault(&below, "no_steps", "there is nothing to do at once".to_owned());
                }
                self.names(&parallel.steps, Some(number), &below);
            }
        }
    }

    /// What each step needs, of its own level.
    pub(super) fn needs(&mut self) -> Vec<Vec<usize>> {
        let mut all = Vec::new();
        for i in 0..self.steps.len() {
            let (needs, parent, at) =
                (self.steps[i].form.needs.clone(), self.steps[i].parent, self.steps[i].at.clone());
            let mut known = Vec::new();
            for (n, need) in needs.iter().enumerate() {
                let place = below(&at, &["needs", &n.to_string()]);
                match self.by_id.get(need) {
                    Some(other) if self.steps[*other].parent == parent => {
                        if !known.contains(other) {
                            known.push(*other);
                        }
                    }
                    Some(_) => {
                        let message = format!(
                            "'{need}' is within another step or around this one; a step needs those beside it"
                        );
                        self.fault(&place, "unknown_step", message);
                    }
                    None => self.fault(&place, "unknown_step", format!("there is no step '{need}'")),
                }
            }
            all.push(known);
        }
        all
    }

    /// Every circle, told once, at its first step.
    pub(super) fn cycles(&mut self, needs: &[Vec<usize>]) {
        let mut done = vec![0u8; needs.len()];
        for start in 0..needs.len() {
            let mut path: Vec<(usize, usize)> = Vec::new();
            if done[start] == 0 {
                path.push((start, 0));
                done[start] = 1;
            }
            while let Some((node, next)) = path.last_mut() {
                match needs[*node].get(*next) {
                    None => {
                        done[*node] = 2;
                        path.pop();
                    }
                    Some(other) => {
                        *next += 1;
                        match done[*other] {
                            0 => {
                                done[*other] = 1;
                                path.push((*other, 0));
                            }
                            1 => {
                                let from = path.iter().position(|(node, _)| node == other).unwrap_or(0);
                                let names: Vec<&str> = path[from..]
                                    .iter()
                                    .map(|(node, _)| self.steps[*node].id.as_str())
                                    .collect();
                                let message = format!("these need each other: {}", names.join(", "));
                                let at = below(&self.steps[*other].at.clone(), &["needs"]);
                                self.fault(&at, "cycle", message);
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }
}

//! How much may an expression do?
//!
//! What an expression is computed by is written into it: whatever grows (sums, lists, maps) and whatever is done again and again
//! (the steps of `map`, `filter`, `all`, `exists`) passes by a meter, which ends it when it has had its share. The meter counts
//! values and the bytes of texts, and no time, so that an expression comes to the same wherever it is computed.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cel::common::ast::{EntryExpr, Expr as Node, LiteralValue, operators};
use cel::extractors::This;
use cel::{Context, ExecutionError, IdedExpr, Value as Cel};
use regex::{Regex, RegexBuilder};

use super::call;

/// What an expression may cost: a value is 1, and a text 1 for each so many bytes.
pub(crate) const MAX_COST: u64 = 4_000_000;
const TEXT: u64 = 32;
/// What a pattern costs that is read for the first time.
const PATTERN: u64 = 2_000;
/// The largest pattern, as it is compiled, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// How deep an expression is nested.
pub(crate) const MAX_DEPTH: usize = 120;

const SPEND: &str = "@spend";
const SIZED: &str = "@sized";
const MATCHES: &str = "@matches";

/// That an expression has had its share.
pub(crate) struct Spent;

/// What is left of a share.
#[derive(Clone)]
struct Share(Arc<AtomicU64>);

impl Share {
    /// Ends the expression when nothing is left: an error would be caught by `||` and by `exists`, and it would go on.
    fn spend(&self, cost: u64) {
        let left = self.0.load(Ordering::Relaxed);
        if cost > left {
            resume_unwind(Box::new(Spent));
        }
        self.0.store(left - cost, Ordering::Relaxed);
    }

    fn spend_on(&self, value: &Cel) {
        match value {
            Cel::String(text) => self.spend(1 + text.len() as u64 / TEXT),
            Cel::Bytes(bytes) => self.spend(1 + bytes.len() as u64 / TEXT),
            Cel::List(items) => {
                self.spend(1);
                items.iter().for_each(|item| self.spend_on(item));
            }
            Cel::Map(map) => {
                self.spend(1 + map.map.len() as u64);
                map.map.values().for_each(|value| self.spend_on(value));
            }
            _ => self.spend(1),
        }
    }
}

/// Gives a context the meter.
pub(crate) fn install(context: &mut Context<'_, '_>, most: u64) -> Result<(), String> {
    let share = Share(Arc::new(AtomicU64::new(most)));
    let spends = share.clone();
    let sized = share.clone();
    let patterns: Mutex<HashMap<Arc<String>, Regex>> = Mutex::default();
    let added = context
        .add_function(SPEND, move |value: Cel| {
            spends.spend_on(&value);
            true
        })
        .and_then(|()| {
            context.add_function(SIZED, move |value: Cel| {
                sized.spend_on(&value);
                value
            })
        })
        .and_then(|()| {
            context.add_function(MATCHES, move |This(text): This<Arc<String>>, pattern: Arc<String>| {
                share.spend(1 + text.len() as u64 / TEXT);
                let mut known = patterns.lock().unwrap_or_else(PoisonError::into_inner);
                if !known.contains_key(&pattern) {
                    share.spend(PATTERN);
                    let made = RegexBuilder::new(&pattern).size_limit(MAX_PATTERN).build();
                    let made = made.map_err(|e| ExecutionError::FunctionError {
                        function: "matches".to_owned(),
                        message: format!("'{}' is no pattern: {e}", quorate_core::shorten(&pattern)),
                    })?;
                    known.insert(Arc::clone(&pattern), made);
                }
                Ok::<bool, ExecutionError>(known.get(&pattern).is_some_and(|one| one.is_match(&text)))
            })
        });
    added.map_err(|e| e.to_string())
}

/// How deep an expression is nested.
pub(crate) fn depth(expr: &IdedExpr) -> usize {
    // Without recursion: what is too deep is found out here.
    let (mut deepest, mut open) = (0, vec![(expr, 1)]);
    while let Some((next, level)) = open.pop() {
        deepest = deepest.max(level);
        match &next.expr {
            Node::Select(select) => open.push((&select.operand, level + 1)),
            Node::Call(call) => {
                open.extend(call.target.as_deref().map(|target| (target, level + 1)));
                open.extend(call.args.iter().map(|arg| (arg, level + 1)));
            }
            Node::List(list) => open.extend(list.elements.iter().map(|one| (one, level + 1))),
            Node::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        open.push((&entry.key, level + 1));
                        open.push((&entry.value, level + 1));
                    }
                }
            }
            Node::Comprehension(each) => {
                for part in
                    [&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result]
                {
                    open.push((part, level + 1));
                }
            }
            _ => {}
        }
    }
    deepest
}

/// Lets what an expression does pass by the meter.
pub(crate) fn meter(expr: &mut IdedExpr) {
    measure(expr, false);
}

fn is_plain(expr: &IdedExpr) -> bool {
    matches!(expr.expr, Node::Literal(_))
}

/// What a comprehension gathers in.
fn is_gathered(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Node::Ident(name) if name.starts_with('@'))
}

fn sized(expr: &mut IdedExpr) {
    if !is_plain(expr) && !is_gathered(expr) {
        let inner = std::mem::take(expr);
        *expr = call(inner.id, SIZED, vec![inner]);
    }
}

/// `again`: it is done for each of many.
fn measure(expr: &mut IdedExpr, again: bool) {
    match &mut expr.expr {
        Node::Select(select) => measure(&mut select.operand, again),
        Node::Call(call) => {
            call.target.iter_mut().for_each(|target| measure(target, again));
            call.args.iter_mut().for_each(|arg| measure(arg, again));
            let compares = [
                operators::EQUALS,
                operators::NOT_EQUALS,
                operators::LESS,
                operators::LESS_EQUALS,
                operators::GREATER,
                operators::GREATER_EQUALS,
            ];
            let name = call.func_name.as_str();
            if name == "matches" {
                if let Some(target) = call.target.take() {
                    call.args.insert(0, *target);
                }
                MATCHES.clone_into(&mut call.func_name);
            } else if name == operators::ADD {
                for arg in &mut call.args {
                    // What stands in a list has been counted.
                    if !matches!(arg.expr, Node::List(_)) {
                        sized(arg);
                    }
                }
            } else if again && compares.contains(&name) {
                if !call.args.iter().any(is_plain) {
                    call.args.iter_mut().for_each(sized);
                }
            } else if again && (name == operators::IN || name.starts_with(char::is_alphabetic)) {
                call.args.iter_mut().for_each(sized);
                let library =
                    |target: &IdedExpr| matches!(&target.expr, Node::Ident(name) if name == "optional");
                call.target.iter_mut().filter(|target| !library(target)).for_each(|target| sized(target));
            }
        }
        Node::List(list) => {
            for one in &mut list.elements {
                measure(one, again);
                sized(one);
            }
        }
        Node::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    for part in [&mut entry.key, &mut entry.value] {
                        measure(part, again);
                        sized(part);
                    }
                }
            }
        }
        Node::Comprehension(each) => {
            measure(&mut each.iter_range, again);
            measure(&mut each.accu_init, again);
            for part in [&mut each.loop_cond, &mut each.loop_step, &mut each.result] {
                measure(part, true);
            }
            let one = each.iter_var.clone();
            count(&mut each.loop_step, &one);
        }
        _ => {}
    }
}

/// Counts each time that a step of a comprehension is done, without changing how it gathers.
fn count(step: &mut IdedExpr, one: &str) {
    match &mut step.expr {
        Node::Call(call) if call.target.is_none() && call.args.iter().any(gathers) => {
            for arg in &mut call.args {
                if is_gathered(arg) || is_plain(arg) {
                    continue;
                }
                if gathers(arg) {
                    count(arg, one);
                } else if let Node::List(list) = &mut arg.expr {
                    list.elements.iter_mut().for_each(|element| guard(element, one));
                } else {
                    guard(arg, one);
                }
            }
        }
        _ => guard(step, one),
    }
}

/// Whether it is what a comprehension gathers in, or is added to that.
fn gathers(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Node::Call(call) => call.func_name == operators::ADD && call.args.first().is_some_and(is_gathered),
        _ => is_gathered(expr),
    }
}

fn guard(expr: &mut IdedExpr, one: &str) {
    let (id, inner) = (expr.id, std::mem::take(expr));
    let seen = call(id, SPEND, vec![IdedExpr { id, expr: Node::Ident(one.to_owned()) }]);
    let never = IdedExpr { id, expr: Node::Literal(LiteralValue::Null) };
    *expr = call(id, operators::CONDITIONAL, vec![seen, inner, never]);
}

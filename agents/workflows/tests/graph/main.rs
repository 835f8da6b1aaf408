//! Does a graph do what is asked of it, in memory and on the disk alike?

#![allow(clippy::unwrap_used, clippy::panic)]

mod failures;
mod guards;
mod inner;
mod limits;
mod plans;
mod ready;
mod ready_flow;
mod reviews;
mod steps;
mod streams;
mod support;
mod threads;

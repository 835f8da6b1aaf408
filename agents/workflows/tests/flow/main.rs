//! Do workflows do what their files say, through crashes, early signals, late timers and several workers?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests

mod children;
mod crashes;
mod definitions;
mod experts;
mod migrates;
mod moments;
mod people;
mod runs;
mod schedules;
mod shipped;
mod support;
mod unknown;

//! Does the command line do what its help says? Each test starts the real binary in an empty folder, without a network.

mod agents;
mod documents;
mod errors;
mod experts;
mod killed;
mod served;
mod shell;
mod support;
mod terminal;
mod workflows;

//! Which experts should answer a question?
#![warn(missing_docs)]

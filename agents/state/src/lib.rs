//! How is what happened kept, so that no finished step runs again?

#![warn(missing_docs)]

//! How are tools told who asks, so that their functions see what belongs to that request?

use std::sync::Arc;

use quorate::runtime::{HostContext, ToolContext};

/// By which number JavaScript knows who asks.
struct Asker(u32);

/// What the tools of a run are told of who asks.
pub fn asker(number: u32) -> HostContext {
    Arc::new(Asker(number))
}

/// That number, for a call of a run.
pub fn number_of(context: &ToolContext) -> Option<u32> {
    context.host.as_ref().and_then(|host| host.downcast_ref::<Asker>()).map(|asker| asker.0)
}

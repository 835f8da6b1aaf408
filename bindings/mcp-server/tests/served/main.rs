//! What do clients find, well-behaved ones and others, over raw sockets and pipes?

mod client;
mod hostile;
mod life;
mod tenants;

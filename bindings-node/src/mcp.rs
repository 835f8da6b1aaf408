//! How does Node use the tools of a server?

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::mcp::McpTools as Server;
use quorate_bindings::{Host, runtime};

use crate::convert::{Out, arg};
use crate::door::{Held, Lane, NativeCancel, Promised, flag, promise};
use crate::errors::Thrown;
use crate::runtime::NativeTool;

const HOST: Host = Host::Node;

/// The tools of a server.
#[napi(js_name = "McpServer")]
pub struct NativeMcpServer(Held<Server>);

/// Starts or reaches a server.
#[napi(ts_return_type = "Promise<NativeMcpServer>")]
pub fn open_mcp(env: Env, options: Unknown<'_>, cancel: Option<&NativeCancel>) -> Result<Promised, Thrown> {
    let options = arg(&env, &options, "options", |given, _| runtime::mcp_options(HOST, given))?;
    let flag = flag(cancel);
    promise(&env, Lane::Ask, move || {
        let server = flag.cover(|| Server::open(options))?;
        Ok(Out::object(NativeMcpServer(Held::new(server))))
    })
}

#[napi]
impl NativeMcpServer {
    /// What stands for all tools.
    #[napi]
    pub fn all(&self) -> NativeTool {
        NativeTool(self.0.set())
    }

    /// The tools that there are now.
    #[napi]
    pub fn tools(&self) -> Vec<NativeTool> {
        self.0.tools().into_iter().map(NativeTool).collect()
    }

    /// What is known of it, as JSON.
    #[napi(getter)]
    pub fn state(&self) -> String {
        runtime::mcp_state(HOST, &self.0).to_string()
    }

    /// Reads the list of tools again and accepts it; what has changed, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn refresh(&self, env: Env, cancel: Option<&NativeCancel>) -> Result<Promised, Thrown> {
        let (server, flag) = (self.0.clone(), flag(cancel));
        promise(&env, Lane::Ask, move || {
            let changes = flag.cover(|| server.refresh())?;
            Ok(Out::Text(runtime::mcp_changes(changes).to_string()))
        })
    }

    /// Ends the server.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self, env: Env) -> Result<Promised, Thrown> {
        let server = self.0.clone();
        promise(&env, Lane::Slow, move || {
            server.close();
            Ok(Out::Nothing)
        })
    }
}

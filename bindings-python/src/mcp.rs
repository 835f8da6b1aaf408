//! How does Python use the tools of a server?

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::mcp::McpTools as Server;
use quorate_bindings::{Host, runtime};

use crate::convert::from_json;
use crate::door::{Held, blocking};
use crate::errors::OrRaise;
use crate::given;
use crate::runtime::NativeTool;

const HOST: Host = Host::Python;

/// The tools of a server; ``quorate.McpTools`` is its public face.
#[pyclass(frozen, module = "quorate", name = "McpServer")]
pub struct McpServer(Held<Server>);

/// Adds the class and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<McpServer>()?;
    module.add_function(wrap_pyfunction!(open_mcp, module)?)
}

#[pyfunction]
fn open_mcp(py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<McpServer> {
    let given = given::read(given.as_any(), "options of an MCP server")?;
    let options = runtime::mcp_options(HOST, given).or_raise()?;
    let server = blocking(py, move |host| host.cancel.cover(|| Server::open(options)))?;
    Ok(McpServer(Held::new(server)))
}

#[pymethods]
impl McpServer {
    /// What stands for all tools.
    fn all(&self) -> NativeTool {
        NativeTool(self.0.set())
    }

    /// The tools that there are now.
    fn tools(&self) -> Vec<NativeTool> {
        self.0.tools().into_iter().map(NativeTool).collect()
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &runtime::mcp_state(HOST, &self.0))
    }

    fn refresh<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let server = self.0.clone();
        let changes = blocking(py, move |host| host.cancel.cover(|| server.refresh()))?;
        from_json(py, &runtime::mcp_changes(changes))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.0.clone();
        blocking(py, move |_| {
            server.close();
            Ok(())
        })
    }
}

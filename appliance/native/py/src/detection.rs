//! Alerts as Python sees them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vedette_core::detect::Alert;
use vedette_core::engine::Numbered;
use vedette_core::inspect::AppProto;

/// One alert: a rule matched.
#[pyclass(frozen, module = "vedette_engine")]
pub struct Detection {
    generation: u64,
    alert: Alert,
}

impl From<Numbered<Alert>> for Detection {
    fn from(numbered: Numbered<Alert>) -> Self {
        Self { generation: numbered.generation, alert: numbered.alert }
    }
}

#[pymethods]
impl Detection {
    #[getter]
    fn ts_ns(&self) -> u64 {
        self.alert.ts_ns
    }

    /// Index into `RuleSet.rules` of the set that `generation` counts.
    #[getter]
    fn rule(&self) -> u32 {
        self.alert.rule
    }

    /// 0 for the set the engine started with, one more for every reload.
    #[getter]
    fn generation(&self) -> u64 {
        self.generation
    }

    /// Index of the file or interface.
    #[getter]
    fn source(&self) -> u32 {
        self.alert.source
    }

    #[getter]
    fn proto(&self) -> u8 {
        self.alert.proto
    }

    #[getter]
    fn src_ip(&self) -> String {
        self.alert.src.0.to_string()
    }

    #[getter]
    fn src_port(&self) -> u16 {
        self.alert.src.1
    }

    #[getter]
    fn dest_ip(&self) -> String {
        self.alert.dst.0.to_string()
    }

    /// Ports are 0 for protocols without; ICMP type and code are in the packet.
    #[getter]
    fn dest_port(&self) -> u16 {
        self.alert.dst.1
    }

    /// 0 when the packet belongs to no flow.
    #[getter]
    fn flow_id(&self) -> u64 {
        self.alert.flow_id
    }

    #[getter]
    fn to_server(&self) -> bool {
        self.alert.to_server
    }

    /// `http`, `dns`, `tls` or empty.
    #[getter]
    fn app_proto(&self) -> &'static str {
        match self.alert.app {
            AppProto::Http => "http",
            AppProto::Dns => "dns",
            AppProto::Tls => "tls",
            AppProto::Unknown | AppProto::None => "",
        }
    }

    #[getter]
    fn tx_id(&self) -> Option<u64> {
        self.alert.tx_id
    }

    #[getter]
    fn facts<'py>(&self, py: Python<'py>) -> Vec<(&'static str, Bound<'py, PyBytes>)> {
        self.alert.facts.iter().map(|(name, value)| (*name, PyBytes::new(py, value))).collect()
    }

    /// The IP datagram that set the alert off, from its first header byte; empty when a flow's end did.
    #[getter]
    fn packet<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.alert.packet)
    }
}

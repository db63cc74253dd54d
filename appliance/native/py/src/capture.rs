//! A running engine as Python sees it.

use crate::detection::Detection;
use crate::raised;
use crate::rules::RuleSet;
use crate::settings::{secret_seed, Settings};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vedette_core::capture::afpacket;
use vedette_core::engine::{Detection as Pipeline, Engine};

/// How long Python's signals (Ctrl-C) wait while a batch is waited for.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// Frames in, detections out, on the engine's own threads.
#[pyclass(frozen, module = "vedette_engine")]
pub struct Capture {
    /// Taken only by `drop`.
    engine: Option<Engine<Pipeline>>,
}

impl Capture {
    fn engine(&self) -> &Engine<Pipeline> {
        self.engine.as_ref().expect("the engine is there until it is dropped")
    }
}

#[pymethods]
impl Capture {
    /// Read pcap and pcapng files one after another as one stream of time.
    #[staticmethod]
    #[pyo3(signature = (
        paths, rules, *, checksums = "verify", midstream = false, overlap_policy = "bsd",
        flow_memcap_mib = 64, stream_memcap_mib = 64, stream_depth_kib = 1024, body_limit_kib = 100,
    ))]
    #[allow(clippy::too_many_arguments)] // keyword arguments of the stub
    fn files(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        rules: &RuleSet,
        checksums: &str,
        midstream: bool,
        overlap_policy: &str,
        flow_memcap_mib: usize,
        stream_memcap_mib: usize,
        stream_depth_kib: usize,
        body_limit_kib: usize,
    ) -> PyResult<Self> {
        let settings = Settings {
            checksums,
            midstream,
            overlap_policy,
            flow_memcap_mib,
            stream_memcap_mib,
            stream_depth_kib,
            body_limit_kib,
        };
        let rules = Arc::clone(&rules.set);
        let engine = py.detach(|| {
            // A fixed seed: the same files give the same alerts with the same flow ids.
            let config = settings.worker(0)?;
            Engine::files(&paths, settings.decode()?, rules, |rules| Pipeline::new(config, rules))
        });
        Ok(Self { engine: Some(engine.map_err(raised)?) })
    }

    /// Open `AF_PACKET` `TPACKET_V3` rings with fanout by flow hash.
    #[staticmethod]
    #[pyo3(signature = (
        names, rules, *, threads = 1, ring_mib = 64, ring_ms = 500, snaplen = 65_535, fanout_group = None,
        checksums = "ignore", midstream = false, overlap_policy = "bsd",
        flow_memcap_mib = 64, stream_memcap_mib = 64, stream_depth_kib = 1024, body_limit_kib = 100,
    ))]
    #[allow(clippy::too_many_arguments)] // keyword arguments of the stub
    fn interface(
        py: Python<'_>,
        names: Vec<String>,
        rules: &RuleSet,
        threads: u32,
        ring_mib: u32,
        ring_ms: u32,
        snaplen: u32,
        fanout_group: Option<u16>,
        checksums: &str,
        midstream: bool,
        overlap_policy: &str,
        flow_memcap_mib: usize,
        stream_memcap_mib: usize,
        stream_depth_kib: usize,
        body_limit_kib: usize,
    ) -> PyResult<Self> {
        let settings = Settings {
            checksums,
            midstream,
            overlap_policy,
            flow_memcap_mib,
            stream_memcap_mib,
            stream_depth_kib,
            body_limit_kib,
        };
        let capture = afpacket::Config { threads, ring_mib, ring_ms, snap_len: snaplen, fanout_group };
        let rules = Arc::clone(&rules.set);
        let engine = py.detach(|| {
            let config = settings.worker(secret_seed())?;
            let make = |rules: &_| Pipeline::new(config, rules);
            Engine::interfaces(&names, &capture, settings.decode()?, rules, make)
        });
        Ok(Self { engine: Some(engine.map_err(raised)?) })
    }

    /// Up to `max_detections` in order; an empty list when `timeout_ms` passed without any; None once the input is
    /// exhausted (or `stop` was called) and every detection has been handed over.
    #[pyo3(signature = (max_detections = 256, timeout_ms = 100))]
    fn next_batch(&self, py: Python<'_>, max_detections: usize, timeout_ms: u64) -> PyResult<Option<Vec<Detection>>> {
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let batch = py.detach(|| self.engine().next_batch(max_detections, left.min(SIGNALS_EVERY)));
            match batch.map_err(raised)? {
                Some(alerts) if alerts.is_empty() && left > SIGNALS_EVERY => py.check_signals()?,
                Some(alerts) => return Ok(Some(alerts.into_iter().map(Detection::from).collect())),
                None => return Ok(None),
            }
        }
    }

    /// (bytes read, bytes in all); the second is 0 for interfaces.
    fn progress(&self) -> (u64, u64) {
        self.engine().progress()
    }

    /// Swap the rule set between two packets, flows kept. Returns the new generation.
    fn reload(&self, py: Python<'_>, rules: &RuleSet) -> u64 {
        py.detach(|| self.engine().reload(Arc::clone(&rules.set)))
    }

    /// Stop reading, inspect what is open, hand over what is left. Idempotent.
    fn stop(&self) {
        self.engine().stop();
    }

    /// Counters since the start, each name ending in its unit where it has one.
    fn stats(&self, py: Python<'_>) -> BTreeMap<&'static str, u64> {
        py.detach(|| self.engine().stats())
    }

    /// What went wrong without stopping the capture, in words; each told once.
    fn warnings(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.engine().warnings())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Joining the threads can take as long as the packet at hand: other Python threads go on meanwhile.
        if let Some(engine) = self.engine.take() {
            let mut engine = Some(engine);
            if Python::try_attach(|py| py.detach(|| drop(engine.take()))).is_none() {
                // The interpreter is shutting down: nobody is left to wait for us.
                drop(engine.take());
            }
        }
    }
}

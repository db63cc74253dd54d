//! The Python face of the engine: conversions only.
//!
//! Rules of this folder: no work of its own. Every call that may wait or compute leaves the interpreter first; every error of the
//! core becomes `EngineError` with the core's words; the signatures are those of `vedette_engine/__init__.pyi`, which stubtest proves.

#![allow(clippy::needless_pass_by_value)] // what comes from Python is owned by the call

mod capture;
mod detection;
mod rules;
mod settings;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    vedette_engine,
    EngineError,
    PyException,
    "A file, rule variable, device or setting that the engine refuses; the text says what came and what was allowed."
);

/// The core's error in Python's clothes.
fn raised(error: vedette_core::error::Error) -> PyErr {
    EngineError::new_err(error.to_string())
}

/// The extension module behind the package `vedette_engine`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("EngineError", module.py().get_type::<EngineError>())?;
    module.add_class::<rules::Refusal>()?;
    module.add_class::<rules::Rule>()?;
    module.add_class::<rules::RuleSet>()?;
    module.add_class::<detection::Detection>()?;
    module.add_class::<capture::Capture>()
}

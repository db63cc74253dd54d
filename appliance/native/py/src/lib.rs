//! The Python face of the engine: conversions only.

use pyo3::prelude::*;

/// Native detection engine of Vedette.
#[pymodule]
fn vedette_engine(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}

//! Judges traffic by a rule set: what `flow`, `stream` and `app` show goes in, alerts come out.

pub mod alert;
pub mod chain;
pub mod detector;
pub mod ends;
mod inspector;
mod judge;
pub mod thresholds;

pub use alert::Alert;
pub use detector::Detector;

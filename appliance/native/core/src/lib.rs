//! Vedette's detection engine: frames in, alerts out.
//!
//! Modules point down this list only:
//! `engine` (threads, sources, rule reload) → `worker` (one packet's way through the layers) → `detect` → `rule`, `prefilter`
//! → `app`, `stream`, `flow` → `capture`, `decode` → `packet`, `inspect`, `error` (the shared words).
//! Nothing here knows of Python; every decoder ends hostile bytes in a parsed value or one named error.

pub mod app;
pub mod capture;
pub mod decode;
pub mod detect;
pub mod engine;
pub mod error;
pub mod flow;
pub mod inspect;
pub mod packet;
pub mod prefilter;
pub mod rule;
pub mod stream;
pub mod worker;

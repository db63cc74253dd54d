//! TCP: who may speak when, and the bytes of each direction in order.
//!
//! Rules: sequence arithmetic modulo 2^32, the connection's states in one table (`state`), memory bounded over all
//! flows by a shared budget, time by argument. Hands on in-order bytes and gaps; knows nothing of what the bytes mean.

mod budget;
mod half;
mod overlap;
mod segments;
pub mod seq;
mod session;
mod state;
mod window;

pub use budget::Budget;
pub use half::{HalfStream, Push};
pub use overlap::OverlapPolicy;
pub use session::{TcpSession, Verdict};
pub use state::{next_state, TcpEvent, TcpState};
pub use window::{InspectWindow, KEEP_BYTES, KEEP_BYTES_TIGHT};

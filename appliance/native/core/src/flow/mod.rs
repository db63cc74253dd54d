//! Flows: which packets belong together, for how long, and who is the client.
//!
//! Rules: bounded memory (a full table gives up its least useful flow, counted), time by argument, no scan over all
//! flows per packet. Knows nothing of detection beyond the scratch space that it keeps for it.

mod entry;
mod hash;
mod key;
mod table;
mod timeout;

pub use entry::Flow;
pub use hash::siphash13;
pub use key::FlowKey;
pub use table::{FlowTable, Slot};
pub use timeout::{Proto, State};

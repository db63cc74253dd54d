//! Where frames come from: capture files and live interfaces.
//!
//! Rules of this folder: hands out borrowed frames, never decodes them; all I/O of the packet path is here. Hostile files end
//! in frames, one warning or one error; lengths are checked before they are believed.

pub mod afpacket;
mod ahead;
pub mod file;
mod pcap;
mod pcapng;
pub mod ring_plan;
mod socket;

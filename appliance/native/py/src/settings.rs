//! Settings as Python gives them, checked, into those of the core.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use vedette_core::decode::{self, Overlap};
use vedette_core::error::{Error, Result};
use vedette_core::stream::OverlapPolicy;
use vedette_core::worker::WorkerConfig;

/// What both kinds of capture are told.
pub struct Settings<'a> {
    pub checksums: &'a str,
    pub midstream: bool,
    pub overlap_policy: &'a str,
    pub flow_memcap_mib: usize,
    pub stream_memcap_mib: usize,
    pub stream_depth_kib: usize,
    pub body_limit_kib: usize,
}

fn refused<T>(name: &str, came: &dyn std::fmt::Display, allowed: &str) -> Result<T> {
    Err(Error::Setting { name: name.into(), reason: format!("`{came}` is given, {allowed} are allowed") })
}

fn within(name: &str, value: usize, least: usize, most: usize) -> Result<usize> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        refused(name, &value, &format!("{least} to {most}"))
    }
}

impl Settings<'_> {
    /// The decoder's settings.
    pub fn decode(&self) -> Result<decode::Config> {
        let verify_checksums = match self.checksums {
            "verify" => true,
            "ignore" => false,
            other => return refused("checksums", &other, "verify and ignore"),
        };
        Ok(decode::Config { verify_checksums, overlap: self.overlaps()?.0, ..decode::Config::default() })
    }

    /// The same policy for fragments and for segments.
    fn overlaps(&self) -> Result<(Overlap, OverlapPolicy)> {
        match self.overlap_policy {
            "first" => Ok((Overlap::First, OverlapPolicy::First)),
            "last" => Ok((Overlap::Last, OverlapPolicy::Last)),
            "bsd" => Ok((Overlap::Bsd, OverlapPolicy::Bsd)),
            "linux" => Ok((Overlap::Linux, OverlapPolicy::Linux)),
            other => refused("overlap_policy", &other, "first, last, bsd and linux"),
        }
    }

    /// The worker's settings. `seed` keys its hashes.
    pub fn worker(&self, seed: u64) -> Result<WorkerConfig> {
        // A TiB of flows or streams is more than any box has; larger numbers are slips of the pen.
        const MOST_MIB: usize = 1 << 20;
        Ok(WorkerConfig {
            flow_memcap_mib: within("flow_memcap_mib", self.flow_memcap_mib, 1, MOST_MIB)?,
            stream_memcap_mib: within("stream_memcap_mib", self.stream_memcap_mib, 1, MOST_MIB)?,
            stream_depth_kib: within("stream_depth_kib", self.stream_depth_kib, 0, 1 << 30)?,
            body_limit_kib: within("body_limit_kib", self.body_limit_kib, 1, 1 << 20)?,
            midstream: self.midstream,
            overlap_policy: self.overlaps()?.1,
            seed,
        })
    }
}

/// A number nobody outside can guess: on the wire, whoever knows the hash's key can pile flows into one bucket.
pub fn secret_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

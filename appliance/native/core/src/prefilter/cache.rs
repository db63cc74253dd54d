//! Compiled databases kept in a folder between runs, one file per rule set, named by the hash of everything that determines it.
//!
//! Layout: magic, SHA-256 of the rest, number of parts, then each part with its length (all little endian, 64 bits). A file
//! that is missing, cut short or damaged is as good as none; writing goes to a temporary file that is renamed.

use super::{hexadecimal, PatternSet};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"VDTPATT1";
const DIGEST_BYTES: usize = 32;

/// Hash of what determines the compiled databases.
#[derive(Debug)]
pub struct Key(String);

impl Key {
    /// Over the library's version, this machine's instruction sets and the patterns in order.
    pub fn new(library: &str, sets: &[PatternSet]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(MAGIC);
        hasher.update(format!("{library}\n{}\n", machine()));
        for set in sets {
            hasher.update((set.patterns.len() as u64).to_le_bytes());
            for pattern in &set.patterns {
                hasher.update((pattern.bytes.len() as u64).to_le_bytes());
                hasher.update([u8::from(pattern.nocase)]);
                hasher.update(&pattern.bytes);
            }
        }
        Self(hexadecimal(&hasher.finalize()))
    }
}

/// Databases are compiled for the processor at hand; a stick moved to another machine must not reuse them.
fn machine() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = std::arch::is_x86_feature_detected!("avx2");
        let avx512 = std::arch::is_x86_feature_detected!("avx512bw");
        format!("x86_64 avx2={avx2} avx512={avx512}")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH.to_owned()
    }
}

/// One file of the cache.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    file: PathBuf,
}

impl Cache {
    /// The file for `key`.
    pub fn new(folder: &Path, key: &Key) -> Self {
        Self { folder: folder.to_owned(), file: folder.join(format!("patterns-{}.bin", key.0)) }
    }

    /// The parts, if the file is there and whole.
    pub fn read(&self) -> Option<Vec<Vec<u8>>> {
        let bytes = std::fs::read(&self.file).ok()?;
        let rest = bytes.strip_prefix(MAGIC)?;
        let (digest, body) = rest.split_at_checked(DIGEST_BYTES)?;
        if Sha256::digest(body)[..] != *digest {
            return None;
        }
        let mut body = body;
        let mut number = || -> Option<u64> {
            let (head, tail) = body.split_first_chunk::<8>()?;
            body = tail;
            Some(u64::from_le_bytes(*head))
        };
        let count = number()?;
        let lengths: Vec<u64> = (0..count).map(|_| number()).collect::<Option<_>>()?;
        let mut parts = Vec::with_capacity(lengths.len());
        for length in lengths {
            let (part, tail) = body.split_at_checked(usize::try_from(length).ok()?)?;
            parts.push(part.to_vec());
            body = tail;
        }
        body.is_empty().then_some(parts)
    }

    /// Stores the parts. A folder that cannot be written costs the next start its time and nothing else, so nobody is told.
    pub fn write(&self, parts: &[Vec<u8>]) {
        let mut body = (parts.len() as u64).to_le_bytes().to_vec();
        for part in parts {
            body.extend_from_slice(&(part.len() as u64).to_le_bytes());
        }
        for part in parts {
            body.extend_from_slice(part);
        }
        let _ = self.replace(&body);
    }

    fn replace(&self, body: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let temporary = self.file.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = std::fs::File::create(&temporary)?;
        let written = file
            .write_all(MAGIC)
            .and_then(|()| file.write_all(&Sha256::digest(body)))
            .and_then(|()| file.write_all(body))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, &self.file));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_shortened_file_is_as_good_as_none() {
        let folder = std::env::temp_dir().join(format!("vedette-cache-{}", std::process::id()));
        let cache = Cache::new(&folder, &Key::new("5.4", &[]));
        assert_eq!(cache.read(), None);
        let parts = vec![b"one".to_vec(), Vec::new(), vec![7; 100]];
        cache.write(&parts);
        assert_eq!(cache.read(), Some(parts));
        let whole = std::fs::read(&cache.file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&cache.file, &damaged).unwrap();
            assert_eq!(cache.read(), None, "byte {at}");
            std::fs::write(&cache.file, &whole[..at]).unwrap();
            assert_eq!(cache.read(), None, "cut at {at}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_key_changes_with_the_library_and_with_each_pattern() {
        let set = |bytes: &[u8], nocase| {
            vec![PatternSet { patterns: vec![super::super::Pattern { bytes: bytes.to_vec(), nocase }] }]
        };
        let keys = [
            Key::new("5.4.9", &set(b"ab", false)),
            Key::new("5.4.8", &set(b"ab", false)),
            Key::new("5.4.9", &set(b"ab", true)),
            Key::new("5.4.9", &set(b"ac", false)),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(keys[at + 1..].iter().all(|other| other.0 != key.0));
        }
    }
}

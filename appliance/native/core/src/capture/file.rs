//! Capture files, memory mapped: opening, telling the formats apart, and the one way to walk them.
//!
//! Rules of this file: the only `unsafe` is the mapping. The formats themselves are `pcap` and `pcapng`, which see bytes only.
//! A file that is no capture file is refused when opened; one that breaks off later yields what is whole, then says where and
//! why it ends.

use super::pcap::Pcap;
use super::pcapng::Pcapng;
use crate::error::{Error, Result};
use crate::packet::{Frame, LinkType};
use memmap2::{Advice, Mmap, UncheckedAdvice};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Longest frame believed: the snap length tcpdump and libpcap use for "everything" (`MAXIMUM_SNAPLEN`).
pub(super) const MAX_FRAME_BYTES: usize = 262_144;

/// A mapped capture file.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    map: Mmap,
}

/// What the next step over a file found.
#[derive(Debug, Clone)]
pub enum Step<'m> {
    /// A frame.
    Frame(Frame<'m>),
    /// The end, at a block's boundary.
    End,
    /// The file breaks off or stops making sense at this byte. Every further step says the same.
    Broken {
        /// Byte offset of the record or block that is not whole.
        offset: usize,
        /// What came and what was allowed.
        reason: String,
    },
}

/// Why and where a format's reader gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub offset: usize,
    pub reason: String,
}

impl CaptureFile {
    /// Maps a file and checks that it begins as a capture file.
    pub fn open(path: &Path) -> Result<Self> {
        let file_error = |source| Error::File { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(file_error)?;
        let metadata = file.metadata().map_err(file_error)?;
        let refuse = |reason: &str| {
            Err(Error::CaptureFormat { path: path.to_path_buf(), offset: 0, reason: reason.to_string() })
        };
        if !metadata.is_file() {
            return refuse("not a regular file; pcap and pcapng files are read");
        }
        if metadata.len() == 0 {
            return refuse("the file is empty; a pcap or pcapng file has a header of at least 24 bytes");
        }
        // SAFETY: the map is read only and private to this process. If another process shortens the file while it is read, access
        // beyond the new end raises SIGBUS: nothing memory-mapped can avoid that, so capture files in use must be replaced by
        // renaming, not cut.
        let map = unsafe { Mmap::map(&file) }.map_err(file_error)?;
        // Advice only: a kernel that does not take it reads all the same.
        let _ = map.advise(Advice::Sequential);
        let opened = Self { path: path.to_path_buf(), map };
        opened.reader(0)?;
        Ok(opened)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's size.
    pub fn size_bytes(&self) -> usize {
        self.map.len()
    }

    /// A reader at the first frame. `source` goes into every frame.
    pub fn reader(&self, source: u32) -> Result<Reader<'_>> {
        match Reader::new(&self.map, source) {
            Ok(reader) => Ok(Reader { pages: Some(Pages { map: &self.map, mapped_to: 0 }), ..reader }),
            Err(broken) => Err(Error::CaptureFormat {
                path: self.path.clone(),
                offset: broken.offset as u64,
                reason: broken.reason,
            }),
        }
    }

    /// The error that tells of a file that broke off.
    pub fn broken(&self, offset: usize, reason: &str) -> Error {
        Error::CaptureFormat { path: self.path.clone(), offset: offset as u64, reason: reason.to_string() }
    }
}

#[derive(Debug)]
enum Format<'m> {
    Pcap(Pcap<'m>),
    Pcapng(Pcapng<'m>),
}

/// Walks the frames of one capture file's bytes.
#[derive(Debug)]
pub struct Reader<'m> {
    format: Format<'m>,
    broken: Option<Broken>,
    pages: Option<Pages<'m>>,
}

/// The pages of a mapped file around the reader: those ahead are mapped together instead of one fault at a time, those behind
/// are given back, so that a large file does not count as this process's memory.
#[derive(Debug)]
struct Pages<'m> {
    map: &'m Mmap,
    /// Up to here pages have been asked for.
    mapped_to: usize,
}

/// How many bytes' pages are asked for at once, and stay mapped behind the reader; a multiple of any page size.
const PAGES_BYTES: usize = 2 * 1024 * 1024;

impl Pages<'_> {
    /// The reader will go on at `at`. Hints only: what the kernel refuses is faulted in page by page.
    #[cold]
    fn follow(&mut self, at: usize) {
        let begin = at - at % PAGES_BYTES;
        let next = begin + PAGES_BYTES;
        self.mapped_to = next;
        let _ = self.map.advise_range(Advice::PopulateRead, begin, PAGES_BYTES.min(self.map.len() - begin));
        if let Some(behind) = begin.checked_sub(2 * PAGES_BYTES) {
            // SAFETY: the map is of a file and never written, so pages that are given back and read again hold the same bytes.
            let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, behind, PAGES_BYTES) };
        }
    }
}

impl<'m> Reader<'m> {
    /// A reader over bytes, without a file: what fuzzers and tests call.
    pub fn from_bytes(bytes: &'m [u8], source: u32) -> std::result::Result<Self, String> {
        Self::new(bytes, source).map_err(|broken| format!("at byte {}: {}", broken.offset, broken.reason))
    }

    fn new(bytes: &'m [u8], source: u32) -> std::result::Result<Self, Broken> {
        let format = match bytes.first_chunk::<4>() {
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => Format::Pcapng(Pcapng::new(bytes, source)?),
            Some(_) => Format::Pcap(Pcap::new(bytes, source)?),
            None => {
                let reason = format!("{} bytes, fewer than any capture file's header", bytes.len());
                return Err(Broken { offset: 0, reason });
            }
        };
        Ok(Self { format, broken: None, pages: None })
    }

    /// The next frame, or how the file ends.
    #[inline]
    pub fn step(&mut self) -> Step<'m> {
        let at = self.position_bytes();
        if let Some(pages) = self.pages.as_mut().filter(|pages| at >= pages.mapped_to && at < pages.map.len()) {
            pages.follow(at);
        }
        let next = match &mut self.format {
            Format::Pcap(pcap) => pcap.next_frame(),
            Format::Pcapng(pcapng) if self.broken.is_none() => pcapng.next_frame(),
            Format::Pcapng(_) => Ok(None),
        };
        match next {
            Ok(Some(frame)) => Step::Frame(frame),
            Ok(None) => self.broken.clone().map_or(Step::End, Broken::into_step),
            Err(broken) => {
                self.broken = Some(broken.clone());
                broken.into_step()
            }
        }
    }

    /// Bytes walked over so far.
    pub fn position_bytes(&self) -> usize {
        match &self.format {
            Format::Pcap(pcap) => pcap.position_bytes(),
            Format::Pcapng(pcapng) => pcapng.position_bytes(),
        }
    }
}

impl Broken {
    fn into_step<'m>(self) -> Step<'m> {
        Step::Broken { offset: self.offset, reason: self.reason }
    }
}

/// LINKTYPE_* and the DLT_* values that leak into files (`12` and `14` are `DLT_RAW` on BSD and `OpenBSD`; 228 and 229 are raw
/// IPv4 and IPv6).
pub(super) fn link_type(number: u16) -> LinkType {
    match number {
        0 | 108 => LinkType::Null,
        1 => LinkType::Ethernet,
        9 | 50 => LinkType::Ppp,
        12 | 14 | 101 | 228 | 229 => LinkType::Raw,
        113 => LinkType::LinuxSll,
        276 => LinkType::LinuxSll2,
        other => LinkType::Unknown(other),
    }
}

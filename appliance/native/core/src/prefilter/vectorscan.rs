//! The native back end: vectorscan's block-mode API by hand-written declarations, linked as the system's shared library (see build.rs).
//!
//! Patterns are handed over as expressions of `\xNN`, which the compiler recognises as literals; its literal-only entry refuses
//! patterns that begin with a zero byte.

use super::cache::{Cache, Key};
use super::{Matcher, PatternSet, Scratch, ScratchKind};
use crate::error::{Error, Result};
use std::ffi::{c_char, c_int, c_uint, c_void, CStr, CString};
use std::fmt::Write;
use std::path::Path;
use std::ptr;

/// The declarations of hs.h that are used, as of version 5.4.
mod ffi {
    use super::{c_char, c_int, c_uint, c_void};

    pub const SUCCESS: c_int = 0;
    pub const MODE_BLOCK: c_uint = 1;
    pub const FLAG_CASELESS: c_uint = 1;
    pub const FLAG_DOTALL: c_uint = 2;
    pub const FLAG_SINGLEMATCH: c_uint = 8;

    #[repr(C)]
    pub struct CompileError {
        pub message: *mut c_char,
        pub expression: c_int,
    }

    pub type OnMatch = unsafe extern "C" fn(c_uint, u64, u64, c_uint, *mut c_void) -> c_int;

    extern "C" {
        pub fn hs_version() -> *const c_char;
        pub fn hs_valid_platform() -> c_int;
        pub fn hs_compile_multi(
            expressions: *const *const c_char,
            flags: *const c_uint,
            ids: *const c_uint,
            elements: c_uint,
            mode: c_uint,
            platform: *const c_void,
            db: *mut *mut c_void,
            error: *mut *mut CompileError,
        ) -> c_int;
        pub fn hs_free_compile_error(error: *mut CompileError) -> c_int;
        pub fn hs_free_database(db: *mut c_void) -> c_int;
        pub fn hs_serialize_database(db: *const c_void, bytes: *mut *mut c_char, length: *mut usize) -> c_int;
        pub fn hs_deserialize_database(bytes: *const c_char, length: usize, db: *mut *mut c_void) -> c_int;
        pub fn hs_alloc_scratch(db: *const c_void, scratch: *mut *mut c_void) -> c_int;
        pub fn hs_free_scratch(scratch: *mut c_void) -> c_int;
        pub fn hs_scan(
            db: *const c_void,
            data: *const c_char,
            length: c_uint,
            flags: c_uint,
            scratch: *mut c_void,
            on_match: OnMatch,
            context: *mut c_void,
        ) -> c_int;
        pub fn free(memory: *mut c_void);
    }
}

/// Whether this processor has what the library needs (SSE4.2 on x86-64).
pub fn usable() -> bool {
    // SAFETY: takes nothing, only asks the processor.
    unsafe { ffi::hs_valid_platform() == ffi::SUCCESS }
}

fn version() -> String {
    // SAFETY: the library answers a static zero-terminated string.
    unsafe { CStr::from_ptr(ffi::hs_version()) }.to_string_lossy().into_owned()
}

/// One compiled set.
#[derive(Debug)]
struct Database(*mut c_void);

// SAFETY: a compiled database is only read after it is made.
unsafe impl Send for Database {}
// SAFETY: as above; each thread scans with a scratch of its own.
unsafe impl Sync for Database {}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: made by the library, freed once.
        unsafe { ffi::hs_free_database(self.0) };
    }
}

/// The compiled sets.
#[derive(Debug)]
pub struct Databases {
    sets: Vec<Database>,
}

/// Working memory of one thread, large enough for every set.
#[derive(Debug)]
pub struct NativeScratch(*mut c_void);

// SAFETY: the memory belongs to whoever owns this value; `scan` takes it by `&mut`.
unsafe impl Send for NativeScratch {}

impl Drop for NativeScratch {
    fn drop(&mut self) {
        // SAFETY: made by hs_alloc_scratch (or null, which the library accepts), freed once.
        unsafe { ffi::hs_free_scratch(self.0) };
    }
}

impl Databases {
    /// Takes the sets from the cache, or compiles and stores them.
    ///
    /// # Errors
    /// [`Error::Matcher`] with the library's words.
    pub fn build(sets: &[PatternSet], cache_dir: Option<&Path>) -> Result<Self> {
        if !usable() {
            return Err(Error::Matcher("this processor lacks what vectorscan needs; use aho-corasick".into()));
        }
        let cache = cache_dir.map(|folder| Cache::new(folder, &Key::new(&version(), sets)));
        if let Some(parts) = cache.as_ref().and_then(Cache::read) {
            if parts.len() == sets.len() {
                if let Ok(sets) = parts.iter().map(|bytes| Database::from_bytes(bytes)).collect() {
                    return Ok(Self { sets });
                }
            }
        }
        let sets: Vec<Database> = sets.iter().map(Database::compile).collect::<Result<_>>()?;
        give_back_memory();
        if let Some(cache) = cache {
            let parts = sets.iter().map(Database::to_bytes).collect::<Result<Vec<_>>>()?;
            cache.write(&parts);
        }
        Ok(Self { sets })
    }
}

/// Compiling leaves many times the databases' size free within the allocator: the system gets it back.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes a number; may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

impl Database {
    fn compile(set: &PatternSet) -> Result<Self> {
        let expressions: Vec<CString> = set
            .patterns
            .iter()
            .map(|pattern| {
                let mut text = String::with_capacity(pattern.bytes.len() * 4);
                for byte in &pattern.bytes {
                    let _ = write!(text, "\\x{byte:02x}");
                }
                CString::new(text).map_err(|_| Error::Matcher("a pattern could not be written down".into()))
            })
            .collect::<Result<_>>()?;
        let pointers: Vec<*const c_char> = expressions.iter().map(|text| text.as_ptr()).collect();
        let flags: Vec<c_uint> = set
            .patterns
            .iter()
            .map(|pattern| {
                let caseless = if pattern.nocase { ffi::FLAG_CASELESS } else { 0 };
                caseless | ffi::FLAG_DOTALL | ffi::FLAG_SINGLEMATCH
            })
            .collect();
        let ids: Vec<c_uint> = (0..set.patterns.len() as c_uint).collect();
        let mut db = ptr::null_mut();
        let mut error = ptr::null_mut();
        // SAFETY: the three arrays have `ids.len()` elements and live through the call, as do the strings; a null platform
        // means this machine; both out-parameters are valid.
        let status = unsafe {
            ffi::hs_compile_multi(
                pointers.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                ids.len() as c_uint,
                ffi::MODE_BLOCK,
                ptr::null(),
                &raw mut db,
                &raw mut error,
            )
        };
        if status == ffi::SUCCESS {
            return Ok(Self(db));
        }
        if error.is_null() {
            return Err(Error::Matcher(format!("vectorscan: compile answered {status}")));
        }
        // SAFETY: on failure the library gives an error with a zero-terminated message; it is freed once.
        let message = unsafe {
            let message = CStr::from_ptr((*error).message).to_string_lossy().into_owned();
            ffi::hs_free_compile_error(error);
            message
        };
        Err(Error::Matcher(format!("vectorscan: {message}")))
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = ptr::null_mut();
        let mut length = 0;
        // SAFETY: the database is valid; the library allocates `length` bytes with malloc, copied and freed here.
        unsafe {
            let status = ffi::hs_serialize_database(self.0, &raw mut bytes, &raw mut length);
            if status != ffi::SUCCESS {
                return Err(Error::Matcher(format!("vectorscan: serialize answered {status}")));
            }
            let copy = std::slice::from_raw_parts(bytes.cast::<u8>(), length).to_vec();
            ffi::free(bytes.cast());
            Ok(copy)
        }
    }

    /// Only for bytes whose digest the cache has checked: the library does not survive hostile ones.
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut db = ptr::null_mut();
        // SAFETY: pointer and length are those of `bytes`; the library checks its version, platform and checksum.
        let status = unsafe { ffi::hs_deserialize_database(bytes.as_ptr().cast(), bytes.len(), &raw mut db) };
        if status == ffi::SUCCESS {
            Ok(Self(db))
        } else {
            Err(Error::Matcher(format!("vectorscan: deserialize answered {status}")))
        }
    }
}

impl Matcher for Databases {
    fn name(&self) -> &'static str {
        "vectorscan"
    }

    fn scratch(&self) -> Result<Scratch> {
        let mut scratch = NativeScratch(ptr::null_mut());
        for set in &self.sets {
            // SAFETY: the database is valid; the pointer is null at first, then grown by the library.
            let status = unsafe { ffi::hs_alloc_scratch(set.0, &raw mut scratch.0) };
            if status != ffi::SUCCESS {
                scratch.0 = ptr::null_mut();
                return Err(Error::Matcher(format!("vectorscan: scratch answered {status}")));
            }
        }
        Ok(Scratch(ScratchKind::Vectorscan(scratch)))
    }

    fn scan(&self, set: u32, block: &[u8], scratch: &mut Scratch, mut hit: &mut dyn FnMut(u32)) {
        let ScratchKind::Vectorscan(native) = &mut scratch.0 else {
            unreachable!("a scratch comes from the matcher it is used with");
        };
        // SAFETY: database and scratch are valid and belong together; the block is read only; `on_match` gets back the pointer
        // to `hit`, which lives through the call.
        let status = unsafe {
            ffi::hs_scan(
                self.sets[set as usize].0,
                block.as_ptr().cast(),
                c_uint::try_from(block.len()).unwrap_or(c_uint::MAX),
                0,
                native.0,
                on_match,
                ptr::from_mut(&mut hit).cast(),
            )
        };
        debug_assert_eq!(status, ffi::SUCCESS);
    }
}

unsafe extern "C" fn on_match(id: c_uint, _from: u64, _to: u64, _flags: c_uint, context: *mut c_void) -> c_int {
    // SAFETY: `scan` passed a pointer to its `hit`.
    let hit = unsafe { &mut *context.cast::<&mut dyn FnMut(u32)>() };
    hit(id);
    0
}

//! Big-endian reads that answer `None` past the end.
//!
//! Rules of this file: no other byte order, no arithmetic on what was read.

/// The 16-bit number at `offset`.
#[inline]
pub fn be16(data: &[u8], offset: usize) -> Option<u16> {
    let bytes = data.get(offset..offset.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The 32-bit number at `offset`.
#[inline]
pub fn be32(data: &[u8], offset: usize) -> Option<u32> {
    let bytes = data.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

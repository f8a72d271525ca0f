//! A version for an encoded message that does not depend on the order of its map entries.
//!
//! Protobuf maps are hash maps in memory and come out in any order; two encodings of one message may differ. For the
//! version, runs of fields that look like map entries are put in order first. A repeated message that looks like one
//! (a text and another length-delimited field, nothing else) is treated alike, which no list made here does.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Sixteen hexadecimal digits.
pub(crate) fn version(encoded: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    canonical(encoded).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// One field: its tag, and its bytes with the payload made canonical.
struct Field {
    tag: u64,
    bytes: Vec<u8>,
    is_entry: bool,
}

fn canonical(bytes: &[u8]) -> Vec<u8> {
    let Some(mut fields) = fields(bytes) else { return bytes.to_vec() };
    for run in fields.chunk_by_mut(|one, other| one.tag == other.tag && one.is_entry && other.is_entry) {
        run.sort_by(|one, other| one.bytes.cmp(&other.bytes));
    }
    fields.into_iter().flat_map(|field| field.bytes).collect()
}

/// The fields of a message; `None` when the bytes are none.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (payload, is_entry) = match tag & 7 {
            0 => (varint(&mut bytes)?.to_le_bytes().to_vec(), false),
            1 => (take(&mut bytes, 8)?.to_vec(), false),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let inner = take(&mut bytes, length)?;
                (canonical(inner), is_entry(inner))
            }
            5 => (take(&mut bytes, 4)?.to_vec(), false),
            _ => return None,
        };
        let mut all = tag.to_le_bytes().to_vec();
        all.extend((payload.len() as u64).to_le_bytes());
        all.extend(payload);
        fields.push(Field { tag, bytes: all, is_entry });
    }
    Some(fields)
}

/// Field 1, then field 2, both length-delimited.
fn is_entry(mut bytes: &[u8]) -> bool {
    let mut part = |wanted: u64| -> Option<()> {
        if varint(&mut bytes)? != wanted {
            return None;
        }
        let length = usize::try_from(varint(&mut bytes)?).ok()?;
        take(&mut bytes, length).map(drop)
    };
    part(0x0a).is_some() && part(0x12).is_some() && bytes.is_empty()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

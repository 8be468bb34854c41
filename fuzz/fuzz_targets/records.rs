//! Stored records of each kind on any bytes: they are refused, or read and written to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tidegate_store::decode_as_each(bytes);
});

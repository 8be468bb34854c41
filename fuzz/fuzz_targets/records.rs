//! Stored records of each kind on any bytes: they are refused, or read and written in a form that is final.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_store::rewrite_as_each;

fuzz_target!(|bytes: &[u8]| {
    for (kind, written) in rewrite_as_each(bytes).into_iter().enumerate() {
        if let Some(written) = written {
            assert_eq!(rewrite_as_each(&written)[kind].as_ref(), Some(&written), "kind {kind}");
        }
    }
});

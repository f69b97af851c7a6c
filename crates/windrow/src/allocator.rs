//! The allocator: pages churn through many short strings, and mimalloc is measured faster than the system's, and steadier in memory.
//!
//! It serves C code too (feature `override`): the Kafka client allocates a dozen times a message and frees on another thread, which with
//! the system's allocator took a twelfth of all the time of a run between topics.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's `mi_option_purge_delay`, which the bindings do not name: milliseconds until freed memory goes back to the kernel.
const PURGE_DELAY: mi_option_t = 15;
/// Batches and re-clusterings need again within seconds what they gave back.
const DELAY_MS: c_long = 10_000;

/// Lets freed memory stay for some seconds: with the library's one second a sixth of the loop's time went into the kernel, which
/// clears every page that it hands out again. `MIMALLOC_PURGE_DELAY` in the environment wins.
pub(crate) fn keep_freed_memory() {
    #[expect(unsafe_code, reason = "the allocator has no safe interface to its options")]
    // SAFETY: called first thing in `main`, while there is one thread; the allocator ignores numbers that it does not know.
    unsafe {
        mi_option_set_default(PURGE_DELAY, DELAY_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_has_the_number_we_think() {
        #[expect(unsafe_code, reason = "the allocator has no safe interface to its options")]
        // SAFETY: it only reads.
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay, 1_000, "the library's default of mi_option_purge_delay");
    }
}

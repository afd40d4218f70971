//! How often an image may fail for no reason of its own.

/// Attempts in a row without progress after which an image fails.
pub(crate) const MOST: i32 = 3;

/// The strikes of an image after an attempt that ended without a result. An attempt that stored a
/// later sample state than the last one does not count.
pub(crate) fn after(strikes: i32, struck_step: i32, saved_step: i32) -> i32 {
    if saved_step > struck_step { 0 } else { strikes + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_wipes_the_slate() {
        assert_eq!(after(0, 0, 0), 1);
        assert_eq!(after(2, 5, 5), 3);
        assert_eq!(after(2, 5, 6), 0);
    }
}

//! How fast images come, to say when a refused request may be tried again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds from one image to the next while there is work, averaged.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    seconds: Option<f64>,
    last: Option<Instant>,
}

/// The weight of the newest image in the average.
const NEWEST: f64 = 0.1;

/// What is told before any image was made.
const UNKNOWN: f64 = 10.0;

impl Pace {
    /// An image was finished now, `seconds` of the device's time after its beginning at the most.
    pub(crate) fn finished(&self, now: Instant, longest: f64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known.last.map_or(longest, |last| (now - last).as_secs_f64());
        // A pause without work is not the device's slowness.
        let since = since.min(longest);
        known.last = Some(now);
        known.seconds = Some(known.seconds.map_or(since, |mean| mean + NEWEST * (since - mean)));
    }

    /// How long to tell a client to stay away until so many images are made.
    pub(crate) fn time_for(&self, images: i64) -> Duration {
        let seconds = self.seconds().unwrap_or(UNKNOWN) * images.max(0) as f64;
        Duration::from_secs_f64(seconds.clamp(1.0, 3600.0))
    }

    /// How long so many images take; `None` before any was made.
    pub(crate) fn expected(&self, images: i64) -> Option<Duration> {
        let seconds = self.seconds()? * images.max(0) as f64;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    fn seconds(&self) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_what_waits() {
        let pace = Pace::default();
        assert_eq!((pace.time_for(3), pace.expected(3)), (Duration::from_secs(30), None));
        let mut now = Instant::now();
        for _ in 0..200 {
            now += Duration::from_secs(2);
            pace.finished(now, 5.0);
        }
        let told = pace.time_for(10).as_secs_f64();
        assert!((told - 20.0).abs() < 0.1, "{told}");
        let expected = pace.expected(10_000).unwrap().as_secs_f64();
        assert!((expected - 20_000.0).abs() < 100.0, "{expected}");
        pace.finished(now + Duration::from_secs(3600), 5.0);
        assert!(pace.time_for(10).as_secs_f64() < 25.0, "a pause is no slowness");
        assert_eq!(pace.time_for(0), Duration::from_secs(1));
    }
}

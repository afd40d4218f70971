//! Places at which a process ends as if it were killed: for tests of what remains.
//!
//! With the feature `failpoints`, the variable `DIFFUSION_FAILPOINTS` lists them, separated by
//! commas: `before-put/3` ends the process when it comes by for the third time, `begin@poison`
//! whenever the prompt contains `poison`. Without the feature there are none.

#[cfg(feature = "failpoints")]
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How often each place was reached.
#[cfg(feature = "failpoints")]
static REACHED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Ends the process where it is told to end at this place, with an image of this prompt.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(place: &str, prompt: &str) {
    let Ok(list) = std::env::var("DIFFUSION_FAILPOINTS") else { return };
    let times = {
        let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
        let times = reached.entry(place.to_owned()).or_default();
        *times += 1;
        *times
    };
    if list.split(',').any(|point| is_hit(point, place, times, prompt)) {
        tracing::error!(place, times, "a failpoint ends the process");
        std::process::abort();
    }
}

#[cfg(feature = "failpoints")]
fn is_hit(point: &str, place: &str, times: u64, prompt: &str) -> bool {
    match (point.split_once('/'), point.split_once('@')) {
        (Some((name, nth)), _) => name == place && nth.parse() == Ok(times),
        (_, Some((name, text))) => name == place && prompt.contains(text),
        _ => point == place,
    }
}

/// Does nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reach(_: &str, _: &str) {}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::is_hit;

    #[test]
    fn places_times_and_prompts() {
        assert!(is_hit("before-put/3", "before-put", 3, ""));
        assert!(!is_hit("before-put/3", "before-put", 2, ""));
        assert!(!is_hit("before-put/3", "after-put", 3, ""));
        assert!(is_hit("begin@bad", "begin", 1, "a bad cat"));
        assert!(!is_hit("begin@bad", "begin", 1, "a cat"));
        assert!(is_hit("begin", "begin", 9, "a cat"));
    }
}

//! Seconds, and what the system knows of this process.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

/// What the peer prints.
pub(crate) struct Figures {
    load: f64,
    warm_ups: Vec<f64>,
    seconds: Vec<f64>,
    processor: Vec<f64>,
}

impl Figures {
    pub(crate) fn new(load: f64) -> Self {
        Self { load, warm_ups: Vec::new(), seconds: Vec::new(), processor: Vec::new() }
    }

    /// Runs `work` once and keeps how long it took.
    pub(crate) fn time<T>(&mut self, warm_up: bool, work: impl FnOnce() -> T) -> T {
        let (start, used) = (Instant::now(), processor_seconds());
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        if warm_up {
            self.warm_ups.push(seconds);
        } else {
            self.seconds.push(seconds);
            self.processor.push(processor_seconds() - used);
        }
        result
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "version": "candle 0.11",
            "load": self.load,
            "warm_ups": self.warm_ups,
            "seconds": self.seconds,
            "processor": self.processor,
            "peak_bytes": peak_bytes(),
        })
    }
}

/// User and system time of all threads so far, in hundredths as Linux counts them; 0 elsewhere.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold spaces.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

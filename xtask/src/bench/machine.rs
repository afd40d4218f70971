//! Where the figures were taken, and what Linux knows of the running process.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::workspace;

/// The machine and the engine's state, as the report's heading has them.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    processor: String,
    cores: usize,
    instruction_set: &'static str,
    /// Processes that wanted to run in the minute before, where that is known: others' work.
    load: Option<f64>,
    commit: Option<String>,
}

impl Machine {
    pub(super) fn look() -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: processor(&cpu_info).unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            instruction_set: diffusion_kernels::instruction_set(),
            load: load.split(' ').next().and_then(|load| load.parse().ok()),
            commit: commit(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, instruction_set, load, commit } = self;
        write!(f, "{processor}, {cores} cores, {instruction_set}")?;
        if let Some(load) = load {
            write!(f, ", load {load} before")?;
        }
        if let Some(commit) = commit {
            write!(f, "; engine at {commit}")?;
        }
        Ok(())
    }
}

/// The processor's name in the text of `/proc/cpuinfo`.
fn processor(cpu_info: &str) -> Option<&str> {
    let line = cpu_info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The commit that is checked out, and whether files differ from it.
fn commit() -> Option<String> {
    let arguments = ["describe", "--always", "--dirty", "--exclude", "*"];
    let output = Command::new("git").args(arguments).current_dir(workspace::path("")).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The most bytes that this process has had resident.
pub(super) fn peak_bytes() -> Option<u64> {
    peak_in(&fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// User and system time of all threads so far, in hundredths of a second.
pub(super) fn processor_seconds() -> Option<f64> {
    processor_seconds_in(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn processor_seconds_in(stat: &str) -> Option<f64> {
    // The name of the program, in parentheses, may hold spaces.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_tells() {
        let status = "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak_in(status), Some(1234 * 1024));
        assert_eq!(peak_in("VmHWM:\n"), None);
        let stat = "12 (a ) b) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(processor_seconds_in(stat), Some(3.0));
        assert_eq!(processor_seconds_in("12 (a"), None);
        assert_eq!(processor("x : 1\nmodel name\t: Some CPU @ 1\n"), Some("Some CPU @ 1"));
        assert_eq!(processor("Features : asimd"), None);
    }
}

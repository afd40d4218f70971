//! Ctrl-C stops at the next step, with whole files only.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::check_page;
use crate::support::{Place, tiny};

/// Pictures of the run that is interrupted: far more than are made before the signal.
const PICTURES: usize = 60;
/// A run that does not react takes several times as long.
const MOST_SECONDS: u64 = 20;

/// Starts the command, waits for its first line, sends the signals, and waits for the end. Gives
/// status, stdout and stderr.
fn interrupted(place: &Place, args: &[&str], signals: &[Signal]) -> (Option<i32>, String, String) {
    let mut command = place.command(args);
    let mut child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    let sent = Instant::now();
    for signal in signals {
        kill(Pid::from_raw(child.id().try_into().unwrap()), *signal).unwrap();
    }
    stdout.read_to_string(&mut text).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = child.wait().unwrap();
    assert!(sent.elapsed() < Duration::from_secs(MOST_SECONDS), "{:?}", sent.elapsed());
    (status.code(), text, errors)
}

fn check_run(signal: Signal) {
    let place = Place::new();
    for i in 0..PICTURES {
        place.picture(&format!("in/{i:02}.png"), 64, 64);
    }
    let model = tiny("tiny-sd1");
    let args = ["run", "--images", "in", "--model", &model, "--seed", "7", "--steps", "300"];
    let (status, stdout, stderr) = interrupted(&place, &args, &[signal]);
    assert_eq!(status, Some(130), "{stdout}{stderr}");
    assert!(stderr.starts_with("interrupted: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    let made = stdout.lines().filter(|line| line.starts_with('[')).count();
    assert!((1..PICTURES).contains(&made), "{made} images were made");
    let files = place.files("out");
    let outputs = files.iter().filter(|file| file.ends_with("-diffusion.png")).count();
    assert_eq!(outputs, made, "{files:?}");
    for file in &files {
        match file.rsplit_once('.') {
            Some((_, "png")) => drop(place.pixels(&format!("out/{file}"))),
            _ => assert!(["index.html", "summary.json"].contains(&&**file), "{file} was left"),
        }
    }
    let summary = place.json("out/summary.json");
    assert_eq!(summary["inputs"], PICTURES);
    assert_eq!(summary["images"].as_array().unwrap().len(), made);
    check_page(&place, "out", made);
}

#[test]
fn ctrl_c_ends_a_run_with_what_was_made() {
    check_run(Signal::SIGINT);
}

#[test]
fn a_request_to_terminate_does_likewise() {
    check_run(Signal::SIGTERM);
}

#[test]
fn ctrl_c_ends_generate() {
    let place = Place::new();
    let model = tiny("tiny-sd1");
    let args = ["generate", "--model", &model, "--prompt", "a cat", "--steps", "60"];
    let more = ["--count", "1000", "--seed", "1", "-o", "cats/cat.png"];
    let (status, stdout, stderr) =
        interrupted(&place, &[&args[..], &more].concat(), &[Signal::SIGINT]);
    assert_eq!(status, Some(130), "{stdout}{stderr}");
    assert!(stderr.starts_with("interrupted: "), "{stderr}");
    let files = place.files("cats");
    assert_eq!(files.len(), stdout.lines().count(), "{files:?} for {stdout}");
    for file in files {
        place.pixels(&format!("cats/{file}"));
    }
}

/// Where the second comes while a file is written is tested in `whole.rs`.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let place = Place::new();
    let model = tiny("tiny-sd1");
    let args = ["generate", "--model", &model, "--prompt", "a cat", "--steps", "1", "--seed", "1"];
    let more = ["--width", "512", "--height", "512", "--count", "1000", "-o", "cats/cat.png"];
    let both = [Signal::SIGINT, Signal::SIGTERM];
    let (status, stdout, stderr) = interrupted(&place, &[&args[..], &more].concat(), &both);
    assert_eq!(status, Some(130), "{stdout}{stderr}");
    let files = place.files("cats");
    assert!(!files.is_empty());
    for file in files {
        place.pixels(&format!("cats/{file}"));
    }
}

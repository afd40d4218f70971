//! What a job that was accepted survives.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{JOBS, begun, each, ended, made, small, submitted};
use crate::support::{Data, Server};

const BIND: [&str; 2] = ["--bind", "127.0.0.1:0"];

/// Long enough to be disturbed.
fn asked() -> Value {
    small(json!({"steps": 150, "count": 2}))
}

fn kill_hard(process: u32) {
    kill(Pid::from_raw(process as i32), Signal::SIGKILL).unwrap();
}

/// The worker process of a server.
fn worker(server: &Server) -> u32 {
    let parent = format!("PPid:\t{}", server.process());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        status.lines().any(|line| line == parent).then_some(process)
    });
    let processes: Vec<u32> = processes.collect();
    let [worker] = processes[..] else { panic!("{processes:?}") };
    worker
}

/// The job is there, has ended well, and has the bytes of one that nothing disturbed.
#[track_caller]
fn assert_whole(server: &Server, job: &Value, undisturbed: &Value) {
    let job = ended(server, job);
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(each(&job, "sha256"), each(undisturbed, "sha256"));
    assert_eq!(server.get(JOBS).json()["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_stop_and_a_start() {
    let data = Data::new();
    // Nothing has time to finish: what runs is written out.
    let variables = [("DIFFUSION_SERVER_GRACE_SECONDS", "0")];
    let mut server = Server::start_in(&data, &BIND, &variables);
    let undisturbed = made(&server, &asked());
    let job = submitted(&server, &asked());
    begun(&server, &job, 20);
    assert!(server.stop().success());
    let server = Server::start_in(&data, &BIND, &variables);
    assert_whole(&server, &job, &undisturbed);
}

#[test]
fn the_death_of_the_worker() {
    let server = Server::start(&[]);
    let undisturbed = made(&server, &asked());
    let job = submitted(&server, &asked());
    begun(&server, &job, 20);
    kill_hard(worker(&server));
    assert_whole(&server, &job, &undisturbed);
}

#[test]
fn the_death_of_all() {
    let data = Data::new();
    let server = Server::start_in(&data, &BIND, &[]);
    let undisturbed = made(&server, &asked());
    let job = submitted(&server, &asked());
    begun(&server, &job, 20);
    let worker = worker(&server);
    kill_hard(server.process());
    kill_hard(worker);
    drop(server);
    let server = Server::start_in(&data, &BIND, &[]);
    assert_whole(&server, &job, &undisturbed);
}

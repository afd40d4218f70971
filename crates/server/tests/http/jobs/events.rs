//! Following jobs.

use serde_json::json;

use super::{Event, follow, made, path, small, submitted};
use crate::support::Server;

#[test]
fn a_job_is_followed_to_its_end() {
    let server = Server::start(&[]);
    let job = submitted(&server, &small(json!({"steps": 60})));
    let events = follow(&server, &job, &[]);
    let states: Vec<&str> =
        events.iter().filter_map(|event| event.data["state"].as_str()).collect();
    assert_eq!(states.last(), Some(&"succeeded"));
    let place = |state: &&str| ["queued", "running", "succeeded"].iter().position(|s| s == state);
    assert!(states.is_sorted_by_key(place), "{states:?}");
    let last = events.last().unwrap();
    assert_eq!((&*last.name, &last.data), ("job", &server.get(&path(&job)).json()));

    let ids: Vec<i64> = events.iter().filter_map(|event| event.id.as_ref()?.parse().ok()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let done: Vec<u64> = events
        .iter()
        .filter(|event| event.name == "progress")
        .map(|event| event.data["images"][0]["done"].as_u64().unwrap())
        .collect();
    assert!(done.len() >= 2 && done.is_sorted_by(|a, b| a < b), "{done:?}");
    assert!(events.iter().all(|event| event.name == "job" || event.id.is_none()));
}

#[test]
fn between_the_first_and_the_last_event_only_changed_images_are_sent() {
    let server = Server::start(&[]);
    let job = submitted(&server, &small(json!({"steps": 40, "count": 12})));
    let events = follow(&server, &job, &[]);
    let jobs: Vec<_> = events.iter().filter(|event| event.name == "job").collect();
    let [first, between @ .., last] = &jobs[..] else { panic!("{events:?}") };
    let images = |event: &Event| event.data["images"].as_array().unwrap().clone();
    assert_eq!((images(first).len(), images(last).len()), (12, 12));
    assert_eq!(last.data, server.get(&path(&job)).json());
    let mut states: Vec<_> = images(first).iter().map(|image| image["state"].clone()).collect();
    for event in between {
        for image in images(event) {
            let told = &mut states[image["index"].as_u64().unwrap() as usize];
            assert_ne!(*told, image["state"], "{image}");
            *told = image["state"].clone();
        }
        let count = |state| states.iter().filter(|told| *told == state).count();
        for state in ["queued", "running", "succeeded"] {
            assert_eq!(event.data["counts"][state], count(state), "{state} of {event:?}");
        }
    }
}

#[test]
fn whoever_comes_late_gets_the_whole_job() {
    let server = Server::start(&[]);
    let job = made(&server, &small(json!({})));
    let [event] = &follow(&server, &job, &[])[..] else { panic!() };
    assert_eq!((&*event.name, &event.data), ("job", &job));

    // Whoever has it already is told that there is no more.
    let last = [("last-event-id", event.id.as_deref().unwrap())];
    let events = format!("{}/events", path(&job));
    let known = server.send("GET", &events, &last, b"");
    assert_eq!((known.status, known.body.len()), (204, 0));
    let [event] = &follow(&server, &job, &[("last-event-id", "0")])[..] else { panic!() };
    assert_eq!(event.data, job);
}

#[test]
fn whoever_comes_back_is_told_what_is_new() {
    let server = Server::start(&[]);
    let job = submitted(&server, &small(json!({"steps": 100})));
    let mut stream = super::events(&server, &job, &[]);
    // Until it runs.
    let known = stream.find(|event| event.data["state"] == "running").unwrap();
    drop(stream);
    let events = follow(&server, &job, &[("last-event-id", known.id.as_deref().unwrap())]);
    let jobs: Vec<_> = events.iter().filter(|event| event.name == "job").collect();
    assert!(jobs.iter().all(|event| event.id != known.id), "{jobs:?}");
    assert_eq!(jobs.last().unwrap().data["state"], "succeeded");
    assert!(events.iter().any(|event| event.name == "progress"));
}

#[test]
fn an_image_is_seen_as_it_forms() {
    use base64::Engine as _;
    let server = Server::start(&[]);
    let job = submitted(&server, &small(json!({"steps": 200})));
    let events = follow(&server, &job, &[]);
    let preview = events.iter().find(|event| event.name == "preview").unwrap();
    assert_eq!(preview.data["index"], 0);
    let png = preview.data["png"].as_str().unwrap();
    let png = base64::prelude::BASE64_STANDARD.decode(png).unwrap();
    let preview = image::load_from_memory(&png).unwrap();
    assert_eq!(preview.width(), preview.height());
}

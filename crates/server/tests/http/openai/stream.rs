use std::io::{BufRead as _, BufReader, Write as _};

use serde_json::{Value, json};

use super::{
    EDITS, GENERATIONS, Part, decoded, files, made, png, quick, quick_form, refused, stripes,
};
use crate::jobs::{begun, ended, only};
use crate::support::{Answer, Server};

/// The events of a stream that has ended; each is named as its `type` says.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let parts = answer.text().split("\n\n").filter(|part| part.starts_with("event: "));
    let event = |part: &str| {
        let (name, data) = part.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    };
    parts.map(event).collect()
}

/// The file of an event.
fn file(event: &Value) -> Vec<u8> {
    files(&json!({"data": [{"b64_json": event["b64_json"]}]})).pop().unwrap()
}

#[test]
fn an_image_forms() {
    let server = Server::start(&[]);
    let asked = quick(json!({"num_inference_steps": 12, "stream": true, "partial_images": 2}));
    let events = events(&server.post(GENERATIONS, &asked));
    let (last, partial) = events.split_last().unwrap();
    assert!((1..=2).contains(&partial.len()), "{}", partial.len());
    for (index, event) in partial.iter().enumerate() {
        assert_eq!(event["type"], "image_generation.partial_image");
        assert_eq!(event["partial_image_index"], index);
        assert_eq!(event.get("usage"), None);
    }
    for event in &events {
        for (member, value) in [
            ("size", json!("128x128")),
            ("quality", json!("medium")),
            ("background", json!("opaque")),
            ("output_format", json!("png")),
            ("image_index", json!(0)),
        ] {
            assert_eq!(event[member], value, "{member}");
        }
        assert!(event["created_at"].is_i64());
        assert_eq!(decoded(&file(event)).dimensions(), (128, 128));
    }
    assert_eq!(last["type"], "image_generation.completed");
    assert_eq!(last.get("partial_image_index"), None);
    assert_eq!(last["usage"]["total_tokens"], 66);
    // The last is the image.
    let asked = quick(json!({"num_inference_steps": 12, "response_format": "b64_json"}));
    assert_eq!(file(last), files(&made(&server.post(GENERATIONS, &asked)))[0]);
}

#[test]
fn without_partial_images_there_is_one_event_for_each_image() {
    let server = Server::start(&[]);
    let asked = quick(json!({"stream": true, "n": 2, "output_format": "jpeg"}));
    let events = events(&server.post(GENERATIONS, &asked));
    assert_eq!(events.len(), 2);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["type"], "image_generation.completed");
        assert_eq!(event["image_index"], index);
        assert!(file(event).starts_with(b"\xff\xd8"));
    }
}

#[test]
fn an_edit_forms_too() {
    let server = Server::start(&[]);
    let picture = png(stripes());
    let parts = vec![
        ("image", Part::File(&picture)),
        ("prompt", Part::Text("a cat")),
        ("stream", Part::Text("true")),
        ("partial_images", Part::Text("1")),
    ];
    let events = events(&quick_form(&server, EDITS, parts));
    assert_eq!(events[0]["type"], "image_edit.partial_image");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "image_edit.completed");
    assert_eq!(
        last["usage"]["input_tokens_details"],
        json!({"image_tokens": 64, "text_tokens": 2})
    );
}

#[test]
fn what_is_refused_is_no_stream() {
    let server = Server::start(&[]);
    refused(&server.post(GENERATIONS, &quick(json!({"stream": true, "n": 0}))), 400);
}

#[test]
fn whoever_stops_reading_cancels() {
    let server = Server::start(&[]);
    let asked = json!({"num_inference_steps": 900, "stream": true, "partial_images": 1});
    let body = quick(asked).to_string();
    let mut client = server.connect();
    let head = format!(
        "POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    let job = only(&server);
    begun(&server, &job, 1);
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines().map(|line| line.unwrap());
    assert!(lines.any(|line| line == "event: image_generation.partial_image"));
    drop(lines);
    drop(client);
    assert_eq!(ended(&server, &job)["state"], "cancelled");
}

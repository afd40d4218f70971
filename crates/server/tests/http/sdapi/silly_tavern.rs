//! The calls of SillyTavern, in their order.

use std::io::Write as _;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{info, route, running, with_models};
use crate::jobs::ended;
use crate::support::{Data, PATIENCE, Server};

/// What it sends for an image, with the fields of its own server among them.
fn generation(more: Value) -> Value {
    let mut body = json!({
        "url": "http://localhost:7860", "auth": "", "prompt": "a cat", "negative_prompt": "",
        "sampler_name": "DDIM", "scheduler": "normal", "steps": 2, "cfg_scale": 7, "width": 64,
        "height": 64, "restore_faces": false, "enable_hr": false, "hr_upscaler": "Latent",
        "hr_scale": 1.0, "hr_additional_modules": [], "denoising_strength": 0.7,
        "hr_second_pass_steps": 0, "override_settings": {"CLIP_stop_at_last_layers": 1},
        "override_settings_restore_afterwards": true, "clip_skip": 1, "save_images": true,
        "send_images": true, "do_not_save_grid": false, "do_not_save_samples": false
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn it_connects_switches_the_model_and_asks() {
    let data = Data::new();
    let server = with_models(&data, &[]);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(""));
    let headers = [("authorization", &*basic), ("content-type", "application/json")];
    let get = |name: &str| {
        let answer = server.send("GET", &route(name), &headers, b"");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    };
    assert!(get("options").get("forge_preset").is_none(), "it asks Forge for more");
    let names = |list: Value, member: &str| {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names(get("samplers"), "name").contains(&"DDIM".to_owned()));
    assert!(names(get("schedulers"), "name").contains(&"karras".to_owned()));
    // It puts the latent ones behind the first of the others.
    assert_eq!(names(get("upscalers"), "name"), ["None"]);
    assert!(names(get("latent-upscale-modes"), "name").is_empty());
    // Where this one works, it does not matter that Forge's does not.
    assert!(names(get("sd-vae"), "model_name").is_empty());
    assert_eq!(server.get(&route("sd-modules")).status, 404);

    let titles = names(get("sd-models"), "title");
    let body = json!({"sd_model_checkpoint": titles[1]}).to_string();
    let set = server.send("POST", &route("options"), &headers, body.as_bytes());
    assert_eq!(set.status, 200, "{}", set.text());
    let progress = get("progress");
    assert_eq!((&progress["progress"], &progress["state"]["job_count"]), (&json!(0.0), &json!(0)));
    assert_eq!(get("options")["sd_model_checkpoint"], *titles[1]);

    let body = generation(json!({})).to_string();
    let answer = server.send("POST", &route("txt2img"), &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["images"].as_array().unwrap().len(), 1);
    assert_eq!(info(&answer)["sampler_name"], "DDIM");
}

#[test]
fn it_interrupts_what_its_user_no_longer_waits_for() {
    let server = Server::start(&[]);
    let more = json!({"steps": 900, "width": 256, "height": 256, "force_task_id": "t"});
    let body = generation(more).to_string();
    let mut client = server.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        route("txt2img"),
        body.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    let job = running(&server, "t", 1);
    // Both at once, in whichever order they arrive.
    let interrupted = server.send("POST", &route("interrupt"), &[], b"");
    drop(client);
    assert_eq!(interrupted.status, 200);
    assert_eq!(ended(&server, &job)["state"], "cancelled");
    let start = Instant::now();
    loop {
        let progress = server.get(&route("progress")).json();
        if progress["progress"] == 0.0 && progress["state"]["job_count"] == 0 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{progress}");
    }
}

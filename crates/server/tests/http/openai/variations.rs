use serde_json::json;

use super::{Part, VARIATIONS, decoded, files, made, png, quick_form, stripes};
use crate::jobs::JOBS;
use crate::support::Server;

#[test]
fn a_picture_is_varied_without_a_prompt() {
    let server = Server::start(&[]);
    let picture = png(stripes());
    let parts = vec![
        ("image", Part::File(&picture)),
        ("n", Part::Text("2")),
        ("size", Part::Text("256x256")),
        ("user", Part::Text("someone")),
    ];
    let answer = made(&quick_form(&server, VARIATIONS, parts));
    let [one, two] = &files(&answer)[..] else { panic!("{answer}") };
    assert_ne!(one, two);
    assert_eq!(decoded(one).dimensions(), (128, 128));
    assert_eq!(answer["size"], "128x128");
    assert_eq!(
        answer["usage"]["input_tokens_details"],
        json!({"image_tokens": 64, "text_tokens": 0})
    );
    let job = server.get(&format!("{JOBS}/{}", answer["job"].as_str().unwrap())).json();
    assert_eq!((&job["kind"], &job["request"]["label"]), (&json!("img2img"), &json!("someone")));
    assert_eq!(
        (&job["request"]["guidance"], &job["request"]["strength"]),
        (&json!(1.0), &json!(0.6))
    );
}

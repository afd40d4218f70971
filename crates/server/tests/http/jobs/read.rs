//! Looking at jobs.

use serde_json::{Value, json};

use super::{JOBS, long, made, path, small, submitted};
use crate::support::Server;

fn ids(list: &Value) -> Vec<&str> {
    list["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect()
}

#[test]
fn jobs_are_listed_in_pages_the_newest_first() {
    let server = Server::start(&[]);
    let jobs: Vec<Value> =
        (0..5).map(|seed| made(&server, &small(json!({"seed": seed, "steps": 1})))).collect();
    let newest: Vec<&str> = jobs.iter().rev().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids(&server.get(JOBS).json()), newest);

    let mut seen = Vec::new();
    let mut page = server.get(&format!("{JOBS}?limit=2")).json();
    loop {
        assert!(ids(&page).len() <= 2);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        page = server.get(&format!("{JOBS}?limit=2&cursor={next}")).json();
    }
    assert_eq!(seen, newest);

    // What is listed is what is shown.
    let shown = server.get(&path(&jobs[0])).json();
    assert_eq!(shown, jobs[0]);
    assert_eq!(server.get(JOBS).json()["jobs"][4], shown);
}

#[test]
fn a_list_shows_the_first_images_of_a_large_job_and_counts_all() {
    let server = Server::start(&[]);
    let job = submitted(&server, &long(json!({"count": 300})));
    let cancelled = server.send("POST", &format!("{}/cancel", path(&job)), &[], b"").json();
    let small = made(&server, &small(json!({"count": 2})));
    let list = server.get(JOBS).json();
    let (newest, large) = (&list["jobs"][0], &list["jobs"][1]);
    assert_eq!(newest, &small);
    assert_eq!(small["counts"]["succeeded"], 2);
    assert_eq!((&large["counts"], &large["progress"]), (&cancelled["counts"], &json!(1.0)));
    assert_eq!(large["counts"]["cancelled"], 300);
    assert_eq!(
        large["images"].as_array().unwrap()[..],
        cancelled["images"].as_array().unwrap()[..10]
    );
    assert_eq!(cancelled["images"].as_array().unwrap().len(), 300, "alone it is shown whole");
}

#[test]
fn lists_are_filtered_by_state_and_kind() {
    let server = Server::start(&[]);
    let done = made(&server, &small(json!({})));
    let images = server.get("/api/v1/images?limit=1").json();
    let drawn = json!({"kind": "random", "images": [images["images"][0]["id"]]});
    let drawn = made(&server, &small(drawn));
    let list = |query: &str| server.get(&format!("{JOBS}?{query}")).json();
    assert_eq!(ids(&list("kind=txt2img")), [done["id"].as_str().unwrap()]);
    assert_eq!(ids(&list("kind=random&state=succeeded")), [drawn["id"].as_str().unwrap()]);
    assert_eq!(ids(&list("kind=img2img")), [""; 0]);
    assert_eq!(ids(&list("state=failed")), [""; 0]);
    for (query, field) in [
        ("state=done", "state"),
        ("kind=video", "kind"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
    ] {
        let details = server.get(&format!("{JOBS}?{query}")).problem(422);
        assert_eq!(details["field"], field, "{details}");
    }
    server.get(&format!("{JOBS}?kinds=random")).problem(422);
}

#[test]
fn the_plan_is_all_that_decides_the_bytes() {
    let server = Server::start(&[]);
    let job = submitted(&server, &small(json!({"count": 2, "prompt": "a dog"})));
    let plan = server.get(&format!("{}/plan", path(&job))).json();
    let [first, second] = &plan["images"].as_array().unwrap()[..] else { panic!("{plan}") };
    assert_eq!((&first["seed"], &second["seed"]), (&json!(7), &json!(8)));
    assert_eq!((&first["prompt"], &first["steps"]), (&json!("a dog"), &json!(2)));
    assert_eq!(first["model"], job["images"][0]["model"]);
}

#[test]
fn what_is_not_there_is_404() {
    let server = Server::start(&[]);
    let nothing = format!("{JOBS}/00000000-0000-0000-0000-000000000000");
    for path in ["", "/plan", "/events", "/images/0"] {
        server.get(&format!("{nothing}{path}")).problem(404);
    }
    for path in ["/cancel", "/retry", "/replay"] {
        server.post(&format!("{nothing}{path}"), &json!({})).problem(404);
    }
    server.send("DELETE", &nothing, &[], b"").problem(404);
    server.get(&format!("{JOBS}/no-id")).problem(404);
    server.get("/outputs/00000000-0000-0000-0000-000000000000/a.png").problem(404);
}

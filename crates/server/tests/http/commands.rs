//! Commands beside a running server: `jobs`, `backup`, `restore`.

use serde_json::{Value, json};

use crate::images::{png, upload};
use crate::jobs::{JOBS, begun, each, ended, long, made, path, small, submitted};
use crate::support::{Data, Server, execute};

const BIND: [&str; 2] = ["--bind", "127.0.0.1:0"];

/// Runs a command over this data to its success, and gives what it printed.
#[track_caller]
fn done(data: &Data, args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = execute(&[args, &["--data", data.as_str()]].concat(), variables);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must be refused in one line, and gives that line.
#[track_caller]
fn refused(data: &Data, args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = execute(&[args, &["--data", data.as_str()]].concat(), variables);
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{output:?}");
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.starts_with("error: ") && line.lines().count() == 1, "{line}");
    line
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

#[test]
fn jobs_are_listed_and_shown() {
    let data = Data::new();
    let server = Server::start_in(&data, &BIND, &[]);
    let first = made(&server, &small(json!({"prompt": "a dog", "count": 2})));
    let second = submitted(&server, &long(json!({})));
    begun(&server, &second, 1);
    let list = |args: &[&str]| -> Vec<String> {
        let args = [&["jobs", "list", "--json"], args].concat();
        let listed: Vec<Value> = serde_json::from_str(&done(&data, &args, &[])).unwrap();
        listed.iter().map(|job| id(job).to_owned()).collect()
    };
    assert_eq!(list(&[]), [id(&second), id(&first)], "the newest first");
    assert_eq!(list(&["--limit", "1"]), [id(&second)]);
    assert_eq!(list(&["--state", "succeeded"]), [id(&first)]);
    assert!(list(&["--state", "failed"]).is_empty());
    let table = done(&data, &["jobs", "list"], &[]);
    let row = table.lines().find(|line| line.starts_with(id(&first))).unwrap();
    assert!(row.contains("succeeded") && row.contains("a dog"), "{table}");
    assert!(refused(&data, &["jobs", "list", "--state", "done"], &[]).contains("succeeded"));

    let shown: Value =
        serde_json::from_str(&done(&data, &["jobs", "show", id(&first)], &[])).unwrap();
    assert_eq!((&shown["state"], &shown["kind"]), (&json!("succeeded"), &json!("txt2img")));
    assert_eq!(each(&shown, "sha256"), each(&first, "sha256"));
    let unknown = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90";
    assert!(refused(&data, &["jobs", "show", unknown], &[]).contains("there is no job"));
}

#[test]
fn jobs_are_cancelled_tried_again_and_deleted() {
    let data = Data::new();
    let variables = [("DIFFUSION_SERVER_BACKLOG", "3"), ("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start_in(&data, &BIND, &variables);
    let job = submitted(&server, &long(json!({"count": 12})));
    begun(&server, &job, 1);
    let command = |name| ["jobs", name, id(&job)];
    assert!(refused(&data, &command("retry"), &variables).contains("only a failed or cancelled"));
    assert!(refused(&data, &command("delete"), &variables).contains(id(&job)));
    let said = done(&data, &command("cancel"), &variables);
    assert_eq!(said, format!("{} is cancelled\n", id(&job)));
    assert_eq!(ended(&server, &job)["state"], "cancelled");

    let other = submitted(&server, &long(json!({"count": 12})));
    begun(&server, &other, 1);
    assert!(refused(&data, &command("retry"), &variables).contains("3 may"));
    done(&data, &["jobs", "cancel", id(&other)], &variables);
    done(&data, &command("retry"), &variables);
    // The worker finds it by itself.
    begun(&server, &job, 1);

    done(&data, &command("cancel"), &variables);
    assert_eq!(done(&data, &command("delete"), &variables), format!("{} is deleted\n", id(&job)));
    server.get(&path(&job)).problem(404);
}

#[test]
fn a_backup_of_a_working_server_has_all_of_it() {
    let (data, copies, restored) = (Data::new(), Data::new(), Data::new());
    let server = Server::start_in(&data, &BIND, &[]);
    let picture = png();
    let uploaded = upload(&server, &[("file@tom.png", &picture)]);
    assert_eq!(uploaded.status, 201, "{}", uploaded.text());
    let drawn = small(json!({"kind": "img2img", "init_image": "tom.png", "strength": 0.9}));
    let expected = made(&server, &drawn);
    let count = 20;
    let job = submitted(&server, &small(json!({"count": count, "steps": 8})));
    begun(&server, &job, 1);

    let to = copies.path().join("today");
    let to = to.to_str().unwrap();
    let said = done(&data, &["backup", to], &[]);
    assert!(said.starts_with(&format!("{to}: database and ")), "{said}");
    assert_ne!(server.get(&path(&job)).json()["state"], "succeeded", "all was there before");
    assert!(refused(&data, &["backup", to], &[]).contains("not empty"));
    // What becomes of the first does not touch the copy.
    let row = format!("/api/v1/images/{}", id(&uploaded.json()));
    assert_eq!(server.send("DELETE", &row, &[], b"").status, 204);
    drop(server);

    done(&restored, &["restore", to], &[]);
    assert!(refused(&restored, &["restore", to], &[]).contains("not empty"));
    let images: Vec<Value> =
        serde_json::from_str(&done(&restored, &["images", "list", "--json"], &[])).unwrap();
    let tom = images.iter().find(|image| image["name"] == "tom.png").unwrap();
    assert_eq!(tom["available"], true, "{tom}");

    let server = Server::start_in(&restored, &BIND, &[]);
    assert!(server.get(&format!("{row}/content")).body == picture, "other bytes");
    let again = made(&server, &drawn);
    assert_eq!(each(&again, "sha256"), each(&expected, "sha256"));
    // What was not yet made is made here; what was is there.
    let job = ended(&server, &job);
    assert_eq!((&job["state"], each(&job, "url").len()), (&json!("succeeded"), count));
    for url in each(&job, "url") {
        assert_eq!(server.get(url.as_str().unwrap()).status, 200, "{url}");
    }
    assert_eq!(server.get(JOBS).json()["jobs"].as_array().unwrap().len(), 3);
}

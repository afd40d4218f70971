//! What is removed, what is kept, and what comes back from a backup.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use diffusion_jobs::artifacts::Kind;
use diffusion_jobs::backup::Folders;
use diffusion_jobs::database::Location;
use diffusion_jobs::queue::Backlog;
use diffusion_jobs::{Artifacts, Database, Error, NewImage, NewJob, Priority, Queue, backup, keep};
use serde_json::{Value, json};
use support::postgres::Postgres;
use support::{Fresh, on_both};
use tempfile::TempDir;
use uuid::Uuid;

on_both!(outdated_jobs_and_files, the_quota, what_waits, there_and_back);

struct Place {
    folder: TempDir,
    artifacts: Artifacts,
    queue: Queue,
}

impl Place {
    async fn new(fresh: &Fresh) -> Self {
        let folder = TempDir::new().unwrap();
        let artifacts = Artifacts::local(&folder.path().join("artifacts")).unwrap();
        let queue = Queue::open(&fresh.database, &fresh.location).await.unwrap();
        Self { folder, artifacts, queue }
    }

    /// A job that is drawn from a stored picture.
    async fn ask(&self, input: &str) -> Uuid {
        self.ask_for(json!({ "input": input })).await
    }

    async fn ask_for(&self, plan: Value) -> Uuid {
        let job = NewJob {
            kind: "img2img".into(),
            request: json!({}),
            owner: None,
            priority: Priority::Normal,
            images: vec![NewImage { plan, input_path: None, output_name: "a.png".into() }],
        };
        let backlog = Backlog { total: 100, each: 100 };
        self.queue.enqueue(&job, None, backlog).await.unwrap().id
    }

    async fn input(&self, text: &'static str) -> String {
        self.artifacts.put(Kind::Input, Bytes::from_static(text.as_bytes())).await.unwrap()
    }
}

async fn outdated_jobs_and_files(fresh: &Fresh) {
    let place = Place::new(fresh).await;
    let (kept, gone, lost) =
        (place.input("kept").await, place.input("gone").await, place.input("lost").await);
    let mask = place.input("mask").await;
    let open = place.ask_for(json!({ "input": kept, "mask": { "picture": mask } })).await;
    let ended = place.ask(&gone).await;
    place.queue.cancel(ended).await.unwrap();
    place.artifacts.put_state(open, 0, Bytes::from_static(b"state")).await.unwrap();
    place.artifacts.put_state(ended, 0, Bytes::from_static(b"state")).await.unwrap();

    let now = Utc::now();
    let clean =
        async |now| keep::clean(&fresh.database, &place.artifacts, None, now).await.unwrap();
    assert_eq!(clean(now).await.files, 0, "what is new is left alone");
    let later = now + TimeDelta::hours(2);
    let cleaned = clean(later).await;
    assert_eq!(cleaned.files, 2, "what nothing speaks of, and the state of what has ended");
    assert!(!place.artifacts.has(Kind::Input, &lost).await.unwrap());
    assert!(place.artifacts.has(Kind::Input, &gone).await.unwrap(), "its job is there still");
    assert!(place.artifacts.get_state(open, 0).await.unwrap().is_some());

    assert_eq!(fresh.database.expire(None).await.unwrap(), 0);
    assert_eq!(fresh.database.expire(Some(now - TimeDelta::days(1))).await.unwrap(), 0);
    assert_eq!(fresh.database.expire(Some(later)).await.unwrap(), 1);
    assert!(matches!(fresh.database.job(ended).await, Err(Error::NotFound { .. })));
    fresh.database.job(open).await.unwrap();
    assert_eq!(clean(later).await.files, 1);
    assert!(!place.artifacts.has(Kind::Input, &gone).await.unwrap());
    assert!(place.artifacts.has(Kind::Input, &kept).await.unwrap());
    assert!(place.artifacts.has(Kind::Input, &mask).await.unwrap());
}

async fn the_quota(fresh: &Fresh) {
    let place = Place::new(fresh).await;
    let input = place.input("ten bytes.").await;
    let (open, ended) = (place.ask(&input).await, place.ask(&input).await);
    place.queue.cancel(ended).await.unwrap();
    let clean = async |quota| {
        // What has just ended is spared.
        let now = Utc::now() + TimeDelta::minutes(30);
        keep::clean(&fresh.database, &place.artifacts, Some(quota), now).await.unwrap()
    };
    let cleaned = clean(10).await;
    assert_eq!((cleaned.jobs, cleaned.bytes), (0, 10));
    assert_eq!(clean(9).await.jobs, 1);
    assert_eq!(clean(9).await.jobs, 0, "what has not ended stays");
    fresh.database.job(open).await.unwrap();
}

async fn what_waits(fresh: &Fresh) {
    let place = Place::new(fresh).await;
    let empty = fresh.database.depth().await.unwrap();
    assert_eq!((empty.queued, empty.running, empty.oldest), (0, 0, None));
    let first = place.ask("x").await;
    place.ask("x").await;
    let depth = fresh.database.depth().await.unwrap();
    let accepted = fresh.database.job(first).await.unwrap().created_at;
    assert_eq!((depth.queued, depth.oldest), (2, Some(accepted)));
}

async fn there_and_back(fresh: &Fresh) {
    let place = Place::new(fresh).await;
    let input = place.input("picture").await;
    let job = place.ask(&input).await;
    let at = |folder: &str| Folders {
        artifacts: place.folder.path().join(folder).join("artifacts"),
        images: place.folder.path().join(folder).join("images"),
    };
    let (from, to) = (at(""), place.folder.path().join("backup"));
    std::fs::create_dir_all(from.images.join("sub")).unwrap();
    std::fs::write(from.images.join("sub/cat#1.png"), "cat").unwrap();
    let made = backup::backup(&fresh.database, &fresh.location, &from, &to).await.unwrap();
    assert_eq!((made.files, made.bytes), (2, 10));
    let again = backup::backup(&fresh.database, &fresh.location, &from, &to).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let inside = from.images.join("backup");
    let inside = backup::backup(&fresh.database, &fresh.location, &from, &inside).await;
    assert!(matches!(inside, Err(Error::Invalid(_))), "{inside:?}");
    assert!(!from.images.join("backup").exists());
    place.queue.cancel(job).await.unwrap();
    std::fs::write(from.images.join("sub/cat#1.png"), "changed").unwrap();

    let server = Postgres::shared();
    let location = match &fresh.location {
        Location::Sqlite(_) => Location::Sqlite(place.folder.path().join("new/server.db")),
        Location::Postgres(_) => server.unwrap().location().await,
    };
    let restored = at("restored");
    assert_eq!(backup::restore(&to, &location, &restored).await.unwrap(), made);
    let database = Database::open(&location).await.unwrap();
    assert_eq!(database.job(job).await.unwrap().state.name(), "queued", "as it was then");
    let artifacts = Artifacts::local(&restored.artifacts).unwrap();
    assert_eq!(artifacts.get(Kind::Input, &input).await.unwrap(), "picture");
    assert_eq!(std::fs::read(restored.images.join("sub/cat#1.png")).unwrap(), b"cat");

    let twice = backup::restore(&to, &location, &at("twice")).await;
    assert!(twice.is_err(), "nothing is overwritten");
    let fresh = Location::Sqlite(place.folder.path().join("fresh.db"));
    let beside = Folders { artifacts: at("beside").artifacts, images: restored.images.clone() };
    let taken = backup::restore(&to, &fresh, &beside).await;
    assert!(matches!(taken, Err(Error::Conflict(_))), "{taken:?}");
}

#[tokio::test]
async fn nothing_is_swept_while_a_backup_is_made() {
    let folder = TempDir::new().unwrap();
    let artifacts = folder.path().join("artifacts");
    let held = backup::try_lock(&artifacts).unwrap();
    assert!(held.is_some());
    assert!(backup::try_lock(&artifacts).unwrap().is_none());
    drop(held);
    // Waits: a child that another test starts has the file open until it is another program.
    backup::lock(&artifacts).unwrap();
}

//! What is taken in, and what is not.

use diffusion_jobs::queue::Backlog;
use diffusion_jobs::{Database, Error, Filter, Priority, State};
use serde_json::json;
use uuid::Uuid;

use crate::bench::{Bench, Hand, PLENTY, new_job};
use crate::support::{Fresh, on_both};

on_both!(stored, stored_in_batches, idempotent, idempotent_at_once, bounded, listed, deleted);

async fn stored(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(2).await;
    let job = bench.job(id).await;
    assert_eq!((job.state, job.kind.as_str(), job.owner), (State::Queued, "txt2img", None));
    assert_eq!(job.request["prompt"], "a cat");
    let images = bench.images(id).await;
    assert_eq!(images.len(), 2);
    assert_eq!(images[1].plan["seed"], u64::MAX - 1, "seeds keep all their bits");
    assert_eq!((images[1].idx, images[1].output_name.as_str()), (1, "1.png"));
    let nothing = new_job(None, Priority::Normal, 0);
    let empty = bench.queue.enqueue(&nothing, None, crate::bench::PLENTY);
    assert!(matches!(empty.await, Err(Error::Invalid(_))));
    let missing = fresh.database.job(Uuid::now_v7()).await;
    assert!(matches!(missing, Err(Error::NotFound { what: "job", .. })));
}

/// Each of many images has a turn of its own, in the order of their indexes.
async fn stored_in_batches(fresh: &Fresh) {
    const IMAGES: usize = 1_102;
    let bench = Bench::new(fresh).await;
    let id = bench.ask(IMAGES).await;
    let images = bench.images(id).await;
    let names: Vec<_> = images.iter().map(|image| image.output_name.clone()).collect();
    assert_eq!(names, (0..IMAGES).map(|n| format!("{n}.png")).collect::<Vec<_>>());
    assert_eq!(images[IMAGES - 1].plan["seed"], u64::MAX - IMAGES as u64 + 1);
    let turns = "SELECT idx, round, queue FROM job_images JOIN river_job ON river_job.id = river_id \
                 WHERE kind = 'image' AND CAST(river_job.state AS TEXT) = 'available' \
                 AND CAST(args ->> 'index' AS INTEGER) = idx \
                 ORDER BY scheduled_at, river_job.id";
    let turns: Vec<(i32, i64, String)> = match &fresh.database {
        Database::Sqlite(pool) => sqlx::query_as(turns).fetch_all(pool).await.unwrap(),
        Database::Postgres(pool) => sqlx::query_as(turns).fetch_all(pool).await.unwrap(),
    };
    let lane = |n| if n == 0 { "first" } else { "rest" }.to_owned();
    let expected: Vec<_> = (0..IMAGES as i32).map(|n| (n, i64::from(n), lane(n))).collect();
    assert_eq!(turns, expected);
    // Behind one's own.
    bench.ask(3).await;
    let mut hand = Hand::start(fresh, 1).await;
    let (a, b) = (hand.next().await, hand.next().await);
    let mut first = [(a.attempt.job, a.attempt.index), (b.attempt.job, b.attempt.index)];
    first.sort();
    assert_eq!(first, [(id, 0), (id, 1)]);
}

async fn idempotent(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let first = bench.ask_named("k", "body").await.unwrap();
    assert!(first.is_new);
    let again = bench.ask_named("k", "body").await.unwrap();
    assert_eq!((again.id, again.is_new), (first.id, false));
    assert!(matches!(bench.ask_named("k", "other").await, Err(Error::Conflict(_))));
    assert_ne!(bench.ask_named("l", "body").await.unwrap().id, first.id);
    let all = fresh.database.jobs(&Filter::default(), 10).await.unwrap();
    assert_eq!(all.items.len(), 2, "what was repeated is not stored twice");
}

async fn idempotent_at_once(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let asks = (0..8).map(|_| bench.ask_named("k", "body"));
    let answers = futures_util::future::try_join_all(asks).await.unwrap();
    assert!(answers.iter().all(|answer| answer.id == answers[0].id));
    assert_eq!(answers.iter().filter(|answer| answer.is_new).count(), 1);
}

async fn bounded(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let (a, b) = (Some(Uuid::new_v4()), Some(Uuid::new_v4()));
    let backlog = Backlog { total: 5, each: 3 };
    let ask = async |owner, images| {
        bench.queue.enqueue(&new_job(owner, Priority::Normal, images), None, backlog).await
    };
    ask(a, 2).await.unwrap();
    let refused = ask(a, 2).await.unwrap_err();
    assert!(matches!(refused, Error::Backlog { waiting: 2, limit: 3 }), "{refused:?}");
    ask(a, 1).await.unwrap();
    ask(b, 2).await.unwrap();
    let refused = ask(None, 1).await.unwrap_err();
    assert!(matches!(refused, Error::Backlog { waiting: 5, limit: 5 }), "{refused:?}");
}

async fn listed(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let owner = Uuid::new_v4();
    let mut ids = Vec::new();
    for i in 0..5 {
        ids.push(bench.ask_as((i % 2 == 0).then_some(owner), Priority::Low, 1).await);
    }
    bench.queue.cancel(ids[0]).await.unwrap();
    ids.reverse();
    let page = fresh.database.jobs(&Filter::default(), 3).await.unwrap();
    assert_eq!(page.items.iter().map(|job| job.id).collect::<Vec<_>>(), ids[..3]);
    let rest = Filter { before: page.next, ..Filter::default() };
    let rest = fresh.database.jobs(&rest, 3).await.unwrap();
    assert_eq!(rest.items.iter().map(|job| job.id).collect::<Vec<_>>(), ids[3..]);
    assert_eq!(rest.next, None);
    let owned = Filter { owner: Some(owner), state: Some(State::Queued), ..Filter::default() };
    assert_eq!(fresh.database.jobs(&owned, 10).await.unwrap().items.len(), 2);
    let owned = Filter { state: None, ..owned };
    assert_eq!(fresh.database.count_jobs(&owned).await.unwrap(), 3);
    let before = Filter { before: Some(ids[0]), ..owned.clone() };
    assert_eq!(fresh.database.count_jobs(&before).await.unwrap(), 2);
    let oldest = fresh.database.oldest_job(&owned).await.unwrap().unwrap();
    assert_eq!(oldest.id, ids[4]);
    // By what its request says, behind any number of others.
    let mut named = new_job(None, Priority::Low, 1);
    named.request = json!({"dialect": "a1111", "label": "task"});
    let id = bench.queue.enqueue(&named, None, PLENTY).await.unwrap().id;
    bench.ask(1).await;
    let dialect = Some("a1111".to_owned());
    for label in [None, Some("task".to_owned())] {
        let wanted = Filter { dialect: dialect.clone(), label, ..Filter::default() };
        let found = fresh.database.jobs(&wanted, 1).await.unwrap();
        assert_eq!(found.items.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
        assert_eq!(fresh.database.count_jobs(&wanted).await.unwrap(), 1);
    }
    for other in [
        Filter { dialect: Some("none such".into()), ..Filter::default() },
        Filter { label: Some("none such".into()), ..Filter::default() },
        Filter { label: Some("\0".into()), ..Filter::default() },
    ] {
        assert_eq!(fresh.database.count_jobs(&other).await.unwrap(), 0);
        assert!(fresh.database.jobs(&other, 9).await.unwrap().items.is_empty());
        assert!(fresh.database.oldest_job(&other).await.unwrap().is_none());
    }
    let kind = Filter { kind: Some("random".into()), ..Filter::default() };
    assert_eq!(fresh.database.jobs(&kind, 10).await.unwrap().items.len(), 0);
}

async fn deleted(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(1).await;
    assert!(matches!(fresh.database.delete_job(id).await, Err(Error::Conflict(_))));
    bench.queue.cancel(id).await.unwrap();
    fresh.database.delete_job(id).await.unwrap();
    assert!(matches!(fresh.database.delete_job(id).await, Err(Error::NotFound { .. })));
    assert!(bench.images(id).await.is_empty());
}

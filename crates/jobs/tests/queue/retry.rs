//! Trying again what failed or was cancelled.

use diffusion_jobs::queue::{Backlog, Idempotency};
use diffusion_jobs::work::Verdict;
use diffusion_jobs::{Database, Error, Priority, State};
use uuid::Uuid;

use crate::bench::{Bench, Hand, PLENTY};
use crate::support::{Fresh, on_both};

on_both!(failed_images_alone, only_what_ended, many, bounded);

async fn failed_images_alone(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(2).await;
    hand.next().await.publish().await;
    let claimed = hand.next().await;
    let failed = claimed.attempt.index;
    claimed.attempt.fail("no model").await.unwrap();
    claimed.end(Verdict::Ended);
    bench.queue.retry(id, None, None, PLENTY).await.unwrap();
    let job = bench.job(id).await;
    assert!(!job.state.is_final() && job.finished_at.is_none(), "{job:?}");
    let claimed = hand.next().await;
    assert_eq!(claimed.attempt.index, failed, "what is there is not made again");
    claimed.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded; 2]));
}

async fn only_what_ended(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(1).await;
    assert!(matches!(bench.queue.retry(id, None, None, PLENTY).await, Err(Error::Conflict(_))));
    bench.queue.cancel(id).await.unwrap();
    bench.queue.retry(id, None, None, PLENTY).await.unwrap();
    assert_eq!(bench.states(id).await, (State::Queued, vec![State::Queued]));
}

/// In several statements each, and each of them in its turn.
async fn many(fresh: &Fresh) {
    const IMAGES: usize = 1_102;
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(IMAGES).await;
    // One in each lane, so that none is on its way while the rest is cancelled.
    let in_hand = [hand.next().await, hand.next().await];
    bench.queue.cancel(id).await.unwrap();
    for claimed in &in_hand {
        claimed.cancelled.cancelled().await;
    }
    let in_river = "SELECT CAST(state AS TEXT), count(*) FROM river_job WHERE kind = 'image' \
                    GROUP BY state ORDER BY 1";
    let in_river: Vec<(String, i64)> = match &fresh.database {
        Database::Sqlite(pool) => sqlx::query_as(in_river).fetch_all(pool).await.unwrap(),
        Database::Postgres(pool) => sqlx::query_as(in_river).fetch_all(pool).await.unwrap(),
    };
    let expected = [("cancelled".to_owned(), IMAGES as i64 - 2), ("running".to_owned(), 2)];
    assert_eq!(in_river, expected);
    for claimed in in_hand {
        claimed.end(Verdict::Ended);
    }
    hand.worker.stop_claiming();

    bench.queue.retry(id, None, None, PLENTY).await.unwrap();
    assert_eq!(bench.states(id).await, (State::Queued, vec![State::Queued; IMAGES]));
    let turns = "SELECT idx, round FROM job_images JOIN river_job ON river_job.id = river_id \
                 WHERE CAST(river_job.state AS TEXT) IN ('available', 'running') \
                 AND CAST(args ->> 'index' AS INTEGER) = idx ORDER BY round";
    let turns: Vec<(i32, i64)> = match &fresh.database {
        Database::Sqlite(pool) => sqlx::query_as(turns).fetch_all(pool).await.unwrap(),
        Database::Postgres(pool) => sqlx::query_as(turns).fetch_all(pool).await.unwrap(),
    };
    let first = turns[0].1;
    let expected: Vec<_> = (0..IMAGES as i32).map(|n| (n, first + i64::from(n))).collect();
    assert_eq!(turns, expected);
}

async fn bounded(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let (a, b) = (Some(Uuid::new_v4()), Some(Uuid::new_v4()));
    let mut jobs = Vec::new();
    for (owner, images) in [(a, 2), (a, 2), (a, 1), (b, 2), (None, 1), (b, 9)] {
        let id = bench.ask_as(owner, Priority::Normal, images).await;
        bench.queue.cancel(id).await.unwrap();
        jobs.push(id);
    }
    let [first, second, one, of_b, anyones, large] = jobs[..] else { panic!() };
    let key = Idempotency { name: "k".into(), body_sha256: "b".into() };
    let backlog = Backlog { total: 5, each: 3 };
    let retry = async |job, key| bench.queue.retry(job, None, key, backlog).await;

    retry(first, Some(&key)).await.unwrap();
    let refused = retry(second, None).await.unwrap_err();
    assert!(matches!(refused, Error::Backlog { waiting: 2, limit: 3 }), "{refused:?}");
    assert_eq!(bench.states(second).await, (State::Cancelled, vec![State::Cancelled; 2]));
    retry(one, None).await.unwrap();
    retry(of_b, None).await.unwrap();
    let refused = retry(anyones, None).await.unwrap_err();
    assert!(matches!(refused, Error::Backlog { waiting: 5, limit: 5 }), "{refused:?}");
    // What was taken in is not refused when it is asked for again.
    retry(first, Some(&key)).await.unwrap();

    for job in [first, one, of_b] {
        bench.queue.cancel(job).await.unwrap();
    }
    // Alone, a job may be as large as it was.
    retry(large, None).await.unwrap();
    assert_eq!(bench.states(large).await.0, State::Queued);
}

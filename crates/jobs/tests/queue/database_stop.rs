//! Postgres stops as in a crash, again and again, while jobs are asked for and worked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diffusion_jobs::work::{Attempt, Lease, Verdict, Work, Worker};
use diffusion_jobs::{Database, Error, Priority, Queue, State};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bench::{PLENTY, file, new_job};
use crate::support::postgres::Postgres;

/// Publishes at once, and as often as it takes.
struct Persistent;

impl Work for Persistent {
    async fn work(&self, attempt: Attempt, _: CancellationToken) -> Verdict {
        loop {
            match attempt.publish(&file()).await {
                Ok(()) | Err(Error::Superseded) => return Verdict::Ended,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

/// All that was acknowledged is finished once, and the workers heal by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_jobs_survive_crashes_of_postgres() {
    let Some(server) = Postgres::start() else { return };
    let location = server.location().await;
    let database = Database::open(&location).await.unwrap();
    let queue = Queue::open(&database, &location).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let lease = Lease::take(&database, Uuid::new_v4(), None, &[]).await.unwrap();
        workers.push(Worker::start(&database, &location, lease, 4, Persistent).await.unwrap());
    }

    let done = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn({
        let (queue, done) = (queue.clone(), done.clone());
        async move {
            let mut acknowledged = Vec::new();
            let mut refused = 0;
            while !done.load(Ordering::Relaxed) {
                let job = new_job(None, Priority::Normal, 2);
                match queue.enqueue(&job, None, PLENTY).await {
                    Ok(accepted) => acknowledged.push(accepted.id),
                    Err(error) if error.is_outage() => refused += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
            (acknowledged, refused)
        }
    });
    let server = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            server.crash();
            server.resume();
        }
        server
    });
    let server = server.await.unwrap();
    done.store(true, Ordering::Relaxed);
    let (acknowledged, refused) = client.await.unwrap();
    println!("{} jobs acknowledged, {refused} refused, 3 crashes", acknowledged.len());
    assert!(!acknowledged.is_empty());

    for id in acknowledged {
        loop {
            match database.job(id).await {
                Ok(job) if job.state.is_final() => {
                    assert_eq!(job.state, State::Succeeded);
                    break;
                }
                Ok(_) => workers.iter().for_each(Worker::wake),
                Err(error) => assert!(error.is_outage(), "{error:?}"),
            }
            tokio::task::yield_now().await;
        }
    }
    drop(server);
}

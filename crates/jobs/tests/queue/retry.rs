//! Trying again what failed or was cancelled.

use diffusion_jobs::work::Verdict;
use diffusion_jobs::{Error, State};

use crate::bench::{Bench, Hand};
use crate::support::{Fresh, on_both};

on_both!(failed_images_alone, only_what_ended);

async fn failed_images_alone(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(2).await;
    hand.next().await.publish().await;
    let claimed = hand.next().await;
    let failed = claimed.attempt.index;
    claimed.attempt.fail("no model").await.unwrap();
    claimed.end(Verdict::Ended);
    bench.queue.retry(id, None, None).await.unwrap();
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
    assert!(matches!(bench.queue.retry(id, None, None).await, Err(Error::Conflict(_))));
    bench.queue.cancel(id).await.unwrap();
    bench.queue.retry(id, None, None).await.unwrap();
    assert_eq!(bench.states(id).await, (State::Queued, vec![State::Queued]));
}

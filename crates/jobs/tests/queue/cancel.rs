//! Cancelling what waits, what runs, and what has ended.

use diffusion_jobs::work::Verdict;
use diffusion_jobs::{Error, State};
use uuid::Uuid;

use crate::bench::{Bench, Hand, file};
use crate::support::{Fresh, on_both};

on_both!(waiting, running, ended, one_image);

async fn waiting(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let (first, second) = (bench.ask(2).await, bench.ask(1).await);
    bench.queue.cancel(first).await.unwrap();
    assert_eq!(bench.states(first).await, (State::Cancelled, vec![State::Cancelled; 2]));
    assert!(bench.job(first).await.finished_at.is_some());
    let mut hand = Hand::start(fresh, 4).await;
    let claimed = hand.next().await;
    assert_eq!(claimed.attempt.job, second, "what was cancelled is not worked");
    claimed.publish().await;
    assert!(hand.try_next().is_none());
    let missing = bench.queue.cancel(Uuid::now_v7()).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

async fn running(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    let claimed = hand.next().await;
    bench.queue.cancel(id).await.unwrap();
    assert_eq!(bench.states(id).await, (State::Cancelled, vec![State::Cancelled]));
    claimed.cancelled.cancelled().await;
    for refused in [claimed.attempt.publish(&file()).await, claimed.attempt.fail("late").await] {
        assert!(matches!(refused, Err(Error::Superseded)), "{refused:?}");
    }
    claimed.end(Verdict::Ended);
    assert_eq!(bench.states(id).await, (State::Cancelled, vec![State::Cancelled]));
    let next = bench.ask(1).await;
    assert_eq!(hand.next().await.attempt.job, next, "the place is free again");
}

async fn ended(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    hand.next().await.publish().await;
    bench.queue.cancel(id).await.unwrap();
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

async fn one_image(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(3).await;
    let mut hand = Hand::start(fresh, 1).await;
    let first = hand.next().await;
    bench.queue.cancel_image(id, first.attempt.index).await.unwrap();
    first.cancelled.cancelled().await;
    let refused = first.attempt.publish(&file()).await;
    assert!(matches!(refused, Err(Error::Superseded)), "{refused:?}");
    first.end(Verdict::Ended);
    assert_eq!(bench.states(id).await.0, State::Running, "the others are wanted still");
    for _ in 0..2 {
        hand.next().await.publish().await;
    }
    let (job, images) = bench.states(id).await;
    let cancelled = images.iter().filter(|state| **state == State::Cancelled).count();
    let made = images.iter().filter(|state| **state == State::Succeeded).count();
    assert_eq!((job, cancelled, made), (State::Cancelled, 1, 2));
}

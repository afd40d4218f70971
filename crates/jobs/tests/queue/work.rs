//! Attempts that go well, and those that end otherwise.

use diffusion_jobs::work::Verdict;
use diffusion_jobs::{Error, State};

use crate::bench::{Bench, Hand, file};
use crate::support::{Fresh, on_both};

on_both!(published, published_together, failed, tried_again, struck_out);

async fn published(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    let claimed = hand.next().await;
    assert_eq!((claimed.attempt.job, claimed.attempt.index), (id, 0));
    assert_eq!(claimed.attempt.plan["guidance"], 7.5);
    assert_eq!(bench.states(id).await, (State::Running, vec![State::Running]));
    let attempt = claimed.attempt.clone();
    claimed.publish().await;
    let again = attempt.publish(&file()).await;
    assert!(matches!(again, Err(Error::Superseded)), "an image is published once: {again:?}");
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
    let image = fresh.database.job_image(id, 0).await.unwrap();
    assert_eq!((image.sha256.as_deref(), image.bytes), (Some(&*"ab".repeat(32)), Some(3)));
    let job = bench.job(id).await;
    assert!(job.created_at <= job.started_at.unwrap() && job.started_at <= job.finished_at);
}

/// The job ends when its last two images end at the same time.
async fn published_together(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 4).await;
    for _ in 0..5 {
        let id = bench.ask(2).await;
        let (a, b) = (hand.next().await, hand.next().await);
        tokio::join!(a.publish(), b.publish());
        assert_eq!(bench.job(id).await.state, State::Succeeded);
    }
}

async fn failed(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 2).await;
    let id = bench.ask(2).await;
    let claimed = hand.next().await;
    claimed.attempt.fail("model.safetensors: truncated").await.unwrap();
    claimed.end(Verdict::Ended);
    assert_eq!(bench.job(id).await.state, State::Running, "the other image runs on");
    hand.next().await.publish().await;
    let (state, mut images) = bench.states(id).await;
    images.sort_by_key(|state| state.name());
    assert_eq!((state, images), (State::Failed, vec![State::Failed, State::Succeeded]));
    let errors: Vec<_> = bench.images(id).await.into_iter().filter_map(|i| i.error).collect();
    assert_eq!(errors, ["model.safetensors: truncated"]);
}

async fn tried_again(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    let claimed = hand.next().await;
    assert!(claimed.attempt.give_back("storage: disk full").await.unwrap());
    assert_eq!(bench.states(id).await, (State::Running, vec![State::Queued]));
    claimed.end(Verdict::Again);
    hand.next().await.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
    assert_eq!(fresh.database.job_image(id, 0).await.unwrap().error, None);
}

/// Three attempts without progress are enough; one that stored a later state does not count.
async fn struck_out(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    for progress in [true, false, false] {
        let claimed = hand.next().await;
        if progress {
            claimed.attempt.saved(4).await.unwrap();
        }
        assert!(claimed.attempt.give_back("storage: disk full").await.unwrap());
        claimed.end(Verdict::Again);
    }
    let claimed = hand.next().await;
    assert_eq!(claimed.attempt.saved_step, 4);
    assert!(!claimed.attempt.give_back("storage: disk full").await.unwrap());
    claimed.end(Verdict::Ended);
    assert_eq!(bench.states(id).await, (State::Failed, vec![State::Failed]));
    let error = bench.images(id).await[0].error.clone().unwrap();
    assert!(error.starts_with("storage: disk full (attempt 3 of 3"), "{error}");
}

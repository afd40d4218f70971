//! The version of a job counts what its clients see change, and nothing else.

use diffusion_jobs::work::Verdict;
use uuid::Uuid;

use crate::bench::{Bench, Hand};
use crate::support::{Fresh, on_both};

on_both!(each_change_counts_once);

/// What clients see of a job, to compare.
async fn seen(bench: &Bench<'_>, id: Uuid) -> (i64, String) {
    let job = bench.job(id).await;
    let images = bench.images(id).await;
    let images: Vec<_> =
        images.iter().map(|image| (image.state, &image.error, &image.sha256)).collect();
    (job.version, format!("{:?} {:?} {:?} {images:?}", job.state, job.started_at, job.finished_at))
}

async fn each_change_counts_once(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    let mut before = seen(&bench, id).await;
    let mut expect = async |changes: bool, what: &str| {
        let now = seen(&bench, id).await;
        assert_eq!(now.1 != before.1, changes, "{what}: {before:?} {now:?}");
        assert_eq!(now.0 != before.0, changes, "{what}: {before:?} {now:?}");
        before = now;
    };
    let claimed = hand.next().await;
    expect(true, "begun").await;
    claimed.attempt.saved(2).await.unwrap();
    expect(false, "a state is stored").await;
    assert!(claimed.attempt.give_back("disk full").await.unwrap());
    expect(true, "given back").await;
    assert!(claimed.attempt.give_back("disk full").await.is_err());
    expect(false, "given back twice").await;
    claimed.end(Verdict::Again);
    let claimed = hand.next().await;
    expect(true, "begun again").await;
    assert!(claimed.attempt.release().await.unwrap());
    expect(true, "released").await;
    assert!(!claimed.attempt.release().await.unwrap());
    expect(false, "released twice").await;
    bench.queue.cancel(id).await.unwrap();
    expect(true, "cancelled").await;
    bench.queue.cancel(id).await.unwrap();
    expect(false, "cancelled twice").await;
    claimed.end(Verdict::Ended);
    let next = bench.ask(1).await;
    hand.next().await.publish().await;
    assert!(bench.job(next).await.state.is_final());
    expect(false, "another job").await;
}

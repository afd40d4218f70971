//! Workers that die, that hand over, and that come back from the dead.

use diffusion_jobs::work::{Lease, SILENT_LOOKS, Verdict};
use diffusion_jobs::{Error, State};
use uuid::Uuid;

use crate::bench::{Bench, Hand, file};
use crate::support::postgres::Postgres;
use crate::support::{Fresh, on_both};

on_both!(
    taken_over,
    late_end,
    handed_over,
    poison,
    poison_amid_others,
    claimed_but_never_begun,
    stranded,
    progress_ends_suspicion,
);

/// Its successor frees what a dead worker held; the dead one's attempt publishes nothing any more.
async fn taken_over(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut dead = Hand::start(fresh, 2).await;
    let id = bench.ask(1).await;
    let zombie = dead.next().await;
    zombie.attempt.saved(3).await.unwrap();
    let mut heir = Hand::start_after(fresh, 2, Some(dead.lease)).await;
    let claimed = heir.next().await;
    assert_eq!((claimed.attempt.job, claimed.attempt.saved_step), (id, 3));
    for refused in [
        zombie.attempt.publish(&file()).await,
        zombie.attempt.fail("late").await,
        zombie.attempt.saved(9).await,
        zombie.attempt.give_back("late").await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Superseded)), "{refused:?}");
    }
    claimed.publish().await;
    assert!(matches!(zombie.attempt.publish(&file()).await, Err(Error::Superseded)));
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// The end of an attempt that was given up for dead does not end the one that has taken over.
async fn late_end(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut dead = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    let zombie = dead.next().await;
    let mut heir = Hand::start_after(fresh, 1, Some(dead.lease)).await;
    let claimed = heir.next().await;
    zombie.end(Verdict::Ended);
    dead.worker.lost().cancelled().await;
    claimed.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// A worker that stops in order uses up no attempt.
async fn handed_over(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(1).await;
    for _ in 0..5 {
        let mut hand = Hand::start(fresh, 1).await;
        let claimed = hand.next().await;
        assert_eq!(claimed.attempt.job, id);
        claimed.end(Verdict::HandedOver);
        hand.worker.stop_claiming();
        hand.worker.hand_over().await.unwrap();
        assert_eq!(bench.states(id).await, (State::Running, vec![State::Queued]));
    }
    Hand::start(fresh, 1).await.next().await.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// An image that kills three workers in a row without progress fails, and the queue flows on.
async fn poison(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(1).await;
    let (mut after, mut blamed) = (None, Vec::new());
    for _ in 0..3 {
        let mut hand = Hand::start_blaming(fresh, 1, after, &blamed).await;
        assert_eq!(hand.next().await.attempt.job, id);
        (after, blamed) = (Some(hand.lease), vec![(id, 0)]);
    }
    let mut hand = Hand::start_blaming(fresh, 1, after, &blamed).await;
    assert_eq!(bench.states(id).await, (State::Failed, vec![State::Failed]));
    let error = bench.images(id).await[0].error.clone().unwrap();
    assert!(error.contains("its worker died 3 times"), "{error}");
    let next = bench.ask(1).await;
    assert_eq!(hand.next().await.attempt.job, next);
}

/// An image that River has lost is found by the next heartbeat.
async fn stranded(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let id = bench.ask(1).await;
    // River thinks that it has ended; the record says that it runs.
    hand.next().await.end(Verdict::Ended);
    let claimed = hand.next().await;
    assert_eq!(claimed.attempt.job, id);
    claimed.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// What was in hand beside an image that kills its worker does not fail with it.
async fn poison_amid_others(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.ask(1).await);
    }
    let poison = ids[0];
    let mut hand = Hand::start(fresh, 4).await;
    // All are in hand at the first death, and one was being computed.
    let mut claimed = Vec::new();
    for _ in 0..4 {
        claimed.push(hand.next().await);
    }
    for _ in 0..2 {
        hand = Hand::start_blaming(fresh, 4, Some(hand.lease), &[(poison, 0)]).await;
        let mut next = hand.next().await;
        while next.attempt.job != poison {
            next.publish().await;
            next = hand.next().await;
        }
        assert!(hand.try_next().is_none(), "it is worked alone");
    }
    let mut hand = Hand::start_blaming(fresh, 4, Some(hand.lease), &[(poison, 0)]).await;
    assert_eq!(bench.job(poison).await.state, State::Failed);
    for id in &ids[1..] {
        while bench.job(*id).await.state != State::Succeeded {
            hand.next().await.publish().await;
        }
    }
}

/// An image that has come further than when its worker died holds up no other.
async fn progress_ends_suspicion(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let id = bench.ask(1).await;
    let mut hand = Hand::start(fresh, 2).await;
    hand.next().await;
    hand = Hand::start_blaming(fresh, 2, Some(hand.lease), &[(id, 0)]).await;
    let suspect = hand.next().await;
    assert_eq!(suspect.attempt.job, id);
    let other = bench.ask(1).await;
    assert!(hand.try_next().is_none(), "it is worked alone");
    suspect.attempt.saved(3).await.unwrap();
    let beside = hand.next().await;
    assert_eq!(beside.attempt.job, other);
    beside.publish().await;
    suspect.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// Images that nobody was computing are not to blame, however often their workers die.
#[tokio::test]
async fn deaths_count_against_nobody_else() {
    let fresh = Fresh::sqlite().await;
    let bench = Bench::new(&fresh).await;
    let id = bench.ask(1).await;
    for _ in 0..5 {
        let mut hand = Hand::start(&fresh, 1).await;
        assert_eq!(hand.next().await.attempt.job, id);
    }
    Hand::start(&fresh, 1).await.next().await.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// A worker may die between River's claim and ours.
async fn claimed_but_never_begun(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let lost = Hand::start(fresh, 1).await;
    // From now on its claims do not begin.
    let heir = Lease::take(&fresh.database, Uuid::new_v4(), Some(lost.lease), &[]).await.unwrap();
    let id = bench.ask(1).await;
    lost.worker.wake();
    lost.worker.lost().cancelled().await;
    assert_eq!(bench.states(id).await, (State::Queued, vec![State::Queued]));
    let mut hand = Hand::start_after(fresh, 1, Some(heir.id())).await;
    hand.next().await.publish().await;
    assert_eq!(bench.states(id).await, (State::Succeeded, vec![State::Succeeded]));
}

/// With no message of a death, silence tells; an outage of the database is no silence.
#[tokio::test]
async fn silence_tells() {
    let Some(server) = Postgres::start() else { return };
    let location = server.location().await;
    let database = diffusion_jobs::Database::open(&location).await.unwrap();
    let silent = Lease::take(&database, Uuid::new_v4(), None, &[]).await.unwrap();
    let mut watcher = Lease::take(&database, Uuid::new_v4(), None, &[]).await.unwrap();
    for _ in 0..SILENT_LOOKS {
        watcher.look().await.unwrap();
    }
    assert!(silent.beat().await.unwrap(), "it spoke in time");
    for _ in 0..SILENT_LOOKS {
        watcher.look().await.unwrap();
    }
    server.crash();
    assert!(watcher.look().await.is_err());
    server.resume();
    // The pool replaces its broken connections one by one.
    while let Err(error) = watcher.look().await {
        assert!(error.is_outage(), "{error:?}");
    }
    assert!(silent.beat().await.unwrap(), "looks that failed do not count");
    for _ in 0..=SILENT_LOOKS {
        watcher.look().await.unwrap();
    }
    assert!(!silent.beat().await.unwrap());
    assert!(watcher.beat().await.unwrap());
}

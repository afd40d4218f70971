//! In which order images are taken.

use diffusion_jobs::{Priority, State};
use uuid::Uuid;

use crate::bench::{Bench, Hand};
use crate::support::{Fresh, on_both};

on_both!(
    owners_take_turns,
    ones_own_priorities,
    priority_takes_no_turn_of_others,
    a_free_place_for_the_newcomer,
    what_was_begun_keeps_its_turn,
);

async fn owners_take_turns(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let [a, b, other] = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    bench.ask_as(Some(other), Priority::Normal, 1).await;
    bench.ask_as(Some(a), Priority::Normal, 8).await;
    bench.ask_as(Some(b), Priority::Normal, 3).await;
    let mut hand = Hand::start(fresh, 1).await;
    // First images have a lane of their own, whose one place is held here: what is left is one
    // lane, in one order.
    let mut held = Vec::new();
    let mut order = String::new();
    while order.len() < 9 {
        let claimed = hand.next().await;
        if claimed.attempt.owner == Some(other) {
            held.push(claimed);
            continue;
        }
        order.push(if claimed.attempt.owner == Some(a) { 'a' } else { 'b' });
        claimed.publish().await;
    }
    assert_eq!(order, "ababaaaaa");
}

/// By priority, and among equals by age, however they were asked for.
async fn ones_own_priorities(fresh: &Fresh) {
    use Priority::{High, Low, Normal};
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    // The first image has a lane of its own, whose place it holds.
    let held = bench.ask(1).await;
    let first = hand.next().await;
    assert_eq!(first.attempt.job, held);
    let mut asked = Vec::new();
    for priority in [Low, Normal, High, Low, High, Normal, Low] {
        asked.push((priority, bench.ask_as(None, priority, 2).await));
    }
    asked.sort();
    let mut asked: Vec<_> = asked.into_iter().flat_map(|(_, job)| [(job, 0), (job, 1)]).collect();
    // The worker's other place may have been taken by the one that was asked for first.
    let mut made = Vec::new();
    while made.len() < asked.len() {
        let claimed = hand.next().await;
        made.push((claimed.attempt.job, claimed.attempt.index));
        claimed.publish().await;
    }
    let early = made.remove(0);
    asked.retain(|image| *image != early);
    assert_eq!(made, asked);
    first.publish().await;
}

/// What is urgent to one owner takes no turn of another.
async fn priority_takes_no_turn_of_others(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let [a, b, other] = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    bench.ask_as(Some(other), Priority::Normal, 1).await;
    bench.ask_as(Some(a), Priority::Low, 4).await;
    bench.ask_as(Some(b), Priority::Normal, 3).await;
    bench.ask_as(Some(a), Priority::High, 2).await;
    let mut hand = Hand::start(fresh, 1).await;
    // As above, the lane of first images is held: there is one lane, in one order.
    let mut held = Vec::new();
    let mut order = String::new();
    while order.len() < 7 {
        let claimed = hand.next().await;
        if claimed.attempt.owner == Some(other) {
            held.push(claimed);
            continue;
        }
        order.push(match (claimed.attempt.owner == Some(a), claimed.attempt.priority) {
            (true, Priority::High) => 'A',
            (true, _) => 'a',
            (false, _) => 'b',
        });
        claimed.publish().await;
    }
    // Others' turns come as if nothing were urgent.
    assert_eq!(order, "AbAbaaa");
}

/// An image that was begun goes on in its own turn, whatever is urgent.
async fn what_was_begun_keeps_its_turn(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let mut hand = Hand::start(fresh, 1).await;
    let begun = bench.ask_as(None, Priority::Low, 1).await;
    assert_eq!(hand.next().await.attempt.job, begun);
    hand.worker.stop_claiming();
    let urgent = bench.ask_as(None, Priority::High, 3).await;
    let mut heir = Hand::start_after(fresh, 1, Some(hand.lease)).await;
    let (first, second) = (heir.next().await, heir.next().await);
    let mut jobs = [first.attempt.job, second.attempt.job];
    jobs.sort();
    assert_eq!(jobs, [begun, urgent], "one of each lane");
}

/// Whoever has nothing outstanding finds a place, though another's images hold all the others.
async fn a_free_place_for_the_newcomer(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let [a, b] = [Uuid::new_v4(), Uuid::new_v4()];
    let mut hand = Hand::start(fresh, 2).await;
    bench.ask_as(Some(a), Priority::Normal, 20).await;
    let held = [hand.next().await, hand.next().await, hand.next().await];
    assert!(held.iter().all(|claimed| claimed.attempt.owner == Some(a)));
    bench.ask_as(Some(b), Priority::Normal, 1).await;
    let claimed = hand.next().await;
    assert_eq!(claimed.attempt.owner, Some(b));
}

/// Workers that exchange turns of the same images at the same time begin each image once.
#[tokio::test]
async fn exchanged_at_once() {
    use Priority::{High, Low, Normal};
    let Some(fresh) = Fresh::postgres().await else { return };
    let bench = Bench::new(&fresh).await;
    let mut asked = Vec::new();
    for priority in [Low, Normal, High, Low, High, Normal, Low, High] {
        let job = bench.ask_as(None, priority, 4).await;
        asked.extend((0..4).map(|index| (job, index)));
    }
    let (mut a, mut b) = (Hand::start(&fresh, 4).await, Hand::start(&fresh, 4).await);
    let mut made = Vec::new();
    while made.len() < asked.len() {
        let claimed = tokio::select! {
            claimed = a.next() => claimed,
            claimed = b.next() => claimed,
        };
        made.push((claimed.attempt.job, claimed.attempt.index));
        claimed.publish().await;
    }
    made.sort();
    asked.sort();
    assert_eq!(made, asked);
    for (job, _) in asked {
        assert_eq!(bench.job(job).await.state, State::Succeeded);
    }
}

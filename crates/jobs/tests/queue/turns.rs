//! In which order images are taken.

use diffusion_jobs::Priority;
use uuid::Uuid;

use crate::bench::{Bench, Hand};
use crate::support::{Fresh, on_both};

on_both!(owners_take_turns, ones_own_priorities, a_free_place_for_the_newcomer);

async fn owners_take_turns(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let [a, b] = [Uuid::new_v4(), Uuid::new_v4()];
    bench.ask_as(Some(a), Priority::Normal, 8).await;
    bench.ask_as(Some(b), Priority::Normal, 3).await;
    let mut hand = Hand::start(fresh, 1).await;
    // Their first images have a lane of their own, whose one place is held here: what is left is
    // one lane, in one order.
    let mut held = Vec::new();
    let mut order = String::new();
    while order.len() < 9 {
        let claimed = hand.next().await;
        if claimed.attempt.index == 0 {
            held.push(claimed);
            continue;
        }
        order.push(if claimed.attempt.owner == Some(a) { 'a' } else { 'b' });
        claimed.publish().await;
    }
    assert_eq!(order, "ababaaaaa");
}

async fn ones_own_priorities(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let low = bench.ask_as(None, Priority::Low, 3).await;
    let high = bench.ask_as(None, Priority::High, 1).await;
    let mut hand = Hand::start(fresh, 1).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let claimed = hand.next().await;
        jobs.push(claimed.attempt.job);
        claimed.publish().await;
    }
    assert!(jobs[..2].contains(&high), "{jobs:?}");
    assert_eq!(jobs.iter().filter(|job| **job == low).count(), 3);
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

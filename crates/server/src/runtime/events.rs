//! The events of one task, from the device thread to the one who waits for them.
//!
//! Sending never blocks and never queues: each kind of event has one place, and what was not read
//! in time gives way to what is newer. So memory is bounded however slow the reader is, and the
//! end of the task cannot be lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::task::{Event, Outcome};

/// The receiving end. Dropping it gives the task up.
#[derive(Debug)]
pub(crate) struct Events(Arc<Shared>);

/// The sending end. Dropping it without an outcome suspends the task.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    places: Mutex<Places>,
    changed: Notify,
}

/// In the order in which they are read.
#[derive(Debug, Default)]
struct Places {
    begun: Option<Event>,
    step: Option<Event>,
    preview: Option<Event>,
    checkpoint: Option<Event>,
    finished: Option<Event>,
    /// There will be no more events.
    ended: bool,
    /// Nobody reads any more.
    abandoned: bool,
}

pub(super) fn channel() -> (Sender, Events) {
    let shared = Arc::<Shared>::default();
    (Sender(shared.clone()), Events(shared))
}

impl Shared {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// The next event; `None` after [`Event::Finished`]. Nothing is lost when it is dropped
    /// before it is ready.
    pub(crate) async fn recv(&mut self) -> Option<Event> {
        loop {
            {
                let mut places = self.0.places();
                let Places { begun, step, preview, checkpoint, finished, .. } = &mut *places;
                let next = [begun, step, preview, checkpoint, finished];
                if let Some(event) = next.into_iter().find_map(Option::take) {
                    return Some(event);
                }
                if places.ended {
                    return None;
                }
            }
            // A change since then has left its mark, so that none is missed.
            self.0.changed.notified().await;
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.places().abandoned = true;
    }
}

impl Sender {
    /// Puts an event in its place.
    pub(super) fn send(&self, event: Event) {
        let mut places = self.0.places();
        if places.ended || places.abandoned {
            return;
        }
        let place = match event {
            Event::Begun { .. } => &mut places.begun,
            Event::Step { .. } => &mut places.step,
            Event::Preview(_) => &mut places.preview,
            Event::Checkpoint { .. } => &mut places.checkpoint,
            Event::Finished(_) => &mut places.finished,
        };
        *place = Some(event);
        places.ended = places.finished.is_some();
        drop(places);
        self.0.changed.notify_one();
    }

    /// Ends the task.
    pub(super) fn finish(self, outcome: Outcome) {
        self.send(Event::Finished(outcome));
    }

    /// Whether nobody reads any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.places().abandoned
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Without effect after an outcome.
        self.send(Event::Finished(Outcome::Suspended(None)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(done: usize) -> Event {
        Event::Step { done, total: 9, seconds: 0.0 }
    }

    #[tokio::test]
    async fn unread_progress_gives_way_and_the_end_comes_last() {
        let (sender, mut events) = channel();
        for done in 1..=5 {
            sender.send(step(done));
        }
        sender.send(Event::Begun { done: 0, total: 9, warnings: Vec::new() });
        sender.finish(Outcome::Cancelled);
        assert!(matches!(events.recv().await, Some(Event::Begun { .. })));
        assert!(matches!(events.recv().await, Some(Event::Step { done: 5, .. })));
        assert!(matches!(events.recv().await, Some(Event::Finished(Outcome::Cancelled))));
        assert!(events.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_is_woken_and_a_lost_sender_suspends() {
        let (sender, mut events) = channel();
        let reader = tokio::spawn(async move {
            let first = events.recv().await;
            (first, events.recv().await, events.recv().await)
        });
        sender.send(step(1));
        tokio::task::yield_now().await;
        drop(sender);
        let (first, second, third) = reader.await.unwrap();
        assert!(matches!(first, Some(Event::Step { done: 1, .. })));
        assert!(matches!(second, Some(Event::Finished(Outcome::Suspended(None)))));
        assert!(third.is_none());
    }

    #[test]
    fn a_dropped_reader_is_seen() {
        let (sender, events) = channel();
        assert!(!sender.is_abandoned());
        drop(events);
        assert!(sender.is_abandoned());
    }
}

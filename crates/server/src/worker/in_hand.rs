//! The jobs of which this worker has images in hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Counts attempts by job, so that all of a job can be cancelled, and so that the end of all can be
/// waited for.
#[derive(Debug, Clone)]
pub(super) struct InHand(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    jobs: Mutex<HashMap<Uuid, (CancellationToken, usize)>>,
    count: watch::Sender<usize>,
}

/// One attempt in hand, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: InHand,
    job: Uuid,
    /// Fires when its job is cancelled.
    pub(super) cancelled: CancellationToken,
}

impl InHand {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner { jobs: Mutex::default(), count: watch::Sender::new(0) }))
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<Uuid, (CancellationToken, usize)>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an attempt of a job in hand.
    pub(super) fn take(&self, job: Uuid) -> Held {
        let mut jobs = self.jobs();
        let (cancelled, count) = jobs.entry(job).or_default();
        *count += 1;
        self.0.count.send_modify(|count| *count += 1);
        Held { all: self.clone(), job, cancelled: cancelled.clone() }
    }

    /// Cancels what is in hand of a job.
    pub(super) fn cancel(&self, job: Uuid) {
        if let Some((cancelled, _)) = self.jobs().get(&job) {
            cancelled.cancel();
        }
    }

    /// Returns once nothing is in hand.
    pub(super) async fn empty(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut jobs = self.all.jobs();
        if let Some((_, count)) = jobs.get_mut(&self.job) {
            *count -= 1;
            if *count == 0 {
                jobs.remove(&self.job);
            }
        }
        drop(jobs);
        self.all.0.count.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_of_a_job_is_cancelled_and_nothing_else() {
        let all = InHand::new();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let held = [all.take(a), all.take(a), all.take(b)];
        all.cancel(a);
        all.cancel(Uuid::from_u128(3));
        assert_eq!(held.each_ref().map(|held| held.cancelled.is_cancelled()), [true, true, false]);
        drop(held);
        all.empty().await;
        assert!(!all.take(a).cancelled.is_cancelled(), "a job may be tried again");
    }
}

//! Jobs as they run: progress and previews that are shown and never stored, and the news that the
//! record of a job has changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

/// What is known of one job's images in flight.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// By their place in the job.
    pub(crate) images: BTreeMap<i32, Progress>,
    /// Grows when the job's record has changed.
    pub(crate) changes: u64,
}

/// How far an image is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// UNet evaluations done.
    pub(crate) done: usize,
    /// Those that there are in all.
    pub(crate) total: usize,
    /// The device's time for it so far.
    pub(crate) seconds: f64,
    /// The latest preview: a PNG in base64.
    pub(crate) preview: Option<Arc<str>>,
}

/// All jobs that run or are looked at.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<Jobs>);

#[derive(Debug, Default)]
struct Jobs {
    views: HashMap<Uuid, (watch::Sender<View>, Instant)>,
    swept: Option<Instant>,
}

/// What nobody looks at is forgotten after this time without news.
const FORGOTTEN: Duration = Duration::from_secs(300);

impl Live {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn modify(&self, job: Uuid, change: impl FnOnce(&mut View)) {
        let now = Instant::now();
        let mut jobs = self.jobs();
        let (view, news) = jobs.views.entry(job).or_insert_with(|| (watch::Sender::default(), now));
        *news = now;
        view.send_modify(change);
        if jobs.swept.is_none_or(|swept| now.duration_since(swept) > FORGOTTEN) {
            jobs.swept = Some(now);
            jobs.views.retain(|_, (view, news)| {
                view.receiver_count() > 0 || now.duration_since(*news) <= FORGOTTEN
            });
        }
    }

    /// The record of a job has changed.
    pub(crate) fn changed(&self, job: Uuid) {
        self.modify(job, |view| view.changes += 1);
    }

    /// An image has ended: nothing is shown of its making any more.
    pub(crate) fn ended(&self, job: Uuid, index: i32) {
        self.modify(job, |view| {
            view.images.remove(&index);
            view.changes += 1;
        });
    }

    /// An image has made a step.
    pub(crate) fn step(&self, job: Uuid, index: i32, done: usize, total: usize, seconds: f64) {
        self.modify(job, |view| {
            let progress = view.images.entry(index).or_default();
            (progress.done, progress.total, progress.seconds) = (done, total, seconds);
        });
    }

    /// There is a picture of an unfinished image.
    pub(crate) fn preview(&self, job: Uuid, index: i32, png: String) {
        self.modify(job, |view| view.images.entry(index).or_default().preview = Some(png.into()));
    }

    /// What is known of a job now.
    pub(crate) fn view(&self, job: Uuid) -> View {
        self.jobs().views.get(&job).map(|(view, _)| view.borrow().clone()).unwrap_or_default()
    }

    /// Follows a job: a slow reader misses what is in between, and never the latest.
    pub(crate) fn follow(&self, job: Uuid) -> watch::Receiver<View> {
        let mut jobs = self.jobs();
        let now = Instant::now();
        jobs.views.entry(job).or_insert_with(|| (watch::Sender::default(), now)).0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_follows_sees_the_latest() {
        let live = Live::default();
        let job = Uuid::nil();
        let mut followed = live.follow(job);
        live.step(job, 0, 1, 4, 0.1);
        live.step(job, 0, 2, 4, 0.2);
        live.preview(job, 0, "png".into());
        live.changed(job);
        followed.changed().await.unwrap();
        let view = followed.borrow_and_update().clone();
        assert_eq!((view.images[&0].done, view.changes), (2, 1));
        assert_eq!(view.images[&0].preview.as_deref(), Some("png"));
        assert!(!followed.has_changed().unwrap());
        live.ended(job, 0);
        assert_eq!((live.view(job).images.len(), live.view(job).changes), (0, 2));
        assert_eq!(live.view(Uuid::from_u128(1)).images.len(), 0);
    }
}

//! Answers that are remembered for a moment: who asks often costs no more than who asks seldom.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Problem, Result};

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(1);

/// The last answer, if there is one.
pub(crate) struct Recent<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Recent<T> {
    /// The last answer where it is recent, else what `look` finds. One looks at a time, to its end
    /// even if nobody waits for it any more, and those who ask meanwhile get the same answer.
    ///
    /// # Errors
    /// 500: `look` panicked.
    pub(super) async fn get(&self, look: impl Future<Output = T> + Send + 'static) -> Result<T> {
        let mut last = self.0.clone().lock_owned().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < HOLDS
        {
            return Ok(answer.clone());
        }
        let looked = tokio::spawn(async move {
            let answer = look.await;
            *last = Some((Instant::now(), answer.clone()));
            answer
        });
        looked.await.map_err(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_often_gets_the_same_answer() {
        let recent = Recent::default();
        let looks = Arc::new(AtomicU32::new(0));
        let ask = || {
            let looks = looks.clone();
            recent.get(async move {
                tokio::time::sleep(HOLDS / 2).await;
                looks.fetch_add(1, Ordering::Relaxed) + 1
            })
        };
        // Whoever asks first goes away at once.
        assert!(futures_util::poll!(Box::pin(ask())).is_pending());
        let answers = futures_util::future::join_all((0..9).map(|_| ask())).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 1));
        tokio::time::advance(HOLDS).await;
        assert_eq!(ask().await.unwrap(), 2);
    }
}

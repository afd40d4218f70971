//! Places for those who decode and encode pictures: each takes a processor from the models, and as
//! much memory as the limits of decoding let it.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Pictures that are in work at once.
static PLACES: Semaphore = Semaphore::const_new(2);

/// A place, once there is one. It is held by the work itself: that goes on when nobody waits for it
/// any more.
pub(crate) async fn place() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    PLACES.acquire().await.ok()
}

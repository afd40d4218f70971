//! What the server and its worker process tell each other: one JSON object a line, over the
//! worker's standard input and output.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// From the server to its worker. The end of the stream means [`ToWorker::Stop`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToWorker {
    /// The first message.
    Start {
        /// The lease that the worker is to take.
        lease: Uuid,
        /// The lease of the process whose place it takes.
        after: Option<Uuid>,
    },
    /// The queue has something new.
    Wake,
    /// A job was cancelled.
    Cancel(Uuid),
    /// Finish or write out what runs, and end.
    Stop,
}

/// From a worker to its server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FromWorker {
    /// It claims images from now on.
    Ready,
    /// It lives.
    Alive,
    /// An image was begun or ended: its job's record has changed.
    Changed(Uuid),
    /// An image has left the worker.
    Ended { job: Uuid, index: i32 },
    /// UNet evaluations of an image.
    Step {
        job: Uuid,
        index: i32,
        done: usize,
        total: usize,
        /// The device's time for it so far.
        seconds: f64,
    },
    /// An image as it forms: a small PNG in base64.
    Preview { job: Uuid, index: i32, png: String },
    /// An image was made, in so much of the device's time.
    Made { seconds: f64 },
    /// What the device does, for the metrics.
    Device(DeviceEvent),
}

/// What happens on the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeviceEvent {
    Step {
        model: String,
        batch: usize,
        seconds: f64,
    },
    Begin {
        model: String,
        seconds: f64,
    },
    Finish {
        model: String,
        seconds: f64,
    },
    Loaded {
        model: String,
        bytes: u64,
        seconds: f64,
    },
    Evicted {
        model: String,
    },
    LoadFailed {
        model: String,
    },
    Panicked {
        model: String,
        batch: usize,
    },
    Memory {
        used: u64,
        limit: Option<u64>,
    },
    Tasks {
        in_flight: usize,
        waiting: usize,
    },
    /// From the acceptance of a job to the first step of one of its images.
    Started {
        seconds: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let step = FromWorker::Step { job: Uuid::nil(), index: 1, done: 2, total: 3, seconds: 0.5 };
        let line = serde_json::to_string(&step).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<FromWorker>(&line).unwrap(), step);
        assert_eq!(serde_json::to_string(&ToWorker::Wake).unwrap(), "\"wake\"");
    }
}

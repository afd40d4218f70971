//! What `/metrics` shows. Names begin with `diffusion_server_` and carry their unit.
//!
//! A group of metrics is a struct whose fields are cheap handles; it registers itself when it is
//! made, and what happens elsewhere is set on its fields.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::device::Device;
use super::queue::Queue;

/// Every metric of the process.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    /// Traffic, errors and latency.
    pub(crate) http: Http,
    /// What waits and what is stored.
    pub(crate) queue: Queue,
    /// The worker and its device.
    pub(crate) device: Device,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("diffusion_server");
        let http = Http::new(&mut registry);
        let queue = Queue::new(&mut registry);
        let device = Device::new(&mut registry);
        Self { http, queue, device, registry: Arc::new(registry) }
    }

    /// The text that is scraped.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Metrics of requests.
#[derive(Clone)]
pub(crate) struct Http {
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
    method: String,
}

/// From what answers at once to calls that wait for many images.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

impl Http {
    fn new(registry: &mut Registry) -> Self {
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register(
            "http_request_seconds",
            "Time from a request's headers to its answer's",
            seconds.clone(),
        );
        Self { requests, seconds }
    }

    /// Counts an answer. `route` is a pattern of the URL map, so that there are only so many.
    pub(crate) fn observe(&self, route: &str, method: &str, status: u16, seconds: f64) {
        // Clients may invent methods.
        let known = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
        let method = if known.contains(&method) { method } else { "other" };
        let (route, method) = (route.to_owned(), method.to_owned());
        let label = Request { route: route.clone(), method: method.clone(), status };
        self.requests.get_or_create(&label).inc();
        self.seconds.get_or_create(&Route { route, method }).observe(seconds);
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_method_and_status() {
        let metrics = Metrics::new();
        metrics.http.observe("/api/v1/jobs/{id}", "GET", 404, 0.002);
        metrics.http.observe("/api/v1/jobs/{id}", "BREW", 405, 0.002);
        let text = metrics.encode().unwrap();
        let counted = |method: &str, status: u16| {
            format!(
                "diffusion_server_http_requests_total{{route=\"/api/v1/jobs/{{id}}\",\
                 method=\"{method}\",status=\"{status}\"}} 1\n"
            )
        };
        assert!(text.contains(&counted("GET", 404)), "{text}");
        assert!(text.contains(&counted("other", 405)), "{text}");
        assert!(
            text.contains("diffusion_server_http_request_seconds_bucket{le=\"0.0025\""),
            "{text}"
        );
    }
}

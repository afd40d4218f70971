//! Traces, sent to an OpenTelemetry collector over OTLP (HTTP, protobuf).

use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use axum::http::{HeaderMap, Method, Request, Response};
use bytes::Bytes;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::config::SecretUrl;

/// What collects spans and sends them, from a thread of its own.
///
/// # Errors
/// The address is not one of plain HTTP. TLS is left to a collector beside the server.
pub(super) fn provider(endpoint: &SecretUrl) -> anyhow::Result<SdkTracerProvider> {
    let Some(host) = endpoint.expose().strip_prefix("http://") else {
        bail!(
            "telemetry.otlp_endpoint: {endpoint} is not of the form http://HOST:4318; where traces \
             leave the machine, let a collector beside the server send them on"
        );
    };
    let path = if host.trim_end_matches('/').contains('/') { "" } else { "/v1/traces" };
    let url = format!("{}{path}", endpoint.expose().trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new())
        .with_endpoint(url)
        .build()
        .context("telemetry.otlp_endpoint")?;
    let resource = Resource::builder()
        .with_service_name("diffusion-server")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// What turns our spans into those that are sent. Libraries' own are left out, and those of the
/// sending itself.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ours = ["diffusion_server", "diffusion_jobs", "diffusion_engine"];
    let ours = Targets::new().with_targets(ours.map(|target| (target, LevelFilter::INFO)));
    let tracer = provider.tracer("diffusion-server");
    tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)
}

/// Makes a request's span part of the trace that its headers name, if they name one
/// (`traceparent`), and names it as the conventions have it.
pub(crate) fn follow(span: &Span, headers: &HeaderMap, method: &Method, route: &str) {
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if context.has_active_span() {
        // Fails for a span that has begun its trace, which this one has not.
        let _ = span.set_parent(context);
    }
    span.record("otel.name", format!("{method} {route}"));
    span.record("otel.kind", "server");
}

/// Sends what is collected, on the collecting thread.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        Self(config.new_agent())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(64 << 10).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

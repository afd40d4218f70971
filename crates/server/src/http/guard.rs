//! The names under which a server without keys may be called.
//!
//! A page of another site may point a name of its own at this machine (DNS rebinding); to the
//! browser the server then belongs to that site. What gives it away is the `Host` header.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::cors::authority;
use super::{AppState, Problem};

/// The hosts that requests may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// Any: the server demands keys, which another site's page does not have.
    Any,
    /// Loopback names, the address that is listened at, and these.
    Known {
        /// Where the server listens.
        bound: IpAddr,
        /// Further names, in lower case.
        names: Vec<String>,
    },
}

impl Hosts {
    /// The hosts of a server without keys.
    pub(crate) fn known(bound: SocketAddr, names: &[String]) -> Self {
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self::Known { bound: bound.ip(), names }
    }

    /// Whether a request may name this host, without its port.
    fn allow(&self, host: &str) -> bool {
        let Self::Known { bound, names } = self else { return true };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host == "localhost" || host.ends_with(".localhost") || names.contains(&host) {
            return true;
        }
        // An address cannot be rebound: where every address of the machine is listened at, any
        // will do.
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| {
            address.is_loopback() || address == *bound || bound.is_unspecified()
        })
    }
}

/// Refuses requests that call the server by a name that is not its own.
pub(super) async fn check_host(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let called = authority(request.uri(), request.headers());
    let host = called.as_ref().map(|authority| authority.host()).unwrap_or_default();
    if state.hosts.allow(host) {
        return next.run(request).await;
    }
    let detail = format!(
        "this server is not to be called as {host:?}; if that is its name, add it to hosts in \
         [server] of its configuration (or DIFFUSION_SERVER_HOSTS)"
    );
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let hosts = Hosts::known("127.0.0.1:8000".parse().unwrap(), &["Gen.example".into()]);
        for host in ["localhost", "LOCALHOST.", "ui.localhost", "127.0.0.1", "[::1]", "gen.example"]
        {
            assert!(hosts.allow(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.nip.io"] {
            assert!(!hosts.allow(host), "{host}");
        }
        let everywhere = Hosts::known("0.0.0.0:8000".parse().unwrap(), &[]);
        assert!(everywhere.allow("10.0.0.1"));
        assert!(!everywhere.allow("evil.example"));
        assert!(Hosts::Any.allow("evil.example"));
    }
}

//! Who asks, and what they may do: a handler takes one of [`Read`], [`Generate`] and [`Admin`].

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use diffusion_jobs::keys::Scope;
use uuid::Uuid;

use super::{AppState, Problem};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The API key; none where the server demands none.
    pub(crate) owner: Option<Uuid>,
    /// Whether the owner may see and change what belongs to others.
    pub(crate) admin: bool,
}

/// Demands a key that may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read(pub(crate) Identity);

/// Demands a key that may make jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generate(pub(crate) Identity);

/// Demands a key that may change everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin(pub(crate) Identity);

macro_rules! demands {
    ($extractor:ident, $scope:expr, $make:expr) => {
        impl FromRequestParts<AppState> for $extractor {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                state: &AppState,
            ) -> Result<Self, Problem> {
                identify(&parts.headers, state, $scope).await.map($make)
            }
        }
    };
}

demands!(Read, Scope::Read, Self);
demands!(Generate, Scope::Generate, Self);
demands!(Admin, Scope::Admin, Self);

/// Who sent these headers, if they may do this.
///
/// # Errors
/// 401 without a key that holds, 403 where it allows less.
async fn identify(
    headers: &HeaderMap,
    state: &AppState,
    scope: Scope,
) -> Result<Identity, Problem> {
    if !state.keys_demanded {
        return Ok(Identity { owner: None, admin: true });
    }
    let secrets = credentials(headers);
    if secrets.is_empty() {
        return Err(unauthorized(
            "this server demands an API key: as Authorization: Bearer KEY, as the password of HTTP \
             Basic under any name, or as X-API-Key",
        ));
    }
    let mut found = None;
    for secret in secrets {
        found = state.keyring.find(&state.database, &secret).await?;
        if found.is_some() {
            break;
        }
    }
    let Some(key) = found else {
        return Err(unauthorized("the API key is not known here, or was revoked"));
    };
    if !key.allows(scope) {
        let detail = format!("the API key {:?} does not have the scope {scope}", key.name);
        return Err(
            Problem::new(StatusCode::FORBIDDEN, "scope", detail).with("scope", scope.name())
        );
    }
    if let Err(wait) = state.keyring.count(key.id) {
        let detail = format!(
            "the API key {:?} has sent more than {} requests in a minute",
            key.name, state.config.server.limits.requests_per_minute
        );
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", detail).retry_after(wait));
    }
    Ok(Identity { owner: Some(key.id), admin: key.allows(Scope::Admin) })
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "key", detail)
}

/// The keys among the headers: `X-API-Key: KEY`, and `Authorization: Bearer KEY` or
/// `Authorization: Basic …` with the key as the password. Some clients send one of them with
/// nothing or something else in it: the first that is known counts.
fn credentials(headers: &HeaderMap) -> Vec<String> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let own = text(HeaderName::from_static("x-api-key")).map(|key| key.trim().to_owned());
    let authorization = text(AUTHORIZATION).and_then(authorization);
    own.into_iter().chain(authorization).filter(|key| !key.is_empty()).collect()
}

fn authorization(text: &str) -> Option<String> {
    let (scheme, value) = text.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(value.into())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
        Some(pair.split_once(':')?.1.into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_any_header() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            credentials(&headers)
        };
        let key = ["dsk_1:2".to_owned()];
        assert_eq!(of("authorization", "Bearer dsk_1:2"), key);
        assert_eq!(of("authorization", "bearer  dsk_1:2 "), key);
        assert_eq!(of("x-api-key", "dsk_1:2"), key);
        let basic = format!("Basic {}", BASE64_STANDARD.encode("anyone:dsk_1:2"));
        assert_eq!(of("authorization", &basic), key);
        for other in ["", "Bearer", "Digest x", "Basic !", "Basic YQ=="] {
            assert!(of("authorization", other).is_empty(), "{other}");
        }
        assert!(credentials(&HeaderMap::new()).is_empty());
        let mut both = HeaderMap::new();
        both.insert("authorization", "Bearer b".parse().unwrap());
        both.insert("x-api-key", "".parse().unwrap());
        assert_eq!(credentials(&both), ["b"]);
        both.insert("x-api-key", "a".parse().unwrap());
        assert_eq!(credentials(&both), ["a", "b"]);
    }
}

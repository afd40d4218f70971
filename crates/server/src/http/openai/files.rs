//! Images by addresses that need no key: signed, and good for an hour.
//!
//! An address is what was given to whoever has it: revoking the API key that asked for the image
//! does not end it before its hour, deleting the job does.

use axum::extract::{OriginalUri, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::Utc;
use diffusion_jobs::artifacts::Kind;
use diffusion_jobs::{Database, Error};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use utoipa::IntoParams;
use uuid::Uuid;

use super::error::Refusals;
use crate::encode::Format;
use crate::http::convert::convert;
use crate::http::extract::{Path, Query};
use crate::http::{AppState, Problem, Result};

/// Seconds for which an address is good, as in OpenAI's API.
const LIFETIME: i64 = 3600;

/// The setting that holds the secret.
const SECRET: &str = "links-secret";

/// Signs addresses, with a secret that all servers over one database share.
#[derive(Clone)]
pub(crate) struct Links(Hmac<Sha256>);

/// A file that an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Linked {
    pub(super) job: Uuid,
    /// The image's place in the job.
    pub(super) index: i32,
    pub(super) format: Format,
    /// Of a format with loss, 0 to 100.
    pub(super) quality: u8,
}

impl Links {
    /// Reads the secret, which is made where there is none.
    ///
    /// # Errors
    /// The database.
    pub(crate) async fn open(database: &Database) -> diffusion_jobs::Result<Self> {
        // Of several servers that start at once, one makes it: 244 random bits.
        let made = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut secret = database.setting(SECRET).await?.unwrap_or_default();
        if secret.is_empty() {
            let keep = |before: &str| {
                secret = if before.is_empty() { made } else { before.to_owned() };
                Ok::<_, Error>(secret.clone())
            };
            database.change_setting(SECRET, keep).await?;
        }
        Self::new(secret.as_bytes())
    }

    fn new(secret: &[u8]) -> diffusion_jobs::Result<Self> {
        let key = Hmac::new_from_slice(secret);
        Ok(Self(key.map_err(|error| Error::Invalid(error.to_string()))?))
    }

    /// What the signature of an address is over.
    fn over(&self, file: Linked, expires: i64) -> Hmac<Sha256> {
        let Linked { job, index, format, quality } = file;
        let mut mac = self.0.clone();
        let text = format!("{job}/{index}.{}/{quality}/{expires}", format.ending());
        mac.update(text.as_bytes());
        mac
    }

    /// The address of a file, from the server's root, good from now on.
    pub(super) fn path(&self, file: Linked, now: i64) -> String {
        self.until(file, now + LIFETIME)
    }

    /// The address of a file that is good until then: the one form that it has.
    fn until(&self, file: Linked, expires: i64) -> String {
        let signature = self.over(file, expires).finalize().into_bytes();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let Linked { job, index, format, quality } = file;
        let ending = format.ending();
        format!(
            "/v1/images/files/{job}/{index}.{ending}?quality={quality}&expires={expires}\
             &signature={signature}"
        )
    }

    /// Whether an address, from the server's root, is that of a file and still good. The signatures
    /// are compared in constant time; the rest must be as it was signed, to the letter.
    ///
    /// # Errors
    /// 403 where it is not.
    fn check(&self, file: Linked, query: &Signed, address: &str, now: i64) -> Result<()> {
        let forged = || {
            let text = "the address of this image was changed, or is not one of this server's";
            Problem::new(StatusCode::FORBIDDEN, "invalid_signature", text)
        };
        let expires = query.expires.as_deref().and_then(|text| text.parse().ok());
        let expires = expires.ok_or_else(forged)?;
        let signature = query.signature.as_deref().unwrap_or_default();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| forged())?;
        self.over(file, expires).verify_slice(&signature).map_err(|_| forged())?;
        if address != self.until(file, expires) {
            return Err(forged());
        }
        if expires <= now {
            let text = "the address of this image has expired: it was good for an hour";
            return Err(Problem::new(StatusCode::FORBIDDEN, "url_expired", text));
        }
        Ok(())
    }
}

/// What an address carries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Signed {
    /// Of a format with loss, 0 to 100
    #[param(example = "100")]
    quality: Option<String>,
    /// Until when it is good, in seconds since 1970
    #[param(example = "1763838000")]
    expires: Option<String>,
    /// Over all of it
    signature: Option<String>,
}

/// An image by the URL that an answer gave
///
/// It needs no API key, and is good for an hour, also where the key that asked for it is revoked
/// meanwhile. Conversions of one job's images count as requests of an API key do.
#[utoipa::path(
    get,
    path = "/v1/images/files/{id}/{name}",
    operation_id = "openai_get_file",
    tag = "openai",
    security(()),
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("name" = String, Path, description = "The image's place in the job, and its format",
            example = "0.png"),
        Signed
    ),
    responses((status = 200, description = "The image", content_type = "image/png"), Refusals)
)]
pub(super) async fn file(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path((job, name)): Path<(Uuid, String)>,
    Query(query): Query<Signed>,
) -> Result<impl IntoResponse> {
    let none = || Problem::not_found(format!("job {job} has no file {name:?}"));
    let (index, ending) = name.split_once('.').ok_or_else(none)?;
    let index = index.parse().map_err(|_| none())?;
    let format = Format::named(ending).ok_or_else(none)?;
    let quality = query.quality.as_deref().and_then(|text| text.parse().ok()).unwrap_or(100);
    let file = Linked { job, index, format, quality };
    let now = Utc::now().timestamp();
    let address = uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    state.links.check(file, &query, address, now)?;
    let image = state.database.job_image(job, index).await?;
    if state.keys_demanded
        && format != Format::Png
        && let Err(wait) = state.keyring.count(job)
    {
        let text = format!("the images of job {job} were asked for too often in a minute");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", text).retry_after(wait));
    }
    let hash = image.sha256.ok_or_else(none)?;
    let bytes = read(&state, &hash, format, quality).await?;
    let headers = [
        (CONTENT_TYPE, format.media_type().to_owned()),
        (CACHE_CONTROL, format!("private, max-age={LIFETIME}, immutable")),
    ];
    Ok((headers, bytes))
}

/// A stored image in a format.
///
/// # Errors
/// It is not there any more, or cannot be encoded; storage.
pub(super) async fn read(
    state: &AppState,
    sha256: &str,
    format: Format,
    quality: u8,
) -> Result<Bytes> {
    convert(state.artifacts.get(Kind::Image, sha256).await?, format, quality).await
}

/// How the client called this server, as far as it can be known: `https://images.example`, behind
/// proxies that say so in `X-Forwarded-Proto` and `X-Forwarded-Host`; else by the request's own
/// host. What the headers say is taken from whoever sends it: it decides nothing but the addresses
/// in that client's own answer. A host that is not plainly one is passed over.
pub(super) fn origin(OriginalUri(uri): &OriginalUri, headers: &HeaderMap) -> String {
    let first = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let host =
        |text: &str| text.parse::<Authority>().ok().filter(|host| host.as_str().bytes().all(plain));
    let named = first("x-forwarded-host").and_then(host);
    let called = named.or_else(|| uri.authority().cloned());
    let called = called.or_else(|| host(headers.get(HOST)?.to_str().ok()?));
    let scheme = match first("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    called.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: Linked =
        Linked { job: Uuid::from_u128(7), index: 0, format: Format::Png, quality: 100 };

    /// What the address of a file carries.
    fn query(path: &str) -> Signed {
        let (_, query) = path.split_once('?').unwrap();
        serde_urlencoded::from_str(query).unwrap()
    }

    #[test]
    fn an_address_is_good_for_its_file_until_it_expires() {
        let links = Links::new(b"secret").unwrap();
        let path = links.path(FILE, 1000);
        let signed = query(&path);
        assert!(path.starts_with(&format!("/v1/images/files/{}/0.png?", FILE.job)));
        links.check(FILE, &signed, &path, 1000).unwrap();
        links.check(FILE, &signed, &path, 1000 + LIFETIME - 1).unwrap();
        let late = links.check(FILE, &signed, &path, 1000 + LIFETIME).unwrap_err();
        assert_eq!((late.status().as_u16(), late.told().kind), (403, "url_expired"));
        for other in [
            Linked { job: Uuid::from_u128(8), ..FILE },
            Linked { index: 1, ..FILE },
            Linked { format: Format::Jpeg, ..FILE },
            Linked { quality: 1, ..FILE },
        ] {
            let forged = links.check(other, &signed, &path, 1000).unwrap_err();
            assert_eq!((forged.status().as_u16(), forged.told().kind), (403, "invalid_signature"));
        }
        for written in [path.replace("=100&", "=0100&"), format!("{path}&more=1")] {
            let forged = links.check(FILE, &signed, &written, 1000).unwrap_err();
            assert_eq!(forged.told().kind, "invalid_signature", "{written}");
        }
        let stranger = Links::new(b"other").unwrap();
        assert!(stranger.check(FILE, &signed, &path, 1000).is_err());
    }

    #[tokio::test]
    async fn the_secret_stays() {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().join("server.db");
        let location = diffusion_jobs::database::Location::Sqlite(location);
        let database = Database::open(&location).await.unwrap();
        let path = Links::open(&database).await.unwrap().path(FILE, 0);
        assert_eq!(Links::open(&database).await.unwrap().path(FILE, 0), path);
        let other = tempfile::tempdir().unwrap();
        let other = diffusion_jobs::database::Location::Sqlite(other.path().join("server.db"));
        let database = Database::open(&other).await.unwrap();
        assert_ne!(Links::open(&database).await.unwrap().path(FILE, 0), path);
    }

    #[test]
    fn addresses_begin_as_the_client_called_the_server() {
        let origin = |uri: &str, headers: &[(&'static str, &str)]| {
            let pairs = headers.iter().map(|(name, value)| {
                (axum::http::HeaderName::from_static(name), value.parse().unwrap())
            });
            let uri: axum::http::Uri = uri.parse().unwrap();
            super::origin(&OriginalUri(uri), &pairs.collect())
        };
        let host = ("host", "images.example:8000");
        assert_eq!(origin("/v1", &[host]), "http://images.example:8000");
        assert_eq!(origin("http://two.example/v1", &[]), "http://two.example");
        let proxied =
            [host, ("x-forwarded-proto", "https, http"), ("x-forwarded-host", "out.example")];
        assert_eq!(origin("/v1", &proxied), "https://out.example");
        for named in ["a b/\"><", "user@evil.example", "images.example@evil.example", "a'b", "%41"]
        {
            let nonsense = [host, ("x-forwarded-proto", "javascript"), ("x-forwarded-host", named)];
            assert_eq!(origin("/v1", &nonsense), "http://images.example:8000", "{named}");
        }
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_signature(
            expires in "[0-9]{1,20}|\\PC{0,20}",
            signature in "[A-Za-z0-9_-]{43}|\\PC{0,60}",
        ) {
            let links = Links::new(b"secret").unwrap();
            let signed =
                Signed { quality: None, expires: Some(expires), signature: Some(signature) };
            prop_assert!(links.check(FILE, &signed, "", 0).is_err());
        }
    }
}

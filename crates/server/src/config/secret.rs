//! URLs that may hold a password.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A URL that may hold a password: wherever it is shown, the password is not.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretUrl(String);

impl SecretUrl {
    /// The whole of it, for whom it is meant.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = match self.0.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), self.0.as_str()),
        };
        f.write_str(&scheme)?;
        // A password that is not escaped may hold any of the signs that end it: all before the last
        // @ is taken for it.
        let rest = match rest.rsplit_once('@') {
            Some((user, rest)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{user}:***@")?;
                rest
            }
            None => rest,
        };
        match rest.split_once('?') {
            Some((rest, _)) => write!(f, "{rest}?***"),
            None => f.write_str(rest),
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let shown = |text: &str| format!("{:?}", SecretUrl(text.into()));
        assert_eq!(shown("postgres://me:secret@host:1/db"), "postgres://me:***@host:1/db");
        assert_eq!(shown("postgres://me:a/b@c@host/db"), "postgres://me:***@host/db");
        assert_eq!(shown("postgres://host/db?password=secret"), "postgres://host/db?***");
        assert_eq!(shown("me:secret@host"), "me:***@host");
        assert_eq!(shown("sqlite:///a/b.db"), "sqlite:///a/b.db");
    }
}

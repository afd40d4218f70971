//! The URLs of databases.

#![no_main]

use diffusion_jobs::database::Location;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|url: &str| {
    let Ok(location) = url.parse::<Location>() else { return };
    let shown = location.shown();
    if let Location::Sqlite(path) = &location {
        let again = shown.parse();
        assert!(matches!(again, Ok(Location::Sqlite(again)) if again == *path), "{shown}");
    }
    let _ = format!("{location:?}");
});

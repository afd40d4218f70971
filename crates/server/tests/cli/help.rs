//! What the program says of itself.

use crate::support::Place;

const COMMANDS: [&str; 13] = [
    "run", "generate", "models", "images", "info", "loaddata", "dumpdata", "serve", "config",
    "keys", "jobs", "backup", "restore",
];

#[test]
fn every_command_shows_examples() {
    let place = Place::new();
    for command in COMMANDS {
        let help = place.execute(&[command, "--help"]).succeeded().stdout;
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        let start = format!("  diffusion-server {command}");
        assert!(examples.lines().filter(|line| line.starts_with(&start)).count() >= 2, "{help}");
    }
}

#[test]
fn the_commands_are_listed() {
    let place = Place::new();
    let help = place.execute(&["--help"]).succeeded().stdout;
    for command in COMMANDS {
        let listed = help.lines().any(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(listed, "{command} is not in\n{help}");
    }
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let listed = listed.lines().take_while(|line| !line.is_empty());
    assert_eq!(listed.count(), COMMANDS.len() + 1, "these and help: {help}");
    let version = place.execute(&["--version"]).succeeded().stdout;
    assert_eq!(version, concat!("diffusion-server ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_a_command_there_is_help_and_no_success() {
    let outcome = Place::new().execute(&[]).ended(2);
    assert!(outcome.stderr.contains("Usage: diffusion-server"), "{}", outcome.stderr);
}

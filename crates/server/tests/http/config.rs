use std::fs;

use crate::support::{Data, Server, execute};

#[test]
fn what_is_in_force_is_printed_with_its_source() {
    let data = Data::new();
    let file = data.path().join("config.toml");
    fs::write(
        &file,
        "[server]\nbind = '127.0.0.1:1'\nhosts = ['a.example']\n[engine]\nthreads = 3\n",
    )
    .unwrap();
    let variables = [
        ("DIFFUSION_SERVER_DATA", data.as_str()),
        ("DIFFUSION_SERVER_THREADS", "5"),
        ("DIFFUSION_SERVER_DATABASE", "postgres://me:secret@host/db"),
    ];
    let output = execute(&["config", "--bind", "127.0.0.1:2"], &variables);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}: {printed}")).split_once('#').unwrap()
    };
    let (value, whence) = line("server.bind");
    assert_eq!((value.trim(), whence.trim()), ("server.bind = \"127.0.0.1:2\"", "--bind"));
    let (value, whence) = line("server.hosts");
    assert_eq!(
        (value.trim(), whence.trim()),
        ("server.hosts = [\"a.example\"]", file.to_str().unwrap())
    );
    let (value, whence) = line("engine.threads");
    assert_eq!((value.trim(), whence.trim()), ("engine.threads = 5", "DIFFUSION_SERVER_THREADS"));
    let (value, _) = line("storage.database");
    assert_eq!(value.trim(), "storage.database = \"postgres://me:***@host/db\"");
    assert!(!printed.contains("secret"), "{printed}");
    let (_, whence) = line("server.limits.connections");
    assert_eq!(whence.trim(), "default; DIFFUSION_SERVER_CONNECTIONS");
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    let data = Data::new();
    let file = data.path().join("server.toml");
    fs::write(&file, "[server]\nbind = '127.0.0.1:0'\nbnd = 1\n").unwrap();
    for command in ["config", "serve"] {
        let output = execute(&[command, "--config", file.to_str().unwrap()], &[]);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("server.toml, line 3") && message.contains("bnd"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn the_file_in_the_data_folder_is_read() {
    let data = Data::new();
    fs::write(data.path().join("config.toml"), "[server]\ndemand_keys = true\n").unwrap();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    server.get("/api/v1/keys").problem(401);
}

#[test]
fn a_password_of_the_database_is_not_told() {
    let data = Data::new();
    let url = "postgres://me:secret@127.0.0.1:1/db";
    let args = ["serve", "--bind", "127.0.0.1:0", "--data", data.as_str(), "--database", url];
    let output = execute(&args, &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("postgres://me@127.0.0.1:1/db"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

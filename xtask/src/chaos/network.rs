//! A network of two hosts on one machine, whose link can be cut: each is a thread in a network
//! namespace of its own. The second one passes connections on to a Unix socket.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, ensure};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

/// Addresses that are for documentation (RFC 5737): nobody has them.
const HERE: &str = "192.0.2.1/30";
const THERE: &str = "192.0.2.2/30";

/// The port at which the other host answers.
pub(super) const PORT: u16 = 5432;

/// The other host, as seen from this thread and all that it starts.
pub(super) struct Network {
    orders: Sender<Vec<&'static str>>,
    done: Receiver<anyhow::Result<()>>,
}

impl Network {
    /// Puts this thread into a namespace of its own, linked to another one in which connections are
    /// passed on to `socket`.
    ///
    /// # Errors
    /// The system does not allow it, or lacks `ip`.
    pub(super) fn enter(socket: &Path) -> anyhow::Result<Self> {
        isolate()?;
        let (orders, incoming) = channel();
        let (report, done) = channel();
        let (tell, other) = channel();
        let socket = socket.to_owned();
        thread::spawn(move || there(&tell, &incoming, &report, socket));
        let namespace = other.recv().context("the other host")??;
        ip(&["link", "add", "here", "type", "veth", "peer", "name", "there", "netns", &namespace])?;
        ip(&["address", "add", HERE, "dev", "here"])?;
        ip(&["link", "set", "here", "up"])?;
        let network = Self { orders, done };
        network.order(vec!["address", "add", THERE, "dev", "there"])?;
        network.mend()?;
        Ok(network)
    }

    /// From here on nothing that is sent arrives, and nobody is told.
    pub(super) fn cut(&self) -> anyhow::Result<()> {
        self.order(vec!["link", "set", "there", "down"])
    }

    /// The link works again.
    pub(super) fn mend(&self) -> anyhow::Result<()> {
        self.order(vec!["link", "set", "there", "up"])
    }

    fn order(&self, arguments: Vec<&'static str>) -> anyhow::Result<()> {
        self.orders.send(arguments).context("the other host")?;
        self.done.recv().context("the other host")?
    }
}

/// The other host's life: it ends with the last order.
fn there(
    tell: &Sender<anyhow::Result<String>>,
    orders: &Receiver<Vec<&'static str>>,
    report: &Sender<anyhow::Result<()>>,
    socket: PathBuf,
) {
    let began = isolate().and_then(|()| {
        let listener = TcpListener::bind(("0.0.0.0", PORT))?;
        thread::spawn(move || pass_on(&listener, &socket));
        Ok(format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid()))
    });
    if tell.send(began).is_err() {
        return;
    }
    for order in orders {
        if report.send(ip(&order)).is_err() {
            return;
        }
    }
}

/// A network namespace for this thread, and for what it starts.
fn isolate() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("a network namespace needs root")?;
    ip(&["link", "set", "lo", "up"])
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {said}", arguments.join(" "));
    Ok(())
}

fn pass_on(listener: &TcpListener, socket: &Path) {
    for stream in listener.incoming().flatten() {
        let Ok(database) = UnixStream::connect(socket) else { continue };
        let (Ok(stream_too), Ok(database_too)) = (stream.try_clone(), database.try_clone()) else {
            continue;
        };
        let close = |stream: &TcpStream, database: &UnixStream| {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = database.shutdown(Shutdown::Both);
        };
        thread::spawn(move || {
            let _ = io::copy(&mut &stream, &mut &database);
            close(&stream, &database);
        });
        thread::spawn(move || {
            let _ = io::copy(&mut &database_too, &mut &stream_too);
            close(&stream_too, &database_too);
        });
    }
}

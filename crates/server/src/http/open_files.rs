//! Each connection is an open file, of which systems allow a process few until it asks for more.

/// Open files of the process beside its connections: databases, weights, artifacts, pipes.
#[cfg(unix)]
const OTHERS: u64 = 256;

/// How many of these connections can be open: asks the system for as many.
#[cfg(unix)]
pub(super) fn room_for(connections: usize) -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return connections };
    let wanted = (connections as u64).saturating_add(OTHERS);
    let allowed = match wanted > soft {
        true => {
            let more = wanted.min(hard);
            setrlimit(Resource::RLIMIT_NOFILE, more, hard).map_or(soft, |()| more)
        }
        false => soft,
    };
    if allowed >= wanted {
        return connections;
    }
    let room = usize::try_from(allowed.saturating_sub(OTHERS)).unwrap_or(usize::MAX).max(16);
    tracing::warn!(connections, room, "the system allows fewer open files than connections");
    room
}

/// How many of these connections can be open.
#[cfg(not(unix))]
pub(super) fn room_for(connections: usize) -> usize {
    connections
}

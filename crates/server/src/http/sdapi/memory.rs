//! `/sdapi/v1/memory`.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::refused::{Refusal, Result};
use crate::http::Problem;
use crate::http::auth::Read;
use crate::http::extract::Json;

/// The memory of the machine
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdMemory, example = json!({
    "ram": {"free": 5_200_000_000_u64, "used": 3_100_000_000_u64, "total": 8_300_000_000_u64},
    "cuda": {"error": "unavailable"}
}))]
pub(super) struct Memory {
    /// `free`, `used` and `total` in bytes; `error` where the system does not tell
    #[schema(value_type = Object)]
    ram: Value,
    /// `error`: images are made on the CPU
    #[schema(value_type = Object)]
    cuda: Value,
}

/// Show the memory of the machine
#[utoipa::path(
    get,
    path = "/sdapi/v1/memory",
    operation_id = "sd_memory",
    tag = "sdapi",
    responses(
        (status = 200, description = "The memory", body = Memory),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn memory(identity: Result<Read, Problem>) -> Result<Json<Memory>> {
    identity?;
    let unavailable = || json!({ "error": "unavailable" });
    let told = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let ram = of(&told).map(
        |(free, total)| json!({ "free": free, "used": total.saturating_sub(free), "total": total }),
    );
    Ok(Json(Memory { ram: ram.unwrap_or_else(unavailable), cuda: unavailable() }))
}

/// What is free and what there is in bytes, as Linux tells it.
fn of(meminfo: &str) -> Option<(u64, u64)> {
    let of = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    Some((of("MemAvailable")?, of("MemTotal")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_it_in_kib() {
        let told = "MemTotal:       16303428 kB\nMemFree: 1 kB\nMemAvailable:    8123456 kB\n";
        assert_eq!(of(told), Some((8_123_456 * 1024, 16_303_428 * 1024)));
        for broken in ["", "MemTotal: x kB\nMemAvailable: 1 kB", "MemTotal: 1\nMemAvailable: 1"] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }
}

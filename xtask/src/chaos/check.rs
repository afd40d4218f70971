//! What must be true when all has healed.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::client::{Client, Known, SEEDS, body};
use super::report::Report;

/// The hash of each seed's image, made in peace.
pub(super) struct Reference(BTreeMap<u64, String>);

impl Reference {
    /// Makes every image that the clients will ask for, one after another.
    pub(super) fn make(client: &Client, steps: u32) -> anyhow::Result<Self> {
        let mut hashes = BTreeMap::new();
        for seed in 0..SEEDS {
            let id = client.ask(&format!("reference-{seed}"), &body("a cat", seed, steps))?;
            let job = client.wait(&id)?;
            let hash = job["images"][0]["sha256"].as_str().with_context(|| job.to_string())?;
            hashes.insert(seed, hash.to_owned());
        }
        Ok(Self(hashes))
    }

    /// Looks at every job that was acknowledged, and counts.
    pub(super) fn check(
        &self,
        client: &Client,
        known: &Known,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let (mut lost, mut twice, mut wrong, mut finished) = (0, 0, 0, 0);
        for broken in &known.broken {
            report.broken(broken);
        }
        for (id, seen) in &known.jobs {
            let answer = client.get(&format!("/api/v1/jobs/{id}"))?;
            let job: Value = serde_json::from_slice(&answer.body)?;
            if answer.status != 200 || job["state"] != "succeeded" {
                lost += 1;
                report.broken(format!("job {id}: {}: {}", job["state"], job["images"][0]["error"]));
                continue;
            }
            finished += 1;
            let same = |name: &str| {
                seen.ended
                    .as_ref()
                    .is_none_or(|ended| ended["images"][0][name] == job["images"][0][name])
            };
            let ended = seen.ended.as_ref().is_none_or(|e| e["finished_at"] == job["finished_at"]);
            if !ended
                || !same("sha256")
                || !same("seconds")
                || job["images"].as_array().map(Vec::len) != Some(1)
            {
                twice += 1;
                report.broken(format!("job {id} was published twice"));
            }
            let png = client.get(&format!("/api/v1/jobs/{id}/images/0"))?.body;
            let hash = hex(&Sha256::digest(&png));
            if job["images"][0]["sha256"] != *hash || self.0.get(&seen.seed) != Some(&hash) {
                wrong += 1;
                report.broken(format!("job {id}, seed {}: other bytes", seen.seed));
            }
        }
        let stored = count(client)?;
        let asked = known.jobs.len() + self.0.len() + known.others;
        report.figure("jobs acknowledged", known.jobs.len());
        report.figure("jobs finished", finished);
        report.figure("jobs lost", lost);
        report.figure("published twice", twice);
        report.figure("other bytes", wrong);
        report.expect(stored == asked, || {
            format!("{asked} jobs were asked for, {stored} are stored")
        });
        Ok(())
    }
}

/// All jobs that are stored.
pub(super) fn count(client: &Client) -> anyhow::Result<usize> {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = client.get_json(&format!("/api/v1/jobs?limit=100{cursor}"))?;
        count += page["jobs"].as_array().context("no jobs")?.len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

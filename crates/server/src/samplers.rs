//! The names under which other programs know our schedulers: one table, both ways.
//!
//! A web UI has two names for what is one [`SchedulerKind`] here: the sampler, and the schedule of
//! its noise levels. Some clients send both in one (`DPM++ 2M Karras`), some the names of
//! k-diffusion (`k_euler_a`), of ComfyUI (`dpmpp_2m`), of InvokeAI (`dpmpp_2m_k`) or ours.

use std::{fmt, iter};

use diffusion_engine::{OwnScheduler, SchedulerKind, SigmaSpacing};

/// A sampler as web UIs list it.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// The name that is shown and written into files.
    pub(crate) name: &'static str,
    /// Other names, as [`plain`] makes them.
    pub(crate) aliases: &'static [&'static str],
    /// What it is with which schedule; the first is meant by `Automatic`.
    pub(crate) kinds: &'static [(&'static Schedule, SchedulerKind)],
    /// Whether a schedule has a meaning for it; otherwise any is let pass.
    pub(crate) takes_schedule: bool,
}

impl Sampler {
    /// The names of the schedules that it can be had with, separated by commas.
    pub(crate) fn schedules(&self) -> String {
        let others = self.kinds.iter().map(|(schedule, _)| schedule.name);
        iter::once(AUTOMATIC.name).chain(others).collect::<Vec<_>>().join(", ")
    }
}

/// A schedule of noise levels as web UIs list it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The name for programs.
    pub(crate) name: &'static str,
    /// The name that is shown and written into files.
    pub(crate) label: &'static str,
    /// Other names, as [`plain`] makes them.
    pub(crate) aliases: &'static [&'static str],
}

/// The schedule that goes with the sampler.
pub(crate) static AUTOMATIC: Schedule =
    Schedule { name: "automatic", label: "Automatic", aliases: &["", "none"] };
/// Evenly spaced timesteps.
pub(crate) static UNIFORM: Schedule =
    Schedule { name: "uniform", label: "Uniform", aliases: &["normal"] };
/// Karras's noise levels.
pub(crate) static KARRAS: Schedule =
    Schedule { name: "karras", label: "Karras", aliases: &["k", "ka"] };

/// Noise levels evenly in their logarithm.
pub(crate) static EXPONENTIAL: Schedule =
    Schedule { name: "exponential", label: "Exponential", aliases: &[] };

/// The schedules that a client may ask for.
pub(crate) static SCHEDULES: [&Schedule; 4] = [&AUTOMATIC, &UNIFORM, &KARRAS, &EXPONENTIAL];

/// Schedules that other programs have, as [`plain`] makes their names.
const ELSEWHERE: [&str; 9] = [
    "polyexponential",
    "sgm_uniform",
    "sgmuniform",
    "kl_optimal",
    "align_your_steps",
    "simple",
    "ddim",
    "ddim_uniform",
    "beta",
];

impl Schedule {
    /// Whether this is its name, as [`plain`] makes it.
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

const fn even(
    name: &'static str,
    aliases: &'static [&'static str],
    kinds: &'static [(&'static Schedule, SchedulerKind)],
) -> Sampler {
    Sampler { name, aliases, kinds, takes_schedule: true }
}

/// The samplers that a client may ask for.
pub(crate) static SAMPLERS: [Sampler; 10] = {
    use SchedulerKind as K;
    [
        even("Euler", &["euler", "k_euler"], &[(&UNIFORM, K::Euler), (&KARRAS, K::EulerKarras)]),
        even(
            "Euler a",
            &["euler_a", "k_euler_a", "euler_ancestral", "k_euler_ancestral"],
            &[(&UNIFORM, K::EulerAncestral)],
        ),
        // In web UIs since 2024, Automatic is Karras here.
        even(
            "DPM++ 2M",
            &["dpm++_2m", "dpmpp_2m", "k_dpmpp_2m"],
            &[
                (&KARRAS, K::DpmPp2mKarras),
                (&UNIFORM, K::DpmPp2m),
                (&EXPONENTIAL, K::DpmPp2mExponential),
            ],
        ),
        // In web UIs since 2024, Automatic is Exponential here.
        even(
            "DPM++ 2M SDE",
            &["dpm++_2m_sde", "dpmpp_2m_sde", "k_dpmpp_2m_sde"],
            &[
                (&EXPONENTIAL, K::DpmPp2mSdeExponential),
                (&KARRAS, K::DpmPp2mSdeKarras),
                (&UNIFORM, K::DpmPp2mSde),
            ],
        ),
        even("LMS", &["lms", "k_lms"], &[(&UNIFORM, K::Lms), (&KARRAS, K::LmsKarras)]),
        even("Heun", &["heun", "k_heun"], &[(&UNIFORM, K::Heun), (&KARRAS, K::HeunKarras)]),
        even("LCM", &["lcm", "k_lcm"], &[(&UNIFORM, K::Lcm)]),
        Sampler { takes_schedule: false, ..even("DDIM", &["ddim"], &[(&UNIFORM, K::Ddim)]) },
        Sampler {
            takes_schedule: false,
            ..even("PLMS", &["plms", "pndm"], &[(&UNIFORM, K::Pndm)])
        },
        Sampler {
            takes_schedule: false,
            ..even("UniPC", &["unipc", "uni_pc"], &[(&UNIFORM, K::UniPc)])
        },
    ]
};

/// Why a sampler cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// There is none of this name.
    Sampler(String),
    /// It is here, but not with this schedule.
    Schedule {
        /// The sampler's name.
        sampler: &'static str,
        /// As it was asked for.
        schedule: String,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sampler(name) => {
                let names: Vec<_> = SAMPLERS.iter().map(|sampler| sampler.name).collect();
                write!(f, "there is no sampler {name:?}: choose one of {}", names.join(", "))
            }
            Self::Schedule { sampler, schedule } => {
                let found = SAMPLERS.iter().find(|known| known.name == *sampler);
                let kinds = found.map_or(&[][..], |found| found.kinds);
                let kinds = kinds.iter().map(|(schedule, _)| schedule.label);
                let labels = iter::once(AUTOMATIC.label).chain(kinds).collect::<Vec<_>>();
                let labels = labels.join(" or ");
                write!(f, "{sampler} is not here with the schedule {schedule:?}: choose {labels}")
            }
        }
    }
}

/// The scheduler that a client names, with its schedule apart, at the end of the name, or not at
/// all. (At the end of the name it counts more, as in the web UI.)
///
/// # Errors
/// There is none: which of both names is unknown, and what there is.
pub(crate) fn parse(name: &str, schedule: Option<&str>) -> Result<SchedulerKind, Unknown> {
    find(name, schedule, kind)
}

/// As [`parse`] of what programs write that follow every schedule with every sampler.
///
/// # Errors
/// As there, and where such a schedule is not ours.
pub(crate) fn parse_strictly(name: &str, schedule: &str) -> Result<SchedulerKind, Unknown> {
    find(name, Some(schedule), spaced)
}

fn find(
    name: &str,
    schedule: Option<&str>,
    kind: impl Fn(&Sampler, &str) -> Result<SchedulerKind, Unknown>,
) -> Result<SchedulerKind, Unknown> {
    let plain_name = plain(name);
    let sampler = |name: &str| SAMPLERS.iter().find(|sampler| sampler.aliases.contains(&name));
    if let Some(found) = sampler(&plain_name) {
        return kind(found, schedule.unwrap_or_default());
    }
    let parts = plain_name.rmatch_indices('_').map(|(at, _)| plain_name.split_at(at));
    for (start, end) in parts {
        let schedule = &end[1..];
        if let Some(found) = sampler(start)
            && (ELSEWHERE.contains(&schedule) || SCHEDULES.iter().any(|s| s.is_called(schedule)))
        {
            return kind(found, schedule);
        }
    }
    Err(Unknown::Sampler(name.to_owned()))
}

/// What a sampler is with a schedule, if that has a meaning for it.
fn kind(sampler: &Sampler, schedule: &str) -> Result<SchedulerKind, Unknown> {
    spaced(sampler, if sampler.takes_schedule { schedule } else { AUTOMATIC.name })
}

/// What a sampler is with a schedule.
fn spaced(sampler: &Sampler, schedule: &str) -> Result<SchedulerKind, Unknown> {
    let name = plain(schedule);
    let found = match AUTOMATIC.is_called(&name) {
        true => sampler.kinds.first(),
        false => sampler.kinds.iter().find(|(known, _)| known.is_called(&name)),
    };
    found
        .map(|(_, kind)| *kind)
        .ok_or_else(|| Unknown::Schedule { sampler: sampler.name, schedule: schedule.to_owned() })
}

/// The names of sampler and schedule; no schedule where all readers take the same for granted.
pub(crate) fn names(kind: SchedulerKind) -> (&'static str, Option<&'static str>) {
    for sampler in &SAMPLERS {
        for (i, (schedule, known)) in sampler.kinds.iter().enumerate() {
            if *known == kind {
                let is_plain = i == 0 && **schedule == UNIFORM;
                return (sampler.name, (!is_plain).then_some(schedule.label));
            }
        }
    }
    // Each kind is in the table (see the tests).
    (kind.name(), None)
}

/// As [`names`], of a model's own scheduler.
pub(crate) fn own_names(own: OwnScheduler) -> (&'static str, Option<&'static str>) {
    let (sampler, schedule) = names(own.kind);
    let schedule = match own.spacing {
        SigmaSpacing::Karras => Some(KARRAS.label),
        SigmaSpacing::Exponential => Some(EXPONENTIAL.label),
        SigmaSpacing::Training | SigmaSpacing::Lu => schedule,
    };
    (sampler, schedule)
}

/// A name in lower case, with `_` between its words.
fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase();
    name.split([' ', '-', '_']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_scheduler_has_a_name_that_reads_back() {
        for kind in SchedulerKind::ALL {
            let (sampler, schedule) = names(kind);
            assert!(SAMPLERS.iter().any(|known| known.name == sampler), "{kind}");
            assert_eq!(parse(sampler, schedule), Ok(kind), "{sampler} {schedule:?}");
            assert_eq!(parse(kind.name(), schedule), Ok(kind));
            for alias in SAMPLERS.iter().find(|known| known.name == sampler).unwrap().aliases {
                assert_eq!(plain(alias), *alias);
                assert_eq!(parse(alias, schedule), Ok(kind), "{alias}");
            }
        }
    }

    #[test]
    fn names_as_clients_send_them() {
        use SchedulerKind as K;
        for (name, schedule, kind) in [
            ("Euler", None, K::Euler),
            ("euler a", Some("Automatic"), K::EulerAncestral),
            ("k_euler_a", Some(""), K::EulerAncestral),
            ("DPM++ 2M Karras", None, K::DpmPp2mKarras),
            ("DPM++ 2M Karras", Some("Uniform"), K::DpmPp2mKarras),
            ("DPM++ 2M", Some("Karras"), K::DpmPp2mKarras),
            ("DPM++ 2M", None, K::DpmPp2mKarras),
            ("DPM++ 2M", Some("Uniform"), K::DpmPp2m),
            ("dpmpp_2m", Some("normal"), K::DpmPp2m),
            ("dpmpp_2m_k", None, K::DpmPp2mKarras),
            ("k_dpmpp_2m_ka", None, K::DpmPp2mKarras),
            ("DPM++ 2M", Some("Exponential"), K::DpmPp2mExponential),
            ("DPM++ 2M SDE", Some("Uniform"), K::DpmPp2mSde),
            ("DPM++ 2M SDE", Some("Automatic"), K::DpmPp2mSdeExponential),
            ("DPM++ 2M SDE Exponential", None, K::DpmPp2mSdeExponential),
            ("DPM++ 2M SDE Karras", None, K::DpmPp2mSdeKarras),
            ("Euler", Some("Karras"), K::EulerKarras),
            ("LMS Karras", None, K::LmsKarras),
            ("DDIM", Some("Karras"), K::Ddim),
            ("uni_pc", None, K::UniPc),
            ("LCM", Some("Automatic"), K::Lcm),
        ] {
            assert_eq!(parse(name, schedule), Ok(kind), "{name} {schedule:?}");
        }
    }

    #[test]
    fn other_programs_follow_every_schedule() {
        assert_eq!(parse("DDIM", Some("Karras")), Ok(SchedulerKind::Ddim));
        assert!(parse_strictly("ddim", "karras").is_err());
        assert!(parse_strictly("unipc_k", "normal").is_err());
        assert_eq!(parse_strictly("uni_pc", "normal"), Ok(SchedulerKind::UniPc));
        assert_eq!(parse_strictly("dpmpp_2m_k", "normal"), Ok(SchedulerKind::DpmPp2mKarras));
    }

    #[test]
    fn what_is_not_here_is_said() {
        let error = parse("DPM adaptive", None).unwrap_err().to_string();
        assert!(error.contains("\"DPM adaptive\"") && error.contains("Euler a"), "{error}");
        assert!(matches!(parse("DPM++ 2M SDE Heun", None), Err(Unknown::Sampler(_))));
        for (name, schedule) in [
            ("Euler", Some("Exponential")),
            ("Euler a", Some("Karras")),
            ("Euler a Karras", None),
            ("DPM++ 2M", Some("Beta")),
            ("DPM++ 2M SDE", Some("SGM Uniform")),
        ] {
            let error = parse(name, schedule).unwrap_err();
            assert!(matches!(error, Unknown::Schedule { .. }), "{error}");
            assert!(error.to_string().contains("Uniform"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_name_breaks_it(name in "[a-zA-Z_+ 0-9]{0,40}|\\PC{0,40}", schedule in "\\PC{0,10}") {
            let _ = parse(&name, Some(&schedule));
        }
    }
}

//! The names under which schedulers are chosen, and the classes that folders name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A scheduler chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum SchedulerKind {
    /// `euler`: `EulerDiscreteScheduler`.
    Euler,
    /// `euler-a`: `EulerAncestralDiscreteScheduler`.
    EulerAncestral,
    /// `ddim`: `DDIMScheduler` with η = 0.
    Ddim,
    /// `dpmpp-2m`: `DPMSolverMultistepScheduler` as DPM-Solver++.
    DpmPp2m,
    /// `dpmpp-2m-karras`: the same with Karras's noise levels.
    DpmPp2mKarras,
    /// `dpmpp-2m-sde`: the same for the SDE.
    DpmPp2mSde,
    /// `pndm`: `PNDMScheduler`.
    Pndm,
    /// `lms`: `LMSDiscreteScheduler`.
    Lms,
    /// `heun`: `HeunDiscreteScheduler`.
    Heun,
    /// `unipc`: `UniPCMultistepScheduler`.
    UniPc,
    /// `lcm`: `LCMScheduler`, for models distilled for it.
    Lcm,
}

impl SchedulerKind {
    /// Every kind, in the order of documentation.
    pub const ALL: [Self; 11] = [
        Self::Euler,
        Self::EulerAncestral,
        Self::Ddim,
        Self::DpmPp2m,
        Self::DpmPp2mKarras,
        Self::DpmPp2mSde,
        Self::Pndm,
        Self::Lms,
        Self::Heun,
        Self::UniPc,
        Self::Lcm,
    ];

    /// The name that users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-a",
            Self::Ddim => "ddim",
            Self::DpmPp2m => "dpmpp-2m",
            Self::DpmPp2mKarras => "dpmpp-2m-karras",
            Self::DpmPp2mSde => "dpmpp-2m-sde",
            Self::Pndm => "pndm",
            Self::Lms => "lms",
            Self::Heun => "heun",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
        }
    }

    /// The class that the kind is built as.
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Euler => Class::Euler,
            Self::EulerAncestral => Class::EulerAncestral,
            Self::Ddim => Class::Ddim,
            Self::DpmPp2m | Self::DpmPp2mKarras | Self::DpmPp2mSde => Class::DpmMultistep,
            Self::Pndm => Class::Pndm,
            Self::Lms => Class::Lms,
            Self::Heun => Class::Heun,
            Self::UniPc => Class::UniPc,
            Self::Lcm => Class::Lcm,
        }
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<SchedulerKind> for &'static str {
    fn from(kind: SchedulerKind) -> Self {
        kind.name()
    }
}

impl FromStr for SchedulerKind {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`] listing the names.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Invalid(format!("there is no scheduler {name:?}: choose one of {names}"))
        })
    }
}

impl TryFrom<String> for SchedulerKind {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

/// A scheduler class of diffusers that is implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Euler,
    EulerAncestral,
    Ddim,
    DpmMultistep,
    Pndm,
    Lms,
    Heun,
    UniPc,
    Lcm,
}

impl Class {
    /// The classes with their names in `_class_name`.
    pub(super) const NAMED: [(&'static str, Self); 9] = [
        ("EulerDiscreteScheduler", Self::Euler),
        ("EulerAncestralDiscreteScheduler", Self::EulerAncestral),
        ("DDIMScheduler", Self::Ddim),
        ("DPMSolverMultistepScheduler", Self::DpmMultistep),
        ("PNDMScheduler", Self::Pndm),
        ("LMSDiscreteScheduler", Self::Lms),
        ("HeunDiscreteScheduler", Self::Heun),
        ("UniPCMultistepScheduler", Self::UniPc),
        ("LCMScheduler", Self::Lcm),
    ];
}

//! The names under which schedulers are chosen, and the classes that folders name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::sigmas::SigmaSpacing;
use crate::Error;
use crate::config::Reader;

/// A scheduler chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum SchedulerKind {
    /// `euler`: `EulerDiscreteScheduler`.
    Euler,
    /// `euler-karras`: the same with Karras's noise levels.
    EulerKarras,
    /// `euler-a`: `EulerAncestralDiscreteScheduler`.
    EulerAncestral,
    /// `ddim`: `DDIMScheduler` with η = 0.
    Ddim,
    /// `dpmpp-2m`: `DPMSolverMultistepScheduler` as DPM-Solver++.
    DpmPp2m,
    /// `dpmpp-2m-karras`: the same with Karras's noise levels.
    DpmPp2mKarras,
    /// `dpmpp-2m-exponential`: the same with noise levels evenly in ln σ.
    DpmPp2mExponential,
    /// `dpmpp-2m-sde`: the same for the SDE.
    DpmPp2mSde,
    /// `dpmpp-2m-sde-karras`: the same with Karras's noise levels.
    DpmPp2mSdeKarras,
    /// `dpmpp-2m-sde-exponential`: the same with noise levels evenly in ln σ.
    DpmPp2mSdeExponential,
    /// `pndm`: `PNDMScheduler`.
    Pndm,
    /// `lms`: `LMSDiscreteScheduler`.
    Lms,
    /// `lms-karras`: the same with Karras's noise levels.
    LmsKarras,
    /// `heun`: `HeunDiscreteScheduler`.
    Heun,
    /// `heun-karras`: the same with Karras's noise levels.
    HeunKarras,
    /// `unipc`: `UniPCMultistepScheduler`.
    UniPc,
    /// `lcm`: `LCMScheduler`, for models distilled for it.
    Lcm,
}

impl SchedulerKind {
    /// Every kind, in the order of documentation.
    pub const ALL: [Self; 17] = [
        Self::Euler,
        Self::EulerKarras,
        Self::EulerAncestral,
        Self::Ddim,
        Self::DpmPp2m,
        Self::DpmPp2mKarras,
        Self::DpmPp2mExponential,
        Self::DpmPp2mSde,
        Self::DpmPp2mSdeKarras,
        Self::DpmPp2mSdeExponential,
        Self::Pndm,
        Self::Lms,
        Self::LmsKarras,
        Self::Heun,
        Self::HeunKarras,
        Self::UniPc,
        Self::Lcm,
    ];

    /// The name that users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::EulerKarras => "euler-karras",
            Self::EulerAncestral => "euler-a",
            Self::Ddim => "ddim",
            Self::DpmPp2m => "dpmpp-2m",
            Self::DpmPp2mKarras => "dpmpp-2m-karras",
            Self::DpmPp2mExponential => "dpmpp-2m-exponential",
            Self::DpmPp2mSde => "dpmpp-2m-sde",
            Self::DpmPp2mSdeKarras => "dpmpp-2m-sde-karras",
            Self::DpmPp2mSdeExponential => "dpmpp-2m-sde-exponential",
            Self::Pndm => "pndm",
            Self::Lms => "lms",
            Self::LmsKarras => "lms-karras",
            Self::Heun => "heun",
            Self::HeunKarras => "heun-karras",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
        }
    }

    /// The class that the kind is built as.
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Euler | Self::EulerKarras => Class::Euler,
            Self::EulerAncestral => Class::EulerAncestral,
            Self::Ddim => Class::Ddim,
            Self::DpmPp2m
            | Self::DpmPp2mKarras
            | Self::DpmPp2mExponential
            | Self::DpmPp2mSde
            | Self::DpmPp2mSdeKarras
            | Self::DpmPp2mSdeExponential => Class::DpmMultistep,
            Self::Pndm => Class::Pndm,
            Self::Lms | Self::LmsKarras => Class::Lms,
            Self::Heun | Self::HeunKarras => Class::Heun,
            Self::UniPc => Class::UniPc,
            Self::Lcm => Class::Lcm,
        }
    }

    /// Whether it adds fresh noise at each step as ancestral and SDE samplers do (`lcm` does in a way
    /// of its own).
    pub const fn is_ancestral(self) -> bool {
        matches!(
            self,
            Self::EulerAncestral
                | Self::DpmPp2mSde
                | Self::DpmPp2mSdeKarras
                | Self::DpmPp2mSdeExponential
        )
    }

    /// How its name spreads the noise levels. Without a word of it they are spread as the model's
    /// configuration says, in which diffusers takes such keys over from class to class.
    pub(super) const fn spacing(self) -> Option<SigmaSpacing> {
        match self {
            Self::EulerKarras
            | Self::DpmPp2mKarras
            | Self::DpmPp2mSdeKarras
            | Self::LmsKarras
            | Self::HeunKarras => Some(SigmaSpacing::Karras),
            Self::DpmPp2mExponential | Self::DpmPp2mSdeExponential => {
                Some(SigmaSpacing::Exponential)
            }
            _ => None,
        }
    }

    /// Sets what the name says over the configuration that it is built from.
    pub(super) fn configure(self, params: &mut Reader) {
        if self.class() == Class::DpmMultistep {
            let algorithm = if self.is_ancestral() { "sde-dpmsolver++" } else { "dpmsolver++" };
            params.set("algorithm_type", algorithm);
            params.set("use_karras_sigmas", false);
        }
        if let Some(spacing) = self.spacing() {
            params.set("use_karras_sigmas", spacing == SigmaSpacing::Karras);
            params.set("use_exponential_sigmas", spacing == SigmaSpacing::Exponential);
            params.set("use_lu_lambdas", false);
            params.set("use_beta_sigmas", false);
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

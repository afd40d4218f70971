//! Which tensors a model needs, told by the networks themselves.

use crate::Result;
use crate::info::ModelInfo;
use crate::networks::Networks;
use crate::runtime::Options;
use crate::weights::{Listing, Weights};

/// A tensor that the configuration of a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// The sub-folder of the model that holds it.
    pub component: &'static str,
    /// Its name in the file.
    pub name: String,
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
}

/// All tensors that a model of this configuration needs, by the names that published files have.
///
/// The networks are loaded from weights that note what they are asked for, so there is no second
/// description of their structure.
///
/// # Errors
/// The operating system gives no address space for tensors of these sizes.
pub fn required_tensors(info: &ModelInfo) -> Result<Vec<Required>> {
    Ok(hollow(info, &Options::default(), 0)?.1)
}

/// The networks of a configuration without their weights, which are said to be `stored` bytes, and
/// the tensors that they asked for.
pub(crate) fn hollow(
    info: &ModelInfo,
    options: &Options,
    stored: u64,
) -> Result<(Networks, Vec<Required>)> {
    let listings = [(); 3].map(|()| Listing::default());
    let [text, unet, vae] = listings.each_ref().map(Weights::listing);
    let networks = Networks::load(options, info, (text, &unet, vae), stored)?;
    let components = [("text_encoder", "text_model."), ("unet", ""), ("vae", "")];
    let tensors = components
        .into_iter()
        .zip(&listings)
        .flat_map(|((component, prefix), listing)| {
            listing.take().into_iter().map(move |(name, shape)| Required {
                component,
                name: format!("{prefix}{name}"),
                shape,
            })
        })
        .collect();
    Ok((networks, tensors))
}
